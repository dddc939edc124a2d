"""One sweep on its way through the slots: reads them in order, offers what is due, and ends when it has read enough."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from operator import attrgetter

from scylla_store.database.base import Push
from scylla_store.database.slot_tables import SlotTables
from scylla_store.intents import SHARDS, Entry, IntentKey

_PAGE = 500
_CHUNK = 500
_MAX_SLOTS = 250
_MAX_ROWS = 200_000
_NOTHING = 2**63
_key_of_entry = attrgetter("intent.key")


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
        self.seen = 0
        self.pushed = 0
        self.more = False

    def is_spent(self) -> bool:
        """Whether it has read as much as one sweep may; asked between slots only, or a large slot would never be finished."""
        return self._slots >= _MAX_SLOTS or self.seen >= _MAX_ROWS

    def visit(self, slot: int) -> tuple[int | None, bool]:
        """Offers what is due in a slot; returns the earliest next attempt of what stays, and whether it read all of it."""
        self._slots += 1
        earliest = _NOTHING
        due: list[Entry] = []
        for entry in entries_of_slot(self._tables, slot):
            if entry.next_attempt > self._now or entry.intent.key.due < self._since:
                earliest = min(earliest, entry.next_attempt)
            elif self._offered + len(due) >= self._limit:
                self.more = True
                break
            else:
                due.append(entry)
            self.seen += 1
            if len(due) == _CHUNK:
                earliest = min(earliest, self._offer(due))
                due = []
        if due:
            earliest = min(earliest, self._offer(due))
        return (None if earliest == _NOTHING else earliest), not self.more

    def _offer(self, due: Sequence[Entry]) -> int:
        """Pushes one chunk, stores what was taken, and returns the chunk's earliest next attempt."""
        self._offered += len(due)
        taken = list(self._push(due))
        if taken:
            self._tables.update(taken)
        self.pushed += len(taken)
        attempts = {row.key: row.next_attempt for row in taken}
        return min(attempts.get(entry.intent.key, entry.next_attempt) for entry in due)


def entries_of_slot(tables: SlotTables, slot: int) -> Iterator[Entry]:
    """Rows of all shards of a slot by due time, a page of each in memory."""
    return heapq.merge(*(_partition_entries(tables, slot, shard) for shard in range(SHARDS)), key=_key_of_entry)


def _partition_entries(tables: SlotTables, slot: int, shard: int) -> Iterator[Entry]:
    after: IntentKey | None = None
    while True:
        page = tables.page(slot, shard, after=after, limit=_PAGE)
        if page.halves:
            tables.remove(page.halves)
        yield from page.entries
        if page.last is None:
            return
        after = page.last
