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

WHERE = ["slice", "ordinal", "count"]
"""What says where a point belongs."""

_LARGEST = 2**63 - 1
"""What the engine's whole numbers can be at most."""

UNREAD = [TOKENS]
"""What no reader of a match needs: most of a payload's bytes."""

TENANT = "tenant"
"""The field that Qdrant keeps the points of one tenant together by."""


def indexed_fields(ranges: int) -> dict[str, str]:
    """The fields that have an index, with its type, when so many range fields are declared."""
    ranks = [field_of(position, part) for position in range(ranges) for part in range(PARTS)]
    return {**INDEXED, **dict.fromkeys(ranks, "integer")}


def seen_point(identifier: str, payload: dict[str, Any] | None) -> SeenPoint:
    """A point as the conditions of `Filters` take it: what we believe of it and what the engine does to it must not differ."""
    payload = payload or {}
    item: Any = payload.get("item")
    version: Any = payload.get("version")
    mark: Any = payload.get("fingerprint")
    if type(item) is not str or type(mark) is not str or type(version) is not int or version > _LARGEST:
        item, version, mark = text(item), whole_number(version), text(mark)
    if item and mark and version is not None and version >= 0:
        return SeenPoint(identifier, item, version, mark, payload)
    return SeenPoint(identifier, item, 0, "", payload)


def text(found: Any) -> str:
    """The text by which the engine knows a field: of a list the first that is not empty; "" when there is none."""
    if type(found) is str:
        return found
    return next((each for each in found if isinstance(each, str) and each), "") if isinstance(found, list) else ""


def whole_number(found: Any) -> int | None:
    """The number by which the engine knows a field: of a list the largest; None when there is no whole one."""
    if type(found) is int and abs(found) <= _LARGEST:
        return found
    numbers = map(_whole, found if isinstance(found, list) else [found])
    return max((number for number in numbers if number is not None), default=None)


def _whole(found: Any) -> int | None:
    """A number with a point is whole when nothing comes behind it. What has no 64 bits is one: 2^63 counts, as the largest."""
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not abs(found) < 2**64:
        return None
    number = found if abs(found) <= _LARGEST else float(found)
    return min(int(number), _LARGEST) if number == int(number) and abs(number) <= _LARGEST + 1 else None


def has_tokens(payload: dict[str, Any]) -> bool:
    """Whether there are tokens in the payload; `Filters.of_items` says the same to the engine."""
    found = payload.get(TOKENS)
    return isinstance(found, list) and any(isinstance(token, str) and token for token in found)


def is_unchanged(payload: dict[str, Any] | None, fingerprint: str) -> bool:
    """Whether a stored payload still has the fingerprint that was seen; "" is that of one that does not parse."""
    stored: Any = (payload or {}).get("fingerprint") if fingerprint else seen_point("", payload).fingerprint
    return fingerprint in stored if isinstance(stored, list) else bool(stored == fingerprint)
