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
    item: Any = payload.get("item")
    version: Any = payload.get("version")
    mark: Any = payload.get("fingerprint")
    if type(item) is str and type(version) is int and version >= 0 and type(mark) is str and item and mark:
        return SeenPoint(identifier, item, version, mark, payload)
    return SeenPoint(identifier, item if isinstance(item, str) else "", 0, "", payload)


def is_unchanged(payload: dict[str, Any] | None, fingerprint: str) -> bool:
    """Whether a stored payload still has the fingerprint that was seen; "" is that of one that does not parse."""
    stored = (payload or {}).get("fingerprint") if fingerprint else seen_point("", payload).fingerprint
    return bool(stored == fingerprint)
