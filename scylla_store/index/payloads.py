"""What the index reads in a payload: which fields have an index of their own, and when a payload makes sense."""

from __future__ import annotations

from typing import Any

from scylla_store.index.base import SeenPoint

INDEXED = {
    "item": "keyword",
    "version": "integer",
    "fingerprint": "keyword",
    "slice": "integer",
    "tenant": "keyword",
    "prefixes": "keyword",
    "expires_at": "integer",
    "ordinal": "integer",
}
"""Fields that requests filter by, with the type of their index: Qdrant's strict mode refuses all others."""

TENANT = "tenant"
"""The field that Qdrant keeps the points of one tenant together by."""


def seen_point(identifier: str, payload: dict[str, Any] | None) -> SeenPoint:
    """A point as it is stored; `Filters.sound` says the same to the engine."""
    payload = payload or {}
    item, version, fingerprint = payload.get("item"), payload.get("version"), payload.get("fingerprint")
    item = item if isinstance(item, str) else ""
    if item and _is_version(version) and isinstance(fingerprint, str) and fingerprint:
        return SeenPoint(identifier, item, version, fingerprint, payload)
    return SeenPoint(identifier, item, 0, "", payload)


def _is_version(version: object) -> bool:
    return isinstance(version, int) and not isinstance(version, bool) and version >= 0
