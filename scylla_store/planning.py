"""Decisions of the sync protocol, as pure functions of one row, its refs and its points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scylla_store.index.base import SeenPoint
from scylla_store.intents import Intent, Kind, Ref
from scylla_store.points import Draft, has_whole_numbers
from scylla_store.rows import Row

_MAY_BE_YOUNG = (Kind.WRITE, Kind.REFRESH)


@dataclass
class Plan:
    """What one item needs: deletes first, then upserts, then the deletes of what is left over."""

    deletes: list[tuple[str, str]] = field(default_factory=list)
    upserts: list[Draft] = field(default_factory=list)
    surplus: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.deletes or self.upserts or self.surplus)


def is_young(refs: Sequence[Ref], row: Row | None, *, t0: int, margin: int) -> bool:
    """Whether a write of these refs may still be on its way: not older than the row (or unknown to it), and younger than the margin."""
    return any(_is_ahead(ref.intent, row) and _is_recent(ref.intent, t0, margin) for ref in refs)


def needs_serial(refs: Sequence[Ref], row: Row | None) -> bool:
    """Whether an intent without version is not the row's write: its conditional write has to be settled first."""
    return any(ref.intent.version is None and not _is_write_of(ref.intent, row) for ref in refs)


def needs_another_look(seen: Sequence[SeenPoint], row: Row | None, fingerprint: str) -> bool:
    """Whether a point that is not the row's looks as new as the row or newer: then the row may have changed."""
    version = 0 if row is None else row.version
    return any(point.fingerprint != fingerprint and point.version >= version for point in seen)


def is_indexed(seen: Sequence[SeenPoint], target: Sequence[Draft]) -> bool:
    """Whether the points are exactly the target."""
    wanted = {draft.id: draft for draft in target}
    return len(seen) == len(wanted) and all(point.id in wanted and _is_right(point, wanted[point.id]) for point in seen)


def plan(seen: Sequence[SeenPoint], target: Sequence[Draft], *, version: int, live: bool) -> Plan:
    """Steps 6 and 7 of the protocol. `version` is the row's (0 when there is none)."""
    anchors = {draft.id: draft for draft in target if draft.text is None}
    doomed = {
        point.id
        for point in seen
        if not live or point.version > version or _would_keep_its_vector(point, anchors.get(point.id))
    }
    kept = {point.id: point for point in seen if point.id not in doomed}
    wanted = {draft.id for draft in target}
    return Plan(
        deletes=[(point.id, point.fingerprint) for point in seen if point.id in doomed],
        upserts=[draft for draft in target if not _is_right(kept.get(draft.id), draft)],
        surplus=[(point.id, point.fingerprint) for point in kept.values() if point.id not in wanted],
    )


def _would_keep_its_vector(point: SeenPoint, anchor: Draft | None) -> bool:
    """Whether an anchor takes the place of a point that may have a vector.

    Qdrant keeps the old vector of a point that is written without one while an optimizer moves it, and the anchor would be
    found by a text that is gone. So the point, which is wrong anyhow, is deleted first.
    """
    return anchor is not None and not _is_right(point, anchor) and point.payload.get("text_hash") != ""


def _is_right(point: SeenPoint | None, draft: Draft) -> bool:
    """Whether the point is the draft's, to the last field: what became of a payload by other hands is repaired too."""
    return point is not None and point.payload == draft.payload and has_whole_numbers(point.payload)


def _is_write_of(intent: Intent, row: Row | None) -> bool:
    return row is not None and row.head.write_id == intent.write_id


def _is_ahead(intent: Intent, row: Row | None) -> bool:
    if intent.kind not in _MAY_BE_YOUNG:
        return False
    if intent.version is None:
        return not _is_write_of(intent, row)
    # Of two writes with one version a delete wins, else the larger write id: whichever the row is, the other may be to come.
    return (
        row is None or intent.version > row.version or (intent.version == row.version and not _is_write_of(intent, row))
    )


def _is_recent(intent: Intent, t0: int, margin: int) -> bool:
    return t0 < intent.filed_at + margin
