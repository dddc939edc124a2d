"""The slotted outbox's tables in CQL.

Write times of one outbox row: its insert at 1, bookkeeping at half of now, an ack at now. So an ack wins over bookkeeping
and over an insert that arrive after it, whatever the clocks of the writers (for decades), and no write time lies in the
future: ScyllaDB refuses those that are more than three days ahead, as the due time of an expiry can be.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scylla_store.database.cql.batches import Encoder, chunks, key_values
from scylla_store.database.cql.encoding import FIRST_TOKEN, LAST_TOKEN, bigint, bigints, integer, smallint, text
from scylla_store.database.cql.registry import State
from scylla_store.database.slot_tables import Page, Straggler
from scylla_store.errors import StoreError, TombstoneLimit
from scylla_store.identity import ItemId
from scylla_store.intents import Bookkeeping, Entry, Intent, IntentKey, Kind

if TYPE_CHECKING:
    from cassandra.query import BoundStatement

log = logging.getLogger(__name__)

_SLOTS_PER_SELECT = 100
_SMALLEST_RANGE = 2**40


class CqlSlotTables(State):
    """See `database.slot_tables.SlotTables`."""

    def write(self, intents: Sequence[Intent]) -> None:
        """See `SlotTables.write`."""
        encoder = Encoder(self._session)
        self._send(encoder.intent(intent) for intent in intents)

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """See `SlotTables.update`."""
        timestamp = bigint(self._clock() // 2)
        self._send(self._session.bound("keep_book", [timestamp, *_book(row), *_key(row.key)]) for row in bookkeeping)

    def remove(self, keys: Sequence[IntentKey]) -> None:
        """See `SlotTables.remove`."""
        timestamp = bigint(self._clock())
        self._send(self._session.bound("ack_intent", [timestamp, *_key(key)]) for key in keys)

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """See `SlotTables.get`."""
        selects = [self._session.bound("intent", _key(key)) for key in keys]
        found = {}
        for key, rows in zip(keys, self._session.each(selects, self._session.deadline(), write=False), strict=True):
            for row in rows:
                if row[2] is not None:
                    found[key] = _entry(key, row)
        return found

    def page(self, slot: int, shard: int, *, after: IntentKey | None, limit: int) -> Page:
        """See `SlotTables.page`."""
        partition = [bigint(slot), smallint(shard)]
        if after is None:
            rows = self._session.rows("intents_from_start", [*partition, integer(limit)])
        else:
            rows = self._session.rows("intents", [*partition, bigint(after.due), after.intent, integer(limit)])
        return _page(shard, rows, limit)

    def pages(self, partitions: Sequence[tuple[int, int]], limit: int) -> Sequence[Page]:
        """See `SlotTables.pages`. A partition with too many deleted rows is passed over, or it would stop every sweep: the
        slow pass comes back to it."""
        selects = [
            self._session.bound("intents_from_start", [bigint(slot), smallint(shard), integer(limit)])
            for slot, shard in partitions
        ]
        pages = []
        outcomes = self._session.outcomes(selects, self._session.deadline(), write=False)
        for (slot, shard), rows in zip(partitions, outcomes, strict=True):
            if isinstance(rows, TombstoneLimit):
                log.error("The outbox rows of slot %s, shard %s are not read now: %s", slot, shard, rows)
                rows = []
            elif isinstance(rows, StoreError):
                raise rows
            pages.append(_page(shard, rows, limit))
        return pages

    def count(self, partitions: Sequence[tuple[int, int]]) -> int:
        """See `SlotTables.count`."""
        selects = [self._session.bound("count_intents", [bigint(slot), smallint(shard)]) for slot, shard in partitions]
        return sum(
            row[0] for rows in self._session.each(selects, self._session.deadline(), write=False) for row in rows
        )

    def partitions(self, cursor: str | None, limit: int) -> tuple[Sequence[tuple[int, int]], str | None]:
        """See `SlotTables.partitions`. The cursor is a token; the whole ring is read in ranges."""
        start = FIRST_TOKEN if cursor is None else int(cursor)
        found: list[tuple[int, int]] = []
        for end in _range_ends(start):
            rows = self._distinct(start, end, limit)
            found += [(slot, shard) for slot, shard, _ in rows]
            start = end
            if len(rows) == limit:
                start = rows[-1][2]
            if len(found) >= limit:
                return found, str(start)
        return found, None

    def watermark(self) -> int | None:
        """See `SlotTables.watermark`."""
        return next((row[0] for row in self._session.rows("watermark", [])), None)

    def raise_watermark(self, slot: int) -> None:
        """See `SlotTables.raise_watermark`."""
        self._session.write("raise_watermark", [bigint(slot), bigint(slot)])

    def stragglers(self) -> Iterable[Straggler]:
        """See `SlotTables.stragglers`."""
        return [Straggler(*row) for row in self._session.rows("stragglers", [])]

    def stragglers_of(self, slots: Sequence[int]) -> Mapping[int, Straggler]:
        """See `SlotTables.stragglers_of`."""
        parts = (slots[start : start + _SLOTS_PER_SELECT] for start in range(0, len(slots), _SLOTS_PER_SELECT))
        selects = [self._session.bound("stragglers_of", [bigints(part)]) for part in parts]
        answers = self._session.each(selects, self._session.deadline(), write=False)
        return {row[0]: Straggler(*row) for rows in answers for row in rows}

    def note(self, stragglers: Sequence[Straggler]) -> None:
        """See `SlotTables.note`."""
        self._send(
            self._session.bound("note_straggler", [bigint(note.timestamp), bigint(note.earliest), bigint(note.slot)])
            for note in stragglers
        )

    def strike(self, straggler: Straggler) -> None:
        """See `SlotTables.strike`."""
        self._session.write("strike_straggler", [bigint(straggler.timestamp), bigint(straggler.slot)])

    def _distinct(self, start: int, end: int, limit: int) -> list[tuple[int, int, int]]:
        """Partitions of a token range; one with too many deleted rows is halved, and passed over when it is very small."""
        try:
            return self._session.rows("outbox_partitions", [bigint(start), bigint(end), integer(limit)])
        except TombstoneLimit:
            if end - start <= _SMALLEST_RANGE:
                return []
        middle = (start + end) // 2
        rows = self._distinct(start, middle, limit)
        if len(rows) < limit:
            rows = rows + self._distinct(middle, end, limit - len(rows))
        return rows

    def _send(self, statements: Iterable[BoundStatement]) -> None:
        """Unlogged effects, each for itself: statements of one kind in batches by partition, several in flight."""
        requests = self._batches(statements)
        for _ in self._session.each(requests, self._session.deadline(), write=True):
            pass

    def _batches(self, statements: Iterable[BoundStatement]) -> Iterator[Any]:
        groups: dict[bytes | None, list[BoundStatement]] = {}
        for statement in statements:
            groups.setdefault(statement.routing_key, []).append(statement)
        for group in groups.values():
            for chunk in chunks(group, self._session.settings.max_batch_bytes):
                yield chunk[0] if len(chunk) == 1 else self._session.batch(chunk, logged=False)


def _key(key: IntentKey) -> tuple[bytes, bytes, bytes, bytes]:
    return key_values(key.slot, key.shard, key.due, key.intent)


def _book(row: Bookkeeping) -> tuple[bytes | None, ...]:
    error = None if row.error is None else text(row.error)
    first_failed_at = None if row.first_failed_at is None else bigint(row.first_failed_at)
    return bigint(row.next_attempt), integer(row.attempts), error, first_failed_at


def _page(shard: int, rows: Sequence[tuple[Any, ...]], limit: int) -> Page:
    keyed = [(IntentKey(row[0], shard, row[1]), row) for row in rows]
    return Page(
        entries=[_entry(key, row) for key, row in keyed if row[2] is not None],
        halves=[key for key, row in keyed if row[2] is None],
        last=keyed[-1][0] if len(keyed) == limit else None,
    )


def _entry(key: IntentKey, row: tuple[Any, ...]) -> Entry:
    _, _, namespace, item_key, write_id, version, kind, filed_at, next_attempt, attempts, error, first_failed_at = row
    intent = Intent(
        key=key,
        item=ItemId(tuple(namespace), item_key),
        write_id=write_id,
        version=version,
        kind=Kind(kind),
        filed_at=filed_at,
    )
    return Entry(
        intent=intent,
        next_attempt=key.due if next_attempt is None else next_attempt,
        attempts=attempts or 0,
        error=error,
        first_failed_at=first_failed_at,
    )


def _range_ends(start: int, ranges: int = 64) -> Iterator[int]:
    """Ends of the equal token ranges that lie after `start`."""
    step = 2**64 // ranges
    for number in range(1, ranges + 1):
        end = min(FIRST_TOKEN + number * step, LAST_TOKEN)
        if end > start:
            yield end
