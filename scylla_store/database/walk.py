"""One sweep on its way through the slots: reads them in order, offers what is due, and ends when it has read enough."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from scylla_store.database.base import Push
from scylla_store.database.slot_tables import Page, SlotTables, Straggler
from scylla_store.intents import SHARDS, Entry, IntentKey

_PAGE = 500
_CHUNK = 500
_STRETCH = 16
_MAX_SLOTS = 500
_MAX_ROWS = 200_000
_NOTHING = 2**63
_key_of_entry = attrgetter("intent.key")

_T = TypeVar("_T")
Visited = tuple[int, "Straggler | None", "int | None", bool]
"""A slot, its note, the earliest next attempt of what stays in it, and whether all of it was read."""
Place = tuple[int, Sequence[int]]
"""A slot, and those of its shards that are read."""


@dataclass
class _Visit:
    """A slot that is being read."""

    slot: int
    straggler: Straggler | None
    earliest: int = _NOTHING
    whole: bool = True

    def stays(self, attempt: int) -> None:
        """Something stays in it until then."""
        self.earliest = min(self.earliest, attempt)

    def result(self) -> Visited:
        return self.slot, self.straggler, None if self.earliest == _NOTHING else self.earliest, self.whole


class Walk:
    """What one sweep has done so far, and whether it may do more."""

    def __init__(self, tables: SlotTables, now: int, limit: int, push: Push, *, since: int = 0) -> None:
        self._tables = tables
        self._now = now
        self._since = since
        self._limit = limit
        self._push = push
        self._slots = 0
        self._offered = 0
        self._due: list[tuple[_Visit, Entry]] = []
        self.seen = 0
        self.pushed = 0
        self.more = False

    def over(self, slots: Iterable[tuple[int, Straggler | None]]) -> Iterator[Visited]:
        """Visits slots in order; each one comes when all that it offered is stored. The last one may not be whole.

        Rows of several slots are offered together, or a backlog that is spread over a day would go in tasks of a few.
        """
        waiting: list[_Visit] = []
        for visit, entries in self._read(slots):
            waiting.append(visit)
            for entry in entries:
                if not self._gather(visit, entry):
                    break
                if len(self._due) >= _CHUNK:
                    if not self._offer():
                        return
                    yield from (before.result() for before in waiting[:-1])
                    del waiting[:-1]
            if not visit.whole:
                break
        if not self._due or self._offer():
            yield from (visit.result() for visit in waiting)

    def _read(self, slots: Iterable[tuple[int, Straggler | None]]) -> Iterator[tuple[_Visit, Iterator[Entry]]]:
        """Ends between two slots when it has read as much as one sweep may, or a large slot would never be finished."""
        for stretch in _stretches(slots):
            found = _entries_of_stretch(self._tables, [(slot, range(SHARDS)) for slot, _ in stretch])
            for (slot, straggler), entries in zip(stretch, found, strict=True):
                if self._slots >= _MAX_SLOTS or self.seen >= _MAX_ROWS:
                    self.more = True
                    return
                self._slots += 1
                yield _Visit(slot, straggler), entries

    def _gather(self, visit: _Visit, entry: Entry) -> bool:
        """Keeps an entry that is due for the next offer; False when no more may be offered."""
        if entry.next_attempt > self._now or entry.intent.key.due < self._since:
            visit.stays(entry.next_attempt)
        elif self._offered + len(self._due) >= self._limit:
            self.more = True
            visit.whole = False
            return False
        else:
            self._due.append((visit, entry))
        self.seen += 1
        return True

    def _offer(self) -> bool:
        """Pushes what was gathered and stores what was taken; False when no more is wanted."""
        due, self._due = self._due, []
        taken = self._push([entry for _, entry in due])
        if taken is None:
            self.more = True
            return False
        self._offered += len(due)
        self.pushed += len(taken)
        if taken:
            self._tables.update(taken)
        attempts = {row.key: row.next_attempt for row in taken}
        for visit, entry in due:
            visit.stays(attempts.get(entry.intent.key, entry.next_attempt))
        return True


def entries_of(tables: SlotTables, places: Iterable[Place]) -> Iterator[Entry]:
    """Rows of slots, those of each slot by due time."""
    for stretch in _stretches(places):
        for entries in _entries_of_stretch(tables, stretch):
            yield from entries


def _stretches(slots: Iterable[_T]) -> Iterator[list[_T]]:
    """A few slots at a time, whose first pages are read at once."""
    slots = iter(slots)
    while stretch := list(itertools.islice(slots, _STRETCH)):
        yield stretch


def _entries_of_stretch(tables: SlotTables, places: Sequence[Place]) -> list[Iterator[Entry]]:
    """Rows of all those shards of each slot by due time, a page of each in memory."""
    partitions = [(slot, shard) for slot, shards in places for shard in shards]
    pages = iter(tables.pages(partitions, max(1, _PAGE // len(places))))
    return [
        heapq.merge(*[_rows(tables, slot, shard, next(pages)) for shard in shards], key=_key_of_entry)
        for slot, shards in places
    ]


def _rows(tables: SlotTables, slot: int, shard: int, page: Page) -> Iterator[Entry]:
    while True:
        if page.halves:
            tables.remove(page.halves)
        yield from page.entries
        after: IntentKey | None = page.last
        if after is None:
            return
        page = tables.page(slot, shard, after=after, limit=_PAGE)
