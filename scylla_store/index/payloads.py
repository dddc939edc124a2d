"""What the index reads in a payload: which fields have an index of their own, and when a payload makes sense."""

from __future__ import annotations

from typing import Any

from scylla_store.filters.facts import TOKENS
from scylla_store.filters.ranks import PARTS, field_of
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
    "created_at": "integer",
    "facts": "keyword",
    "tokens": "keyword",
}
"""Fields that requests filter by, with the type of their index: Qdrant's strict mode refuses all others."""

WHOSE = ["item", "version", "fingerprint", "namespace", "key"]
"""What says whose a point is."""

UNREAD = [TOKENS]
"""What no reader of a match needs: most of a payload's bytes."""

TENANT = "tenant"
"""The field that Qdrant keeps the points of one tenant together by."""


def indexed_fields(ranges: int) -> dict[str, str]:
    """The fields that have an index, with its type, when so many range fields are declared."""
    ranks = [field_of(position, part) for position in range(ranges) for part in range(PARTS)]
    return {**INDEXED, **dict.fromkeys(ranks, "integer")}


def seen_point(identifier: str, payload: dict[str, Any] | None) -> SeenPoint:
    """A point as it is stored; `Filters.sound` says the same to the engine."""
    payload = payload or {}
    item: Any = payload.get("item")
    version: Any = payload.get("version")
    mark: Any = payload.get("fingerprint")
    if type(item) is str and type(version) is int and version >= 0 and type(mark) is str and item and mark:
        return SeenPoint(identifier, item, version, mark, payload)
    return SeenPoint(identifier, item if isinstance(item, str) else "", 0, "", payload)


def has_tokens(payload: dict[str, Any]) -> bool:
    """Whether there are tokens in the payload; `Filters.of_items` says the same to the engine."""
    found = payload.get(TOKENS)
    return isinstance(found, list) and any(isinstance(token, str) and token for token in found)


def is_unchanged(payload: dict[str, Any] | None, fingerprint: str) -> bool:
    """Whether a stored payload still has the fingerprint that was seen; "" is that of one that does not parse."""
    stored = (payload or {}).get("fingerprint") if fingerprint else seen_point("", payload).fingerprint
    return bool(stored == fingerprint)
