"""Whether a URL names a broker that Celery knows."""

from __future__ import annotations

from urllib.parse import urlsplit

_COMMON = {"redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp", "memory", "sqs"}
"""Known without asking Celery's library, which takes a moment to import."""


def is_broker(url: str | None) -> bool:
    """Whether each of the URLs (with semicolons between) has a transport that there is, and a port that may be one."""
    return url is None or all(_is_known(part) for part in url.split(";") if part.strip())


def _is_known(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
        return (parts.port is None or parts.port > 0) and _has_transport(parts.scheme.partition("+")[0])
    except ValueError:
        return False


def _has_transport(name: str) -> bool:
    if name in _COMMON:
        return True
    from kombu.transport import resolve_transport

    try:
        resolve_transport(name)
    except KeyError:
        return False
    except ImportError:
        pass  # it is known, and the library that it needs is told when it is used
    return True
