"""Requests to a development server that starts, stops and starts again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.acceptance.waiting import poll


def call(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Status and JSON (or None) of the answer; status 0 while nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
    except OSError:
        return 0, None


def keys(url: str) -> list[str]:
    """Keys of the hits that a search view answers with; none while it does not answer."""
    _, found = call(url)
    return [] if found is None else [hit["key"] for hit in found["hits"]]


def answers(url: str, seconds: float) -> bool:
    """Whether a server answers in time, whatever it says."""
    return poll(lambda: call(url)[0] != 0, seconds)
