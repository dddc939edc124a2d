"""The outbox over time slots: which partitions a drain reads, and how it knows that it may pass one for good.

A slot is ten seconds of first due time, in eight shards. A sweep reads the slots from the watermark to now. The watermark
stays a minute behind now; before it passes a slot that still holds rows, the slot is noted as a straggler with the
earliest next attempt among them, and is read again only then. Rows never move. What a wrong clock or a paused writer
filed behind the watermark is found by a slow pass over all partitions, once an hour.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scylla_store.clock import SECOND, Clock, system_clock
from scylla_store.database.base import OutboxSummary, Push, Sweep, Waiting
from scylla_store.database.slot_tables import SlotTables, Straggler
from scylla_store.database.walk import Place, Walk, entries_of
from scylla_store.identity import ItemId
from scylla_store.intents import SHARDS, SLOT, Bookkeeping, Entry, Intent, IntentKey, Kind

BEHIND = 60 * SECOND
"""How far the watermark stays behind now: a write on its way, and clocks that differ, stay on its right side."""

SLOW_PASS_EVERY = 3600 * SECOND
SLOW_PASS = "outbox.slow_pass"
_AHEAD = 300 * SECOND
_MAX_SLOTS_COUNTED = 500
_MAX_SLOTS_BEYOND = 500
_MAX_SLOTS_UNASKED = 1_000
"""So many stragglers are read whether they hold rows or not; beyond that it is asked first which slots do."""

_MAX_PARTITIONS = 2_000
_MAX_EXPIRIES = 50_000
"""So many expiries that are not due are passed over in one count, besides the rows that it may read."""


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

    def sweep(self, now: int, limit: int, push: Push, *, since: int | None = None) -> Sweep:
        """See `Outbox.sweep`. A `now` that lies ahead of the clock takes what is due by then, and passes no slot for it."""
        if since is not None:
            return self._sweep_recent(now, limit, push, since)
        horizon, now = now, min(now, self._clock())
        watermark = self._watermark(now)
        self._slow_pass(now, watermark)
        walk = Walk(self._tables, horizon, limit, push)
        passed = watermark
        for slot, straggler, earliest, whole in walk.over(self._slots(watermark, horizon)):
            if not whole:
                break
            if slot < _passable(now):
                self._settle(slot, earliest, straggler, now)
                passed = max(passed, slot + 1)
        if passed > watermark:
            self._tables.raise_watermark(passed)
        return Sweep(seen=walk.seen, pushed=walk.pushed, more=walk.more)

    def _sweep_recent(self, horizon: int, limit: int, push: Push, since: int) -> Sweep:
        """Reads slots out of their turn, and passes none: the sweep of all of them comes there in its time."""
        walk = Walk(self._tables, horizon, limit, push, since=since)
        for _ in walk.over((slot, None) for slot in range(since // SLOT, horizon // SLOT + 1)):
            pass
        return Sweep(seen=walk.seen, pushed=walk.pushed, more=walk.more)

    def summary(self, limit: int | None) -> OutboxSummary:
        """See `Outbox.summary`. Expiries that are not due yet are not pending. A whole count asks which slots hold rows: one behind
        the watermark that a paused writer filed in has no note before the slow pass."""
        now = self._clock()
        places = self._places(now) if limit is not None else iter(self._occupied(0, (now + _AHEAD) // SLOT))
        read = list(itertools.islice(places, None if limit is None else _MAX_SLOTS_COUNTED))
        tally = _Tally(now)
        slot, in_slot = -1, 0
        for entry in entries_of(self._tables, read):
            if entry.intent.key.slot != slot:
                slot, in_slot = entry.intent.key.slot, 0
            if limit is not None and not tally.has_room(entry, limit):
                unread = itertools.chain((place for place in read if place[0] >= slot), places)
                return tally.summary(more=max(0, self._rows_of(unread, now) - in_slot), exact=False)
            in_slot += 1
            tally.add(entry)
        beyond = list(itertools.islice(places, _MAX_SLOTS_BEYOND))
        return tally.summary(more=self._rows_of(beyond, now), exact=not beyond)

    def _rows_of(self, places: Iterable[Place], now: int) -> int:
        """Rows of the slots up to now, unread: half rows, and expiries that are tried again, are among them."""
        due = itertools.islice(itertools.takewhile(lambda place: place[0] <= now // SLOT, places), _MAX_SLOTS_BEYOND)
        return self._tables.count([(slot, shard) for slot, shards in due for shard in shards])

    def waiting(self, limit: int) -> Waiting:
        """See `Outbox.waiting`."""
        now = self._clock()
        items: set[ItemId] = set()
        oldest: int | None = None
        seen = 0
        for entry in entries_of(self._tables, self._places(now)):
            if entry.intent.kind is Kind.EXPIRY and entry.intent.key.due > now:
                continue
            seen += 1
            if seen > limit:
                return Waiting(frozenset(items), oldest, exact=False)
            items.add(entry.intent.item)
            oldest = entry.intent.waits_since if oldest is None else min(oldest, entry.intent.waits_since)
        return Waiting(frozenset(items), oldest, exact=True)

    def _places(self, now: int) -> Iterator[Place]:
        """Where rows may be that wait, by slot: in stragglers, then from the watermark on.

        The watermark is far behind when no drain ran for long, or a backup was restored; and after a long backlog there are
        many notes of slots that are empty by now.
        """
        watermark, end = self._watermark(now), (now + _AHEAD) // SLOT
        last = -1
        if end - watermark < _MAX_SLOTS_COUNTED:
            behind = (note.slot for note in self._tables.stragglers() if note.slot < watermark)
            slots = itertools.chain(behind, range(watermark, end + 1))
            for last in itertools.islice(slots, _MAX_SLOTS_UNASKED):
                yield last, range(SHARDS)
            if next(slots, None) is None:
                return
        yield from self._occupied(last + 1, end)

    def _occupied(self, first: int, last: int) -> list[Place]:
        """Those slots between the two that hold rows, noted or not, with the shards that do."""
        shards: dict[int, list[int]] = {}
        cursor = None
        while True:
            found, cursor = self._tables.partitions(cursor, _MAX_PARTITIONS)
            for slot, shard in found:
                if first <= slot <= last:
                    shards.setdefault(slot, []).append(shard)
            if cursor is None:
                return sorted(shards.items())

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


def _passable(now: int) -> int:
    """The first slot that the watermark may not pass yet."""
    return (now - BEHIND) // SLOT


@dataclass
class _Tally:
    """Counts the rows that are read."""

    now: int
    expiries: int = 0
    pending: int = 0
    retrying: int = 0
    due: int = 0
    oldest: int | None = None

    def has_room(self, entry: Entry, limit: int) -> bool:
        """Whether one more of its kind is to be counted."""
        return self.pending < limit if self._waits(entry) else self.expiries < _MAX_EXPIRIES

    def add(self, entry: Entry) -> None:
        """One more row."""
        if not self._waits(entry):
            self.expiries += 1
            return
        self.pending += 1
        self.retrying += entry.attempts > 0
        self.due += entry.next_attempt <= self.now
        since = entry.intent.waits_since
        self.oldest = since if self.oldest is None else min(self.oldest, since)

    def summary(self, *, more: int, exact: bool) -> OutboxSummary:
        return OutboxSummary(self.pending + more, self.retrying, self.oldest, exact=exact, due=self.due)

    def _waits(self, entry: Entry) -> bool:
        return entry.intent.kind is not Kind.EXPIRY or entry.next_attempt <= self.now
