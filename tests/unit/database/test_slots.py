"""Which slots a sweep reads, and what it notes before it passes them. Storage is a dictionary with the timestamps of CQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.slot_tables import Page, Straggler
from scylla_store.database.slots import BEHIND, SLOW_PASS_EVERY, SlottedOutbox
from scylla_store.identity import ItemId
from scylla_store.intents import SLOT, Bookkeeping, Entry, Intent, IntentKey, Kind, new_intent

START = 1_800_000_000 * SECOND
MINUTE = 60 * SECOND


class Tables:
    """Slot tables in memory; counts the partitions that were read."""

    def __init__(self) -> None:
        self.rows: dict[IntentKey, Entry | None] = {}
        self.notes: dict[int, Straggler] = {}
        self.struck: dict[int, int] = {}
        self.mark: int | None = None
        self.values: dict[str, bytes] = {}
        self.read: set[tuple[int, int]] = set()

    def write(self, intents: Sequence[Intent]) -> None:
        for intent in intents:
            self.rows[intent.key] = Entry(intent, intent.key.due)

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        for row in bookkeeping:
            entry = self.rows.get(row.key)
            self.rows[row.key] = entry and Entry(
                entry.intent, row.next_attempt, row.attempts, row.error, row.first_failed_at
            )

    def remove(self, keys: Sequence[IntentKey]) -> None:
        for key in keys:
            self.rows.pop(key, None)

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        return {key: entry for key in keys if (entry := self.rows.get(key)) is not None}

    def page(self, slot: int, shard: int, *, after: IntentKey | None, limit: int) -> Page:
        self.read.add((slot, shard))
        keys = sorted(
            key for key in self.rows if (key.slot, key.shard) == (slot, shard) and (after is None or key > after)
        )[:limit]
        entries = [entry for key in keys if (entry := self.rows[key]) is not None]
        halves = [key for key in keys if self.rows[key] is None]
        return Page(entries, halves, keys[-1] if len(keys) == limit else None)

    def count(self, partitions: Sequence[tuple[int, int]]) -> int:
        return sum((key.slot, key.shard) in partitions for key in self.rows)

    def pages(self, partitions: Sequence[tuple[int, int]], limit: int) -> Sequence[Page]:
        return [self.page(slot, shard, after=None, limit=limit) for slot, shard in partitions]

    def partitions(self, cursor: str | None, limit: int) -> tuple[Sequence[tuple[int, int]], str | None]:
        found = sorted({(key.slot, key.shard) for key in self.rows})
        start = int(cursor or 0)
        end = start + limit
        return found[start:end], (str(end) if end < len(found) else None)

    def watermark(self) -> int | None:
        return self.mark

    def raise_watermark(self, slot: int) -> None:
        self.mark = max(slot, self.mark or 0)

    def stragglers(self) -> Iterable[Straggler]:
        return [self.notes[slot] for slot in sorted(self.notes)]

    def stragglers_of(self, slots: Sequence[int]) -> Mapping[int, Straggler]:
        return {slot: self.notes[slot] for slot in slots if slot in self.notes}

    def note(self, stragglers: Sequence[Straggler]) -> None:
        for note in stragglers:
            known = self.notes.get(note.slot)
            shadow = max(self.struck.get(note.slot, 0), known.timestamp if known else 0)
            if note.timestamp > shadow:
                self.notes[note.slot] = note

    def strike(self, straggler: Straggler) -> None:
        self.struck[straggler.slot] = straggler.timestamp
        if self.notes[straggler.slot].timestamp <= straggler.timestamp:
            del self.notes[straggler.slot]

    def state(self, name: str) -> bytes | None:
        return self.values.get(name)

    def set_state(self, name: str, value: bytes) -> None:
        self.values[name] = value


class CrowdedTables(Tables):
    """Somebody else is at work right after partitions were read."""

    on_pages: Callable[[], None] | None = None

    def pages(self, partitions: Sequence[tuple[int, int]], limit: int) -> Sequence[Page]:
        found = super().pages(partitions, limit)
        if self.on_pages is not None:
            self.on_pages()
        return found


class Drain:
    """A drain with a clock to set that takes what it is given and pushes it a fixed time ahead."""

    def __init__(self, ahead: int = 2 * MINUTE, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()
        self.now = START
        self.ahead = ahead
        self.outbox = SlottedOutbox(self.tables, clock=lambda: self.now)
        self.outbox.prepare(START)
        self.taken: list[IntentKey] = []

    def push(self, entries: Sequence[Entry]) -> list[Bookkeeping]:
        self.taken += [entry.intent.key for entry in entries]
        return [Bookkeeping(entry.intent.key, self.now + self.ahead, entry.attempts) for entry in entries]

    def sweep(self, limit: int = 1000) -> list[IntentKey]:
        self.taken = []
        self.last = self.outbox.sweep(self.now, limit, self.push)
        return self.taken


def filed(drain: Drain, due: int, *, kind: Kind = Kind.WRITE) -> IntentKey:
    intent = new_intent(ItemId(("n",), "k"), os.urandom(16), due, kind, now=due - 30 * SECOND, due=due)
    drain.outbox.file([intent])
    return intent.key


def test_a_row_is_swept_when_it_is_due_and_not_before() -> None:
    drain = Drain()
    key = filed(drain, START + 30 * SECOND)

    assert drain.sweep() == []
    drain.now = START + 30 * SECOND
    assert drain.sweep() == [key]


def test_rows_of_all_shards_come_in_the_order_in_which_they_were_due() -> None:
    drain = Drain()
    keys = sorted(filed(drain, START + number * 77_777) for number in range(300))
    drain.now = START + MINUTE

    assert drain.sweep() == keys


def test_what_was_pushed_comes_again_at_its_next_attempt_although_the_watermark_has_passed() -> None:
    drain = Drain(ahead=10 * MINUTE)
    key = filed(drain, START)
    drain.sweep()

    for seconds in range(10, 600, 10):
        drain.now = START + seconds * SECOND
        assert drain.sweep() == []
    assert drain.tables.mark is not None
    assert drain.tables.mark > key.slot
    drain.now = START + 10 * MINUTE
    assert drain.sweep() == [key]


def test_the_straggler_is_noted_before_the_watermark_passes() -> None:
    class Stops(Tables):
        def raise_watermark(self, slot: int) -> None:
            if self.mark is not None:
                raise ConnectionError
            super().raise_watermark(slot)

    drain = Drain(tables=Stops())
    key = filed(drain, START)
    drain.now = START + 5 * MINUTE
    try:
        drain.sweep()
    except ConnectionError:
        assert key.slot in drain.tables.notes
    else:
        raise AssertionError("the watermark was not raised")


def test_an_acked_slot_leaves_no_note_behind() -> None:
    drain = Drain()
    key = filed(drain, START)
    drain.now = START + 2 * MINUTE
    drain.sweep()
    assert key.slot in drain.tables.notes

    drain.outbox.ack([key])
    drain.now += 3 * MINUTE
    assert drain.sweep() == []
    assert drain.tables.notes == {}


def test_a_note_survives_a_strike_of_the_one_before_it() -> None:
    drain = Drain()
    key = filed(drain, START)
    drain.now = START + 2 * MINUTE
    drain.sweep()
    seen = drain.tables.notes[key.slot]
    slow = SlottedOutbox(drain.tables, clock=lambda: drain.now - 5 * SECOND)

    slow.update([Bookkeeping(key, seen.earliest - SECOND, 1)])
    drain.tables.strike(seen)

    assert drain.tables.notes[key.slot].earliest == seen.earliest - SECOND
    assert drain.tables.notes[key.slot].timestamp > seen.timestamp


def test_a_note_of_a_faster_clock_is_replaced() -> None:
    drain = Drain()
    key = filed(drain, START)
    drain.now = START + 2 * MINUTE
    drain.sweep()
    drain.now += 2 * MINUTE
    drain.tables.notes[key.slot] = Straggler(key.slot, drain.now, drain.now + 5 * SECOND)

    assert drain.sweep() == [key]

    assert drain.tables.notes[key.slot].earliest == drain.now + 2 * MINUTE


def test_a_note_that_came_while_its_slot_was_found_empty_stays() -> None:
    drain = Drain(tables=CrowdedTables())
    key = filed(drain, START)
    drain.now = START + 2 * MINUTE
    drain.sweep()
    drain.outbox.ack([key])
    drain.now += 2 * MINUTE
    other = SlottedOutbox(drain.tables, clock=lambda: drain.now)
    drain.tables.on_pages = lambda: other.update([Bookkeeping(key, drain.now - SECOND, 1)])  # type: ignore[attr-defined]

    drain.sweep()

    assert drain.tables.notes[key.slot].earliest == drain.now - SECOND


def test_an_earlier_attempt_brings_the_slot_forward() -> None:
    drain = Drain(ahead=60 * MINUTE)
    key = filed(drain, START)
    drain.now = START + 2 * MINUTE
    drain.sweep()

    drain.outbox.update([Bookkeeping(key, drain.now + 10 * SECOND, 1, "EmbedderUnavailable")])
    drain.now += 10 * SECOND

    assert drain.sweep() == [key]


def test_the_watermark_stays_a_minute_behind_now() -> None:
    drain = Drain()
    drain.now = START + 10 * MINUTE
    drain.sweep()
    assert drain.tables.mark == (drain.now - BEHIND) // SLOT


def test_no_more_than_the_limit_is_offered_and_the_rest_is_said() -> None:
    drain = Drain()
    keys = sorted(filed(drain, START + number * SECOND) for number in range(50))
    drain.now = START + 5 * MINUTE

    assert drain.sweep(20) == keys[:20]
    assert drain.last.more
    assert drain.sweep(20) == keys[20:40]
    assert drain.last.more
    assert drain.sweep(10) == keys[40:]
    assert not drain.last.more


def test_what_push_leaves_out_stays_due() -> None:
    drain = Drain()
    key = filed(drain, START)
    drain.now = START + 5 * MINUTE
    drain.outbox.sweep(drain.now, 10, lambda entries: [])
    assert drain.sweep() == [key]


def test_a_row_filed_behind_the_watermark_is_found_by_the_slow_pass() -> None:
    drain = Drain()
    drain.now = START + 10 * MINUTE
    drain.sweep()
    key = filed(drain, START + MINUTE)
    drain.now += MINUTE
    assert drain.sweep() == []

    drain.now += SLOW_PASS_EVERY
    for _ in range(5):
        if drain.sweep() == [key]:
            return
    raise AssertionError("the row was not found")


def test_half_rows_are_removed() -> None:
    drain = Drain()
    key = filed(drain, START)
    drain.outbox.ack([key])
    drain.outbox.update([Bookkeeping(key, START, 1)])
    assert key in drain.tables.rows

    drain.now = START + MINUTE
    assert drain.sweep() == []
    assert key not in drain.tables.rows


def test_a_sweep_after_a_long_pause_reads_a_bounded_number_of_partitions_and_gets_there() -> None:
    drain = Drain()
    key = filed(drain, START + 24 * 60 * MINUTE)
    drain.now = START + 24 * 60 * MINUTE
    sweeps = 0
    while not drain.sweep():
        sweeps += 1
        assert drain.last.more
        assert sweeps < 100
    assert drain.taken == [key]
    drain.tables.read.clear()
    drain.sweep()
    assert len(drain.tables.read) <= 5_000


def test_the_summary_counts_what_waits_and_not_expiries_to_come() -> None:
    drain = Drain()
    old = filed(drain, START)
    filed(drain, START + 30 * SECOND)
    filed(drain, START + 60 * SECOND, kind=Kind.EXPIRY)
    drain.outbox.update([Bookkeeping(old, START, 2, "IndexUnavailable")])

    summary = drain.outbox.summary(100)

    assert (summary.pending, summary.retrying, summary.exact) == (2, 1, True)
    assert summary.oldest_filed_at == START - 30 * SECOND
    assert not drain.outbox.summary(1).exact


def test_a_sweep_to_the_end_of_time_takes_everything_and_leaves_the_watermark_behind_the_clock() -> None:
    drain = Drain()
    keys = [filed(drain, START), filed(drain, START + 5 * MINUTE)]

    drain.outbox.sweep(2**62, 1000, drain.push)

    assert drain.taken == keys
    assert drain.tables.mark == (START - BEHIND) // SLOT
    late = filed(drain, START + MINUTE)
    drain.now = START + 2 * MINUTE
    assert drain.sweep() == [keys[0], late]


def test_a_sweep_to_the_end_of_time_does_not_end_the_slow_pass() -> None:
    drain = Drain()
    drain.now = START + 10 * MINUTE
    drain.outbox.sweep(2**62, 1000, drain.push)
    key = filed(drain, START + MINUTE)
    drain.now += SLOW_PASS_EVERY
    for _ in range(5):
        if drain.sweep() == [key]:
            return
    raise AssertionError("the row was not found")


def test_what_is_filed_late_into_the_last_minute_is_found_by_the_next_sweep() -> None:
    # Given a drain that has swept all that was due, and whose slow pass is done
    drain = Drain()
    drain.now = START + 10 * MINUTE
    drain.sweep()
    # When a writer whose clock is behind, or who was slow, files a row that was due 45 seconds ago
    key = filed(drain, drain.now - 45 * SECOND)
    # Then the next sweep takes it: the watermark has not passed there
    assert drain.sweep() == [key]


def test_what_waits_is_found_at_once_however_far_the_watermark_is_behind() -> None:
    # Given a week without a drain, and a few rows of that week and of now
    drain = Drain()
    old, new = filed(drain, START + MINUTE), filed(drain, START + 7 * 24 * 60 * MINUTE)
    filed(drain, START + 8 * 24 * 60 * MINUTE, kind=Kind.EXPIRY)
    drain.now = new.due
    # When it is counted, and asked for
    summary, waiting = drain.outbox.summary(100), drain.outbox.waiting(100)
    # Then all is known, and no slot was read that holds nothing
    assert (summary.pending, summary.exact, summary.oldest_filed_at) == (2, True, old.due - 30 * SECOND)
    assert (len(waiting.items), waiting.exact, waiting.oldest_filed_at) == (1, True, summary.oldest_filed_at)
    assert drain.tables.read == {(key.slot, key.shard) for key in (old, new)}


def test_a_whole_count_sees_what_a_paused_writer_filed_behind_the_watermark() -> None:
    # Given a drain that passed the slot in which a writer then files that was paused since it drew its version
    drain = Drain()
    drain.now = START + 10 * MINUTE
    drain.sweep()
    old = filed(drain, START + MINUTE)
    # When everything is counted, before the hourly pass finds it
    summary = drain.outbox.summary(None)
    # Then it is in the count
    assert (summary.pending, summary.exact, summary.oldest_filed_at) == (1, True, old.due - 30 * SECOND)


def test_notes_of_slots_that_are_empty_by_now_are_read_up_to_a_bound() -> None:
    # Given the notes of a backlog of two days that was worked off, and a row that waits
    drain = Drain()
    drain.now = START + 48 * 60 * MINUTE
    drain.tables.note([Straggler(START // SLOT + number, drain.now + MINUTE, START) for number in range(17_000)])
    drain.tables.raise_watermark((drain.now - BEHIND) // SLOT)
    filed(drain, drain.now)
    # When that is counted
    assert drain.outbox.summary(None).exact
    waiting = drain.outbox.waiting(100)
    # Then few of them were read, and a count that may not read more says so
    assert (len(waiting.items), waiting.exact) == (1, True)
    assert len(drain.tables.read) < 10_000
    assert not drain.outbox.summary(100).exact


def test_a_count_passes_over_a_bounded_number_of_expiries_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.database.slots._MAX_EXPIRIES", 5)
    drain = Drain()
    filed(drain, START)
    for seconds in range(10):
        filed(drain, START + (15 + seconds) * SECOND, kind=Kind.EXPIRY)

    bounded, whole = drain.outbox.summary(100), drain.outbox.summary(None)

    assert (bounded.pending, bounded.exact) == (1, False)
    assert (whole.pending, whole.exact) == (1, True)
