"""Points for the contract of the index."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scylla_store.identity import ItemId, item_digest, item_slice, namespace_digest, point_id, prefix_digests
from scylla_store.index.base import NEVER, Index, IndexSpecification, Point, Question, Vector

DIMENSIONS = 4
RANGES = ("a", "b.a", r"a\.b")
SPECIFICATION = IndexSpecification(DIMENSIONS, "a model", ranges=len(RANGES))
made: list[Point] = []
"""What `point` made since the last `wipe`."""

NOW = 1_795_000_000_000_000
"""Microseconds."""


def point(
    key: str = "k",
    ordinal: int = 0,
    *,
    namespace: tuple[str, ...] = ("docs",),
    vector: Vector | None = (1.0, 0.0, 0.0, 0.0),
    version: int = NOW,
    fingerprint: str = "f",
    **payload: Any,
) -> Point:
    """A point as points.py makes them; further payload replaces what it would have."""
    item = ItemId(namespace, key)
    digest = item_digest(item)
    fields = {
        "item": digest,
        "version": version,
        "fingerprint": fingerprint,
        "slice": item_slice(digest),
        "namespace": list(namespace),
        "key": key,
        "tenant": namespace_digest(namespace[:1]),
        "prefixes": prefix_digests(namespace),
        "expires_at": NEVER,
        "ordinal": ordinal,
        **payload,
    }
    chosen = {name: value for name, value in fields.items() if value is not None}
    made.append(Point(point_id(digest, ordinal), vector, chosen))
    return made[-1]


def numbered(number: int, key: str = "k", **fields: Any) -> Point:
    """A point that somebody else wrote, under a number instead of a UUID."""
    made.append(replace(point(key, **fields), id=str(number)))
    return made[-1]


def wipe(index: Index) -> None:
    """Deletes what the tests made before, so that they can share a collection: making one takes long."""
    marks = {(one.id, mark) for one in made for mark in [*_texts(one.payload.get("fingerprint")), ""]}
    index.delete(sorted(marks))
    made.clear()
    assert index.count(prefix=None, now=0) == 0


def _texts(found: Any) -> list[str]:
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)]


def digest(key: str = "k", namespace: tuple[str, ...] = ("docs",)) -> str:
    """The digest of an item."""
    return item_digest(ItemId(namespace, key))


def angled(degrees: float) -> list[float]:
    """A vector whose cosine with the first axis is that of the angle."""
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0, 0.0]


def stored(index: Index, key: str = "k", namespace: tuple[str, ...] = ("docs",)) -> dict[str, tuple[int, str]]:
    """Version and fingerprint of each point of an item."""
    found = index.points_of([digest(key, namespace)])
    return {one.id: (one.version, one.fingerprint) for points in found.values() for one in points}


def keys(index: Index, *, prefix: Sequence[str] | None = None, now: int = NOW, **options: Any) -> list[str]:
    """Keys of what a query along the first axis finds, best first."""
    under = None if prefix is None else namespace_digest(prefix)
    options.setdefault("limit", 100)
    [found] = index.query([Question([1.0, 0.0, 0.0, 0.0], under, now, **options)])
    return [match.payload["key"] for match in found]


def count(index: Index, *, prefix: Sequence[str] | None = None, now: int = NOW) -> int:
    """Items under a prefix."""
    return index.count(prefix=None if prefix is None else namespace_digest(prefix), now=now)


def fresh_name() -> str:
    """A name that nobody has used for a collection."""
    return f"contract_{uuid.uuid4().hex[:12]}"
