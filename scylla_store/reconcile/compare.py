"""How the points of an item differ from its row, in one word. Pure: nothing is read here."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from scylla_store import planning
from scylla_store.clock import past_for_all
from scylla_store.errors import DamagedRow
from scylla_store.filters.facts import are_of_this_way, are_sound
from scylla_store.index.base import SeenPoint
from scylla_store.jobs import View
from scylla_store.points import Recipe, common_payload, drafts, has_whole_numbers
from scylla_store.rows import Row, row_hash


class Drift(str, enum.Enum):
    """A kind of difference between documents and index.

    MISSING: a document has no points. STALE: its points are of an earlier write, expiry or index spec. INCOMPLETE: some of its chunks
    are missing. WRONG_MODEL: they were made by another model or chunker. NEWER: they are newer than the document (a restored backup).
    EXPIRED: the document has expired, and it or its points are still there. ORPHAN: points of a document that does not exist.
    DAMAGED: a point whose payload does not make sense, or a row that cannot be decoded (which is only reported).
    """

    MISSING = "missing"
    STALE = "stale"
    ORPHAN = "orphan"
    WRONG_MODEL = "wrong_model"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"
    DAMAGED = "damaged"
    NEWER = "newer"


_OF_THE_RECIPE = ("model", "chunker")


def drift_of(
    view: View,
    seen: Sequence[SeenPoint],
    digest: str,
    recipe: Recipe,
    *,
    now: int,
    skew: int,
    full: bool = False,
    tokens: bool = True,
) -> Drift | None:
    """How the points that were seen differ from the row; None when they are what the row asks for.

    Args:
        view: the row at `now`; its `damage` says when it cannot be decoded.
        digest: of the item.
        now, skew: microseconds; an expired row is to be gone when no clock is before its expiry any more.
        full: also works the chunks out anew, and compares all that the points say of them.
        tokens: whether the points were read with what they say of the document, so that it can be checked.
    """
    row = view.row
    if view.damage is not None or (row is not None and row.is_visible(now) and not is_whole(row)):
        return Drift.DAMAGED
    if not all(point.is_plain for point in seen):
        return Drift.DAMAGED
    if any(point.version > view.version for point in seen) and row is not None:
        return Drift.NEWER
    if row is None:
        return Drift.ORPHAN if seen else None
    if not view.live:
        return _drift_of_the_dead(row, seen, now=now, skew=skew)
    if not seen:
        return Drift.MISSING
    common = common_payload(row, recipe, digest, view.mark)
    ranges = recipe.ranges
    wrong = {kind for kind in (_wrong(point.payload, common, ranges, tokens) for point in seen) if kind is not None}
    if wrong:
        return next(kind for kind in (Drift.DAMAGED, Drift.STALE, Drift.WRONG_MODEL) if kind in wrong)
    if any(_count(point) != len(seen) for point in seen) or sorted(map(_ordinal, seen)) != list(range(len(seen))):
        return Drift.INCOMPLETE
    return Drift.DAMAGED if full and not _is_exact(view, row, seen, recipe) else None


def is_whole(row: Row) -> bool:
    """Whether the body is the one that the head was written with."""
    body = row.body
    return body is not None and body[:16] == row.head.write_id and row_hash(body[16:]) == row.head.row_hash


def changed_at(view: View, skew: int) -> int:
    """When the item last changed what the index shall hold: by a write, a refresh, a dead letter or its expiry (microseconds)."""
    row = view.row
    if row is None:
        return 0
    times = [row.version]
    if view.letter is not None:
        times.append(view.letter[1])
    if row.expires_at is not None and row.head.expires_at is not None:
        times.append(row.version + row.expires_at - row.head.expires_at)  # it was refreshed then
        if not view.live:
            times.append(past_for_all(row.expires_at, skew))
    return max(times)


def _is_exact(view: View, row: Row, seen: Sequence[SeenPoint], recipe: Recipe) -> bool:
    """Whether the points are what the chunks give; no when there is no telling, because the document makes no sense."""
    try:
        return planning.is_indexed(seen, drafts(row, recipe, anchor_only=view.anchor_only))
    except DamagedRow:
        return False


def _drift_of_the_dead(row: Row, seen: Sequence[SeenPoint], *, now: int, skew: int) -> Drift | None:
    """A row that has no place in the index: deleted, not searchable, or expired."""
    if row.head.deleted:
        return Drift.ORPHAN if seen else None
    if row.is_visible(now):
        return Drift.STALE if seen else None
    is_over = row.expires_at is not None and past_for_all(row.expires_at, skew) <= now
    return Drift.EXPIRED if is_over else None


def _wrong(payload: dict[str, Any], common: dict[str, Any], ranges: tuple[str, ...], tokens: bool) -> Drift | None:
    """What is wrong with one point of a live row."""
    if common.items() <= payload.items() and has_whole_numbers(payload):
        is_sound = are_sound(payload, ranges) if tokens else are_of_this_way(payload, ranges)
        return None if is_sound else Drift.DAMAGED
    fields = {field for field, value in common.items() if payload.get(field) != value}
    if fields & {"version", "write"}:
        return Drift.STALE
    if fields & set(_OF_THE_RECIPE):
        return Drift.WRONG_MODEL
    return Drift.STALE if "fingerprint" in fields else Drift.DAMAGED


def _ordinal(point: SeenPoint) -> int:
    ordinal: Any = point.payload.get("ordinal")
    return ordinal if isinstance(ordinal, int) else -1


def _count(point: SeenPoint) -> int:
    count: Any = point.payload.get("count")
    return count if isinstance(count, int) else -1
