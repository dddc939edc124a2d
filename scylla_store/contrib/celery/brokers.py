"""Broker URLs: compared, and their TLS options."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from scylla_store.settings.options import TlsSettings

_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "pyamqp": 5672, "amqps": 5671, "sentinel": 26379}


def same_broker(one: str, other: str) -> bool:
    """Whether two URLs name the same queues: default ports and databases count, credentials and options do not."""
    return _places(one) == _places(other)


def _places(url: str) -> list[tuple[str, str | None, int | None, str]]:
    return [_place(part) for part in url.split(";")]


def _place(url: str) -> tuple[str, str | None, int | None, str]:
    parts = urlsplit(url)
    scheme = parts.scheme.removeprefix("py")
    host = "localhost" if parts.hostname in (None, "127.0.0.1", "::1") else parts.hostname
    database = parts.path.strip("/") or ("0" if scheme.startswith("redis") else "")
    return scheme.removesuffix("s"), host, parts.port or _PORTS.get(parts.scheme), database


def is_redis(url: str) -> bool:
    """Whether the broker is Redis (or Valkey and others that speak its protocol)."""
    return urlsplit(url).scheme in ("redis", "rediss", "sentinel")


def tls_options(tls: TlsSettings, url: str) -> dict[str, Any] | None:
    """What kombu wants to know about TLS; None without it. Redis and AMQP want other names."""
    if not tls.enabled:
        return None
    options: dict[str, Any] = {
        "cert_reqs": ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE,
        "ca_certs": tls.ca_file,
        "certfile": tls.cert_file,
        "keyfile": tls.key_file,
        "check_hostname": tls.verify,
    }
    known = {name: value for name, value in options.items() if value is not None}
    return {f"ssl_{name}": value for name, value in known.items()} if is_redis(url) else known
