"""One question of a search on its way: what the index found, what the database said of it, and whether more is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from scylla_store.hits import Asked, hit_of
from scylla_store.identity import ItemId, namespace_digest
from scylla_store.index.base import Match, Question, Vector
from scylla_store.items import Hit
from scylla_store.rows import Row

_LEAST_FETCH = 20


class Found(NamedTuple):
    """A hit, and the row that it was made of."""

    hit: Hit
    row: Row


class Inquiry:
    """Asks for the nearest items, one hit an item, its best chunk, until there are enough of them or no more.

    Each round asks for the best points anew, twice as many: with an offset, points of one score could be met twice or never,
    because the index keeps no order among them. It looks at `most` points (`limits.max_scanned`), or twice what is wanted:
    some may be of items that are gone, or let through by a filter in vain.

    Attributes:
        found: by item, in the order in which they were found.
        is_partial: whether it gave up before there were enough, so that there may be more.
    """

    def __init__(self, asked: Asked, vector: Vector, most: int) -> None:
        self._asked = asked
        self._vector = vector
        self._most = most if asked.where is not None else max(most, 2 * asked.wanted)
        self._size = min(self._most, max(_LEAST_FETCH, 2 * asked.wanted))
        self._looked_at = 0
        self._tried: set[ItemId] = set()
        self._unread: dict[ItemId, Match] = {}
        self._is_over = False
        self.found: dict[ItemId, Found] = {}
        self.is_partial = False

    def goes_on(self) -> bool:
        """Whether the index has to be asked (again)."""
        if self._is_over or not self._lacking:
            return False
        self.is_partial = self._looked_at >= self._most
        return not self.is_partial

    def question(self, now: int) -> Question:
        """The points that the index is asked for next."""
        asked = self._asked
        prefix = namespace_digest(asked.namespace) if asked.namespace else None
        return Question(self._vector, prefix, now, self._size, asked.min_score, asked.condition)

    def take(self, found: Sequence[Match]) -> None:
        """The index's answer: of each item that was not tried before its best point."""
        self._is_over = len(found) < self._size
        self._looked_at, self._size = self._size, min(self._most, 2 * self._size)
        self._unread = {}
        prefix = self._asked.namespace
        for match in found:
            item = _item_of(match)
            if item is not None and item not in self._tried and item.namespace[: len(prefix)] == prefix:
                self._unread.setdefault(item, match)
        self._tried.update(self._unread)

    def next_items(self, *, rest: bool) -> list[ItemId]:
        """Items to be read: as many as are wanted, or all the others, if some of those are gone or do not match."""
        return list(islice(self._unread, None if rest else self._lacking)) if self._lacking else []

    def judge(self, items: Sequence[ItemId], rows: Mapping[ItemId, Row]) -> None:
        """What a reader sees of them now."""
        for item in items:
            match, row = self._unread.pop(item), rows.get(item)
            hit = hit_of(row, match, self._asked) if row is not None and self._lacking else None
            if row is not None and hit is not None:
                self.found[item] = Found(hit, row)

    def best(self) -> list[Found]:
        """What was found, best first: what a later request brings may be nearer than what an earlier one did."""
        return sorted(self.found.values(), key=lambda one: one.hit.score, reverse=True)

    @property
    def _lacking(self) -> int:
        return self._asked.wanted - len(self.found)


def _item_of(match: Match) -> ItemId | None:
    """Whose point it is; None when it does not say: reconciliation sees to such points."""
    namespace, key = match.payload.get("namespace"), match.payload.get("key")
    is_sound = isinstance(namespace, list) and all(isinstance(label, str) for label in namespace) and isinstance(key, str)
    return ItemId(tuple(namespace or ()), str(key)) if is_sound else None
