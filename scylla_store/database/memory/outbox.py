"""The slotted outbox's tables in memory, with the write times that `database.cql.outbox` uses."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scylla_store.clock import Clock
from scylla_store.database.slot_tables import Page, Straggler
from scylla_store.intents import Bookkeeping, Entry, Intent, IntentKey


@dataclass(slots=True)
class _Row:
    """One outbox row; without an intent it is half a row."""

    intent: Intent | None = None
    book: Bookkeeping | None = None
    book_at: int = -1

    def entry(self) -> Entry | None:
        if self.intent is None:
            return None
        if self.book is None:
            return Entry(self.intent, self.intent.key.due)
        book = self.book
        return Entry(self.intent, book.next_attempt, book.attempts, book.error, book.first_failed_at)


class MemorySlotTables:
    """See `database.slot_tables.SlotTables`. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._partitions: dict[tuple[int, int], dict[IntentKey, _Row]] = {}
        self._removed: dict[IntentKey, int] = {}
        self._watermark: int | None = None
        self._notes: dict[int, Straggler] = {}
        self._struck: dict[int, int] = {}
        self._values: dict[str, bytes] = {}

    def write(self, intents: Sequence[Intent]) -> None:
        """See `SlotTables.write`. A row that was removed stays removed: its insert is older than any ack."""
        with self._lock:
            for intent in intents:
                if intent.key not in self._removed:
                    self._row(intent.key).intent = intent

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """See `SlotTables.update`."""
        at = self._clock() // 2
        with self._lock:
            for book in bookkeeping:
                if at > self._removed.get(book.key, -1):
                    row = self._row(book.key)
                    if at >= row.book_at:
                        row.book, row.book_at = book, at

    def remove(self, keys: Sequence[IntentKey]) -> None:
        """See `SlotTables.remove`."""
        at = self._clock()
        with self._lock:
            for key in keys:
                self._removed[key] = max(at, self._removed.get(key, -1))
                rows = self._partitions.get(_partition(key), {})
                rows.pop(key, None)
                if not rows:
                    self._partitions.pop(_partition(key), None)

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """See `SlotTables.get`."""
        with self._lock:
            rows = {key: self._partitions.get(_partition(key), {}).get(key) for key in keys}
            return {key: entry for key, row in rows.items() if row is not None and (entry := row.entry()) is not None}

    def page(self, slot: int, shard: int, *, after: IntentKey | None, limit: int) -> Page:
        """See `SlotTables.page`."""
        with self._lock:
            rows = self._partitions.get((slot, shard))
            if not rows:
                return Page((), ())
            keys = sorted(key for key in rows if after is None or key > after)[:limit]
            entries = [entry for key in keys if (entry := rows[key].entry()) is not None]
            halves = [key for key in keys if rows[key].intent is None]
            return Page(entries, halves, keys[-1] if len(keys) == limit else None)

    def count(self, partitions: Sequence[tuple[int, int]]) -> int:
        """See `SlotTables.count`."""
        with self._lock:
            return sum(len(self._partitions.get(partition, ())) for partition in partitions)

    def pages(self, partitions: Sequence[tuple[int, int]], limit: int) -> Sequence[Page]:
        """See `SlotTables.pages`."""
        return [self.page(slot, shard, after=None, limit=limit) for slot, shard in partitions]

    def partitions(self, cursor: str | None, limit: int) -> tuple[Sequence[tuple[int, int]], str | None]:
        """See `SlotTables.partitions`. The cursor is the last partition that was returned."""
        with self._lock:
            found = sorted(self._partitions)
        if cursor is not None:
            slot, _, shard = cursor.partition("/")
            found = [partition for partition in found if partition > (int(slot), int(shard))]
        if len(found) <= limit:
            return found, None
        slot_, shard_ = found[limit - 1]
        return found[:limit], f"{slot_}/{shard_}"

    def watermark(self) -> int | None:
        """See `SlotTables.watermark`."""
        return self._watermark

    def raise_watermark(self, slot: int) -> None:
        """See `SlotTables.raise_watermark`."""
        with self._lock:
            self._watermark = slot if self._watermark is None else max(slot, self._watermark)

    def stragglers(self) -> Iterable[Straggler]:
        """See `SlotTables.stragglers`."""
        with self._lock:
            return [self._notes[slot] for slot in sorted(self._notes)]

    def stragglers_of(self, slots: Sequence[int]) -> Mapping[int, Straggler]:
        """See `SlotTables.stragglers_of`."""
        with self._lock:
            return {slot: self._notes[slot] for slot in slots if slot in self._notes}

    def note(self, stragglers: Sequence[Straggler]) -> None:
        """See `SlotTables.note`."""
        with self._lock:
            for note in stragglers:
                stored = self._notes.get(note.slot)
                if note.timestamp <= self._struck.get(note.slot, -1):
                    continue
                if stored is None or (note.timestamp, note.earliest) > (stored.timestamp, stored.earliest):
                    self._notes[note.slot] = note

    def strike(self, straggler: Straggler) -> None:
        """See `SlotTables.strike`."""
        slot, at = straggler.slot, straggler.timestamp
        with self._lock:
            self._struck[slot] = max(at, self._struck.get(slot, -1))
            if slot in self._notes and self._notes[slot].timestamp <= at:
                del self._notes[slot]

    def state(self, name: str) -> bytes | None:
        """See `SlotTables.state`."""
        return self._values.get(name)

    def set_state(self, name: str, value: bytes) -> None:
        """See `SlotTables.set_state`."""
        self._values[name] = value

    def _row(self, key: IntentKey) -> _Row:
        return self._partitions.setdefault(_partition(key), {}).setdefault(key, _Row())


def _partition(key: IntentKey) -> tuple[int, int]:
    return key.slot, key.shard
