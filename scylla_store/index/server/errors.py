"""The client's exceptions, translated in one place.

They are named, not imported: the client is loaded when a process connects. A test compares the names with the client's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scylla_store.errors import ConfigurationError, IndexRefused, IndexThrottled, IndexUnavailable, StoreError


class Fate(enum.Enum):
    """What an exception says about the request."""

    UNAVAILABLE = "the server did not answer, or cannot do it now"
    THROTTLED = "the server asks to slow down"
    MISSING = "there is no such collection"
    DENIED = "the server does not accept the credentials"
    REFUSED = "the server will refuse it again"
    MISCONFIGURED = "a setting is wrong"
    BY_STATUS = "the answer's status decides"
    BY_SOURCE = "the exception inside decides"


FATES = {
    "OSError": Fate.UNAVAILABLE,
    "qdrant_client.http.exceptions.ApiException": Fate.UNAVAILABLE,
    "qdrant_client.http.exceptions.UnexpectedResponse": Fate.BY_STATUS,
    "qdrant_client.http.exceptions.ResponseHandlingException": Fate.BY_SOURCE,
    "qdrant_client.common.client_exceptions.QdrantException": Fate.UNAVAILABLE,
    "qdrant_client.common.client_exceptions.ResourceExhaustedResponse": Fate.THROTTLED,
    "pydantic_core._pydantic_core.ValidationError": Fate.UNAVAILABLE,  # an answer that is not Qdrant's: a proxy's page
    "json.decoder.JSONDecodeError": Fate.UNAVAILABLE,
    "httpx.HTTPError": Fate.UNAVAILABLE,
    "httpx.StreamError": Fate.UNAVAILABLE,
    "httpx.InvalidURL": Fate.MISCONFIGURED,
    "httpx.UnsupportedProtocol": Fate.MISCONFIGURED,
    "httpx.LocalProtocolError": Fate.MISCONFIGURED,
    "httpx.CookieConflict": Fate.UNAVAILABLE,
    "grpc.RpcError": Fate.BY_STATUS,
}

STATUSES = {
    400: Fate.REFUSED,
    401: Fate.DENIED,
    403: Fate.DENIED,
    404: Fate.MISSING,
    408: Fate.UNAVAILABLE,
    409: Fate.REFUSED,
    413: Fate.REFUSED,
    422: Fate.REFUSED,
    425: Fate.UNAVAILABLE,
    429: Fate.THROTTLED,
    "CANCELLED": Fate.UNAVAILABLE,
    "UNKNOWN": Fate.UNAVAILABLE,
    "INVALID_ARGUMENT": Fate.REFUSED,
    "DEADLINE_EXCEEDED": Fate.UNAVAILABLE,
    "NOT_FOUND": Fate.MISSING,
    "ALREADY_EXISTS": Fate.REFUSED,
    "PERMISSION_DENIED": Fate.DENIED,
    "RESOURCE_EXHAUSTED": Fate.THROTTLED,
    "FAILED_PRECONDITION": Fate.REFUSED,
    "ABORTED": Fate.UNAVAILABLE,
    "OUT_OF_RANGE": Fate.REFUSED,
    "UNIMPLEMENTED": Fate.MISCONFIGURED,
    "INTERNAL": Fate.UNAVAILABLE,
    "UNAVAILABLE": Fate.UNAVAILABLE,
    "DATA_LOSS": Fate.UNAVAILABLE,
    "UNAUTHENTICATED": Fate.DENIED,
}
"""HTTP statuses and names of gRPC's. Other statuses: below 500 the request is refused, from 500 on the server is ill."""

_SAID: dict[Fate, tuple[type[StoreError], str]] = {
    Fate.UNAVAILABLE: (IndexUnavailable, "did not answer, or cannot answer now"),
    Fate.THROTTLED: (IndexThrottled, "asks to slow down"),
    Fate.MISSING: (
        IndexUnavailable,
        "lacks the collection or an index of it; run `scylla-store setup` (or store.setup())",
    ),
    Fate.DENIED: (IndexUnavailable, "does not accept index.api_key"),
    Fate.REFUSED: (IndexRefused, "refused the request"),
    Fate.MISCONFIGURED: (ConfigurationError, "cannot be used with these settings"),
}
"""A missing collection and a wrong key are no document's fault: documents wait until somebody has put them right."""


@contextmanager
def translated(server: str) -> Iterator[None]:
    """Raises what the client raises as an error of ours; other exceptions pass."""
    try:
        yield
    except Exception as exc:
        error = translate(exc, server)
        if error is None:
            raise
        raise error from exc


def translate(exc: BaseException, server: str) -> StoreError | None:
    """The error of ours that an exception of the client means, or None when it is none of the client's."""
    fate = fate_of(exc)
    if fate is None:
        return None
    kind, what = _SAID[fate]
    return kind(f"The vector index ({server}) {what}: {_summary(exc)}")


def fate_of(exc: BaseException) -> Fate | None:
    """What an exception says about the request; None when it is none of the client's."""
    for kind in type(exc).__mro__:
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        fate = FATES.get(f"{module}{kind.__qualname__}")
        if fate is Fate.BY_STATUS:
            return _by_status(exc)
        if fate is Fate.BY_SOURCE:
            return fate_of(_source(exc))
        if fate is not None:
            return fate
    return None


def _by_status(exc: Any) -> Fate:
    """UnexpectedResponse has a status code, gRPC's errors a method that tells it; a bare RpcError has neither."""
    status = getattr(exc, "status_code", None)
    if status is None:
        status = exc.code().name if callable(getattr(exc, "code", None)) else "UNKNOWN"
    if "Index required but not found" in _said(exc):
        return Fate.MISSING  # strict mode, and setup is not done yet
    if status in STATUSES:
        return STATUSES[status]
    return Fate.REFUSED if isinstance(status, int) and 400 <= status < 500 else Fate.UNAVAILABLE


def _source(exc: Any) -> BaseException:
    source: BaseException = exc.source
    return source


def _summary(exc: Any) -> str:
    """What happened, without the request."""
    if hasattr(exc, "source"):
        return _summary(exc.source)
    return f"{type(exc).__name__}: {' '.join(_said(exc).split())[:500]}"


def _said(exc: Any) -> str:
    return str(exc.details() if callable(getattr(exc, "details", None)) else exc)
