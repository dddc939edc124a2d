"""A WSGI application with one store, made and used before any server forks: PUT /<key> stores the body's text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from scylla_store import ScyllaStore

NAMESPACE = ("web",)

store = ScyllaStore.from_settings()
store.put(NAMESPACE, "before any fork", {"text": "one"})


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answers with the process id."""
    key = environ["PATH_INFO"].strip("/")
    if environ["REQUEST_METHOD"] == "PUT":
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        store.put(NAMESPACE, key, {"text": f"document {key}"})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b"%d" % os.getpid()]
