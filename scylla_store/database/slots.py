"""The outbox over time slots: which partitions a drain reads, and how it knows that it may pass one for good.

A slot is ten seconds of first due time, in eight shards. A sweep reads the slots from the watermark to now. The watermark
stays a minute behind now; before it passes a slot that still holds rows, the slot is noted as a straggler with the
earliest next attempt among them, and is read again only then. Rows never move. What a wrong clock or a paused writer
filed behind the watermark is found by a slow pass over all partitions, once an hour.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

from scylla_store.clock import SECOND, Clock, system_clock
from scylla_store.database.base import OutboxSummary, Push, Sweep
from scylla_store.intents import SHARDS, SLOT, Bookkeeping, Entry, Intent, IntentKey, Kind

BEHIND = 60 * SECOND
"""How far the watermark stays behind now: a write on its way, and clocks that differ, stay on its right side."""

SLOW_PASS_EVERY = 3600 * SECOND
SLOW_PASS = "outbox.slow_pass"
_AHEAD = 300 * SECOND
_PAGE = 500
_CHUNK = 500
_MAX_SLOTS = 250
_MAX_SLOTS_COUNTED = 2_000
_MAX_ROWS = 200_000
_MAX_PARTITIONS = 2_000
_NOTHING = 2**63
_key_of_entry = attrgetter("intent.key")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one partition, in the order of their keys.

    Attributes:
        entries: whole rows.
        halves: keys of rows that hold bookkeeping but no intent: it came after the row was acked and forgotten.
        last: where to go on, None when the partition has no more rows.
    """

    entries: Sequence[Entry]
    halves: Sequence[IntentKey] = ()
    last: IntentKey | None = None


@dataclass(frozen=True, slots=True)
class Straggler:
    """A slot that may lie behind the watermark and holds rows.

    Attributes:
        earliest: when it is to be read again: the earliest next attempt of its rows, in microseconds.
        timestamp: write time of this note.
    """

    slot: int
    earliest: int
    timestamp: int


class SlotTables(Protocol):
    """Storage under the slotted outbox. The cells have write times, as everywhere (see `database.base`): that of an insert
    is below that of any bookkeeping, and that below the write time of any ack, whenever they are made."""

    def write(self, intents: Sequence[Intent]) -> None:
        """Writes rows; their next attempt is `due`."""

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """Writes bookkeeping; the later one wins; it may leave half a row when the row is gone."""

    def remove(self, keys: Sequence[IntentKey]) -> None:
        """Deletes rows, whole or half: no insert or bookkeeping that comes later revives them."""

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """Those of the rows that exist and are whole."""

    def page(self, slot: int, shard: int, *, after: IntentKey | None, limit: int) -> Page:
        """At most `limit` rows of one partition, by key, after `after`."""

    def partitions(self, cursor: str | None, limit: int) -> tuple[Sequence[tuple[int, int]], str | None]:
        """About `limit` partitions (slot, shard) that hold rows, in any stable order after the cursor of an earlier call
        (None: from the start); and the cursor to go on, None at the end."""

    def watermark(self) -> int | None:
        """The first slot that was not passed yet; None before the first one is set."""

    def raise_watermark(self, slot: int) -> None:
        """Sets the watermark unless it is higher already, whatever the clocks of those who set it."""

    def stragglers(self) -> Iterable[Straggler]:
        """All of them by slot, read piece by piece."""

    def stragglers_of(self, slots: Sequence[int]) -> Mapping[int, Straggler]:
        """Those of these slots."""

    def note(self, stragglers: Sequence[Straggler]) -> None:
        """Writes notes, each at its own write time; they replace earlier ones of the same slot."""

    def strike(self, straggler: Straggler) -> None:
        """Removes the note at its own write time: a later one stays."""

    def state(self, name: str) -> bytes | None:
        """A small named value."""

    def set_state(self, name: str, value: bytes) -> None:
        """Stores a small named value."""


class SlottedOutbox:
    """An `Outbox` over slot tables. Safe to use from several processes at once: they may repeat work, never skip it."""

    def __init__(self, tables: SlotTables, *, clock: Clock = system_clock) -> None:
        self._tables = tables
        self._clock = clock

    def prepare(self, now: int) -> None:
        """Sets the first watermark; called by setup, and harmless afterwards."""
        if self._tables.watermark() is None:
            self._tables.raise_watermark(_passable(now))

    def file(self, intents: Sequence[Intent]) -> None:
        """See `Outbox.file`."""
        self._tables.write(intents)

    def ack(self, keys: Sequence[IntentKey]) -> None:
        """See `Outbox.ack`."""
        self._tables.remove(keys)

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """See `Outbox.get`."""
        return self._tables.get(keys)

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """See `Outbox.update`. A slot behind the watermark is noted for the earlier attempt, or it would wait for the old one."""
        self._tables.update(bookkeeping)
        old = (self._clock() - BEHIND) // SLOT + 2
        earliest: dict[int, int] = {}
        for row in bookkeeping:
            if row.key.slot < old:
                earliest[row.key.slot] = min(row.next_attempt, earliest.get(row.key.slot, row.next_attempt))
        if earliest:
            self._bring_forward(earliest)

    def sweep(self, now: int, limit: int, push: Push) -> Sweep:
        """See `Outbox.sweep`. A `now` that lies ahead of the clock takes what is due by then, and passes no slot for it."""
        horizon, now = now, min(now, self._clock())
        watermark = self._watermark(now)
        self._slow_pass(now, watermark)
        walk = _Walk(self._tables, horizon, limit, push)
        passed = watermark
        for slot, straggler in self._slots(watermark, horizon):
            if walk.is_spent():
                walk.more = True
                break
            earliest, whole = walk.visit(slot)
            if not whole:
                break
            if slot < _passable(now):
                self._settle(slot, earliest, straggler, now)
                passed = max(passed, slot + 1)
        if passed > watermark:
            self._tables.raise_watermark(passed)
        return Sweep(seen=walk.seen, pushed=walk.pushed, more=walk.more)

    def summary(self, limit: int) -> OutboxSummary:
        """See `Outbox.summary`. Expiries that are not due yet are not pending."""
        now = self._clock()
        watermark = self._watermark(now)
        behind = (note.slot for note in self._tables.stragglers() if note.slot < watermark)
        slots = itertools.chain(behind, range(watermark, (now + _AHEAD) // SLOT + 1))
        pending = retrying = seen = 0
        oldest: int | None = None
        for entry in self._entries(itertools.islice(slots, _MAX_SLOTS_COUNTED)):
            if seen == limit:
                return OutboxSummary(pending, retrying, oldest, exact=False)
            seen += 1
            if entry.intent.kind is Kind.EXPIRY and entry.next_attempt > now:
                continue
            pending += 1
            retrying += entry.attempts > 0
            oldest = entry.intent.filed_at if oldest is None else min(oldest, entry.intent.filed_at)
        return OutboxSummary(pending, retrying, oldest, exact=next(slots, None) is None)

    def _watermark(self, now: int) -> int:
        watermark = self._tables.watermark()
        if watermark is None:
            self.prepare(now)
            return _passable(now)
        return watermark

    def _slots(self, watermark: int, now: int) -> Iterator[tuple[int, Straggler | None]]:
        """Stragglers that are due, then everything from the watermark to now: oldest first."""
        noted: dict[int, Straggler] = {}
        for straggler in self._tables.stragglers():
            if straggler.slot >= watermark:
                noted[straggler.slot] = straggler
            elif straggler.earliest <= now:
                yield straggler.slot, straggler
        for slot in range(watermark, now // SLOT + 1):
            yield slot, noted.get(slot)

    def _settle(self, slot: int, earliest: int | None, straggler: Straggler | None, now: int) -> None:
        """Notes what stays in a slot that the watermark passes, or strikes the note of an empty one."""
        if earliest is None:
            if straggler is not None:
                self._tables.strike(straggler)
        elif straggler is None:
            self._tables.note([Straggler(slot, earliest, now)])
        elif straggler.earliest != earliest:
            self._tables.note([Straggler(slot, earliest, max(now, straggler.timestamp + 1))])

    def _bring_forward(self, earliest: Mapping[int, int]) -> None:
        noted = self._tables.stragglers_of(list(earliest))
        now = self._clock()
        notes = []
        for slot, attempt in earliest.items():
            note = noted.get(slot)
            if note is None:
                notes.append(Straggler(slot, attempt, now))
            elif attempt < note.earliest:
                notes.append(Straggler(slot, attempt, max(now, note.timestamp + 1)))
        if notes:
            self._tables.note(notes)

    def _slow_pass(self, now: int, watermark: int) -> None:
        """One bounded step of the pass over all partitions: what lies behind the watermark without a note gets one."""
        state = json.loads(self._tables.state(SLOW_PASS) or b"{}")
        cursor = state.get("cursor")
        if cursor is None and now < state.get("finished_at", -SLOW_PASS_EVERY) + SLOW_PASS_EVERY:
            return
        partitions, cursor = self._tables.partitions(cursor, _MAX_PARTITIONS)
        behind = sorted({slot for slot, _ in partitions if slot < watermark})
        noted = self._tables.stragglers_of(behind) if behind else {}
        unknown = [Straggler(slot, slot * SLOT, now) for slot in behind if slot not in noted]
        if unknown:
            self._tables.note(unknown)
        self._tables.set_state(SLOW_PASS, json.dumps({"cursor": cursor, "finished_at": now}).encode())

    def _entries(self, slots: Iterable[int]) -> Iterator[Entry]:
        for slot in slots:
            yield from _slot_entries(self._tables, slot)


class _Walk:
    """One sweep on its way through the slots, and what it has done so far."""

    def __init__(self, tables: SlotTables, now: int, limit: int, push: Push) -> None:
        self._tables = tables
        self._now = now
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
        for entry in _slot_entries(self._tables, slot):
            if entry.next_attempt > self._now:
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


def _passable(now: int) -> int:
    """The first slot that the watermark may not pass yet."""
    return (now - BEHIND) // SLOT


def _slot_entries(tables: SlotTables, slot: int) -> Iterator[Entry]:
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
