"""What must hold when all is calm: no acknowledged write is lost, and the index equals the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scylla_store.clock import Clock
from scylla_store.database.memory import MemoryDatabase
from scylla_store.embedders import HashingEmbedder
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import Point, Vector
from scylla_store.index.memory import MemoryIndex
from scylla_store.items import SyncStatus
from scylla_store.points import Draft, Recipe, drafts, fingerprint
from scylla_store.receipts import Receipt
from scylla_store.rows import Row, decode, unstamp
from tests.simulation.faults import DEADLY, POISON

_ENDS = {SyncStatus.SYNCED, SyncStatus.SUPERSEDED, SyncStatus.NOT_INDEXED}


@dataclass(frozen=True)
class Acknowledged:
    """What a writer was told, and the document that it wrote (None: a delete), and for how many seconds."""

    item: ItemId
    receipt: Receipt
    value: dict[str, Any] | None
    ttl: float | None = None


class Judge:
    """Looks at the stores themselves. `is_cured`: whatever could not be embedded can be now."""

    def __init__(
        self,
        items: Sequence[ItemId],
        database: MemoryDatabase,
        index: MemoryIndex,
        recipe: Recipe,
        written: Mapping[tuple[ItemId, int], set[bytes]],
        dimensions: int,
    ) -> None:
        self.items = items
        self._database = database
        self._index = index
        self._recipe = recipe
        self._written = written
        self.is_cured = False
        self._embedder = HashingEmbedder(dimensions)

    def over(self, database: MemoryDatabase) -> Judge:
        """The same judge of another database."""
        other = Judge(self.items, database, self._index, self._recipe, self._written, self._embedder.dimensions)
        other.is_cured = self.is_cured
        return other

    def row(self, item: ItemId) -> Row | None:
        return decode(self._database.read([item]).get(item))

    def right_points(self, item: ItemId, now: int) -> set[str]:
        """Ids of points that are as the current row wants them; none where that is not sure: ties, expiry."""
        row = self.row(item)
        if row is None or not row.is_live(now) or row.expires_at is not None:
            return set()
        if len(self._written.get((item, row.version), ())) > 1:
            return set()
        digest, mark = item_digest(item), fingerprint(row, self._recipe)
        return {point.id for point in self._index.points_of([digest]).get(digest, []) if point.fingerprint == mark}

    def check(self, writes: Sequence[Acknowledged], now: int, *, letters: bool, innocents: bool = True) -> None:
        """Raises AssertionError with what is wrong.

        `letters`: whether documents may have ended as dead letters; `innocents`: also those that only died with their worker,
        or of which attempts were counted that nobody could give back.
        """
        for item in self.items:
            row = self.row(item)
            self._check_points(item, row, now, letters)
            self._check_letter(item, row, now, innocents)
            for write in writes:
                if write.item == item:
                    self._check_write(write, row, now)

    def _check_points(self, item: ItemId, row: Row | None, now: int, letters: bool) -> None:
        digest = item_digest(item)
        points = {point.id: point.payload for point in self._index.points_of([digest]).get(digest, [])}
        target: list[Draft] = []
        if row is not None and row.is_live(now):
            dead = self._is_dead(row)
            assert letters or not dead, f"{item.key} has a letter"
            target = drafts(row, self._recipe, anchor_only=dead)
        expected = {draft.id: draft.payload for draft in target}
        assert points == expected, f"{item.key}: index {_short(points)} documents {_short(expected)}"
        marks = [(draft.id, draft.payload["fingerprint"]) for draft in target]
        vectors = self._index.vectors(marks)
        for draft in target:
            self._check_vector(draft, vectors.get(draft.id))

    def _check_vector(self, draft: Draft, vector: Vector | None) -> None:
        if draft.text is None:
            assert vector is None
            return
        assert vector is not None, f"{draft.id} has no vector"
        [expected] = self._embedder.embed([draft.text])
        assert np.allclose(vector, expected, atol=1e-5), f"{draft.id} has the vector of another text"

    def _check_letter(self, item: ItemId, row: Row | None, now: int, innocents: bool) -> None:
        letter = self._database.letter(item_digest(item))
        if letter is not None:
            assert row is not None, f"{item.key} has a letter and no row"
            assert letter.write_id == row.head.write_id, f"{item.key} has the letter of another write"
            assert row.is_live(now), f"{item.key} has a letter and nothing to embed"
            assert self._is_dead(row), f"{item.key} has a letter without a mark"
            assert innocents or is_bad(row), f"{item.key} has a letter for what is no fault of it"
        elif row is not None:
            assert not self._is_dead(row), f"{item.key} has a mark without a letter"
            if row.is_live(now) and not self.is_cured:
                assert not is_bad(row), f"{item.key} cannot be embedded and has no letter"

    def _is_dead(self, row: Row) -> bool:
        return row.letter is not None and unstamp(row.letter, row.id)[0] == row.head.write_id

    def _check_write(self, write: Acknowledged, row: Row | None, now: int) -> None:
        """P1: its version or a newer one is there; of its own version it is this value or a tie's."""
        receipt = write.receipt
        assert row is not None, f"{write} is lost, there is no row"
        assert row.version >= (receipt.version or 0), f"{write} is lost, the row has {row.version}"
        if row.head.write_id == receipt.write_id and row.is_visible(now):
            assert row.value() == write.value, f"{write} has another value"
        if row.head.write_id == receipt.write_id and write.value is not None and write.ttl is None:
            assert not row.head.deleted, f"{write} was deleted by nobody"
        assert row.head.deleted or row.is_visible(now), f"{write.item.key} has expired and was not cleaned up"

    def check_receipts(self, writes: Iterable[Acknowledged]) -> None:
        """Every receipt says how its write ended."""
        for write in writes:
            status = write.receipt.status()
            if status is SyncStatus.DEAD:
                assert self._database.letter(item_digest(write.item)), f"{write} is dead without a letter"
            else:
                assert status in _ENDS, f"{write} is {status}"


class Watch:
    """The index, seen at every change: a point that is right for the current row stays right.

    That is so for all but writes that drew the same version, while their own workers repair it. `harm` says where it was
    not: an error raised here would be taken for one of the index.
    """

    def __init__(self, judge: Judge, index: MemoryIndex, clock: Clock, *, is_off: bool) -> None:
        self._judge = judge
        self._index = index
        self._clock = clock
        self._is_off = is_off
        self.harm: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def upsert(self, points: Sequence[Point], *, at_most: int) -> None:
        items = {ItemId(tuple(point.payload["namespace"]), point.payload["key"]) for point in points}
        self._check(items, lambda: self._index.upsert(points, at_most=at_most))

    def delete(self, points: Sequence[tuple[str, str]]) -> None:
        self._check(self._judge.items, lambda: self._index.delete(points))

    def _check(self, items: Iterable[ItemId], action: Callable[[], None]) -> None:
        right = {} if self._is_off else {item: self._judge.right_points(item, self._clock()) for item in items}
        action()
        for item, before in right.items():
            lost = before - self._judge.right_points(item, self._clock())
            if lost:
                self.harm.append(f"{len(lost)} right points of {item.key} were harmed")


def is_bad(row: Row) -> bool:
    """Whether its text cannot be embedded."""
    text = str(row.value())
    return POISON in text or DEADLY in text


def _short(points: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {
        ident[:4]: (payload.get("version"), payload.get("fingerprint", "")[:6], payload.get("text_hash", "")[:6])
        for ident, payload in points.items()
    }
