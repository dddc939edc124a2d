"""A client of the server, configured. Loaded when a process connects: the package takes seconds to import."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from qdrant_client import QdrantClient

from scylla_store.errors import ConfigurationError
from scylla_store.settings.options import IndexSettings, TlsSettings

OLDEST = (1, 16)
"""The first server with conditional upserts; an older one would ignore the condition."""

_KEEPALIVE = 2.0
"""Seconds that a connection may idle: less than the server's five, so that it is never found closed."""


class _Seconds(float):
    """The client rounds its timeout up to whole seconds with math.ceil; this one stays as it is."""

    def __ceil__(self) -> _Seconds:  # type: ignore[override]
        return self


def open_client(settings: IndexSettings) -> QdrantClient:
    """A client that has not sent anything yet."""
    client = QdrantClient(
        url=url_of(settings),
        grpc_port=settings.grpc_port,
        prefer_grpc=settings.prefer_grpc,
        # As a header, because the client warns of a key without TLS, and would print it in a private network too.
        headers=None if settings.api_key is None else {"api-key": settings.api_key},
        timeout=_Seconds(settings.timeout),  # type: ignore[arg-type]
        check_compatibility=False,
        grpc_options=_grpc_options(settings),
        limits=httpx.Limits(max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE),
        verify=_context(settings.tls) if _is_encrypted(settings) else True,
    )
    client.http.client.add_middleware(_prepared(settings.timeout))
    return client


def check_version(client: QdrantClient, server: str) -> None:
    """Raises ConfigurationError when the server is too old."""
    version = client.info().version
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        raise ConfigurationError(
            f"The vector index ({server}) is Qdrant {version}; {'.'.join(map(str, OLDEST))} or newer is needed"
        )


def url_of(settings: IndexSettings) -> str:
    """The URL, with the scheme that index.tls asks for."""
    url = settings.url or ""
    return f"https://{url[len('http://') :]}" if settings.tls.enabled and url.startswith("http://") else url


def _is_encrypted(settings: IndexSettings) -> bool:
    return url_of(settings).startswith("https://")


def _context(tls: TlsSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigurationError(f"index.tls: a file cannot be used: {exc}") from exc
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _grpc_options(settings: IndexSettings) -> dict[str, Any] | None:
    if not (settings.prefer_grpc and _is_encrypted(settings)):
        return None
    tls = settings.tls
    if not tls.verify:
        raise ConfigurationError("index.tls.verify = false does not work with index.prefer_grpc: set index.tls.ca_file")
    files = {"root_certificates": tls.ca_file, "certificate_chain": tls.cert_file, "private_key": tls.key_file}
    try:
        return {name: Path(file).read_bytes() for name, file in files.items() if file is not None}
    except OSError as exc:
        raise ConfigurationError(f"index.tls: a file cannot be used: {exc}") from exc


class _TimeLeft(dict[str, float]):
    """What httpcore looks up at the start of each phase (pool, connect, write, read): the time left for all of them."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._end = time.monotonic() + seconds

    def get(self, phase: str, default: object = None) -> float:
        return max(0.001, self._end - time.monotonic())


def _prepared(seconds: float) -> Callable[[Any, Any], Any]:
    """Gives each request its deadline, and asks for an answer in one piece.

    The server sends a compressed answer in several, and waits with the next one until the last one is acknowledged, which
    takes the system 40 ms (Nagle's algorithm there, delayed acknowledgement here).
    """

    def middleware(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
        request.extensions = {**request.extensions, "timeout": _TimeLeft(seconds)}
        request.headers["accept-encoding"] = "identity"
        return send(request)

    return middleware
