"""A database in memory for tests and simulations; its cells have write times as in CQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from scylla_store import letters
from scylla_store.clock import SECOND, Clock, system_clock
from scylla_store.database.base import SCAN_BYTES, ClockReading, Mutation, Position, Refresh, Registration, within
from scylla_store.database.memory.cells import Cell, StoredRow
from scylla_store.database.memory.outbox import MemorySlotTables
from scylla_store.database.slots import SlottedOutbox
from scylla_store.errors import StoreClosed, StoreError
from scylla_store.identity import ItemId, Namespace, item_digest, prefix_range, sort_key
from scylla_store.letters import DeadLetter
from scylla_store.rows import Cells, stamp


class MemoryDatabase:
    """A `Database` that a process keeps for itself. Safe to use from several threads.

    Every method is one step that nothing else comes between, as on a node; `writing` is two, as on a cluster.

    Args:
        clock: the time of the machine that uses it: for bookkeeping and leases.

    Attributes:
        server_clock: the database's own time: for TTLs, and for the version of conditional writes.
        tables: what the outbox is made of; a simulation gives each of its processes an outbox of its own over them.
    """

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self.server_clock = clock
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._items: dict[Namespace, dict[str, StoredRow]] = {}
        self._ballots: dict[Namespace, int] = {}
        self._namespaces: dict[Namespace, StoredRow] = {}
        self._letters: dict[str, StoredRow] = {}
        self._leases: dict[str, tuple[str, int]] = {}
        self.tables = MemorySlotTables(clock)
        self._outbox = SlottedOutbox(self.tables, clock=clock)

    @property
    def outbox(self) -> SlottedOutbox:
        """Intents that are not acknowledged yet."""
        with self._open():
            return self._outbox

    def connect(self) -> None:
        """See `Database.connect`."""
        with self._open():
            pass

    def close(self) -> None:
        """See `Database.close`."""
        self._closed = True

    def setup(self) -> None:
        """See `Database.setup`."""
        with self._open():
            self._outbox.prepare(self._clock())

    def clock(self) -> ClockReading | None:
        """See `Database.clock`."""
        with self._open() as now:
            return ClockReading(now, {"memory": 0})

    @contextmanager
    def writing(self, ids: Sequence[ItemId]) -> Iterator[_Writing]:
        """See `Database.writing`."""
        yield _Writing(self, self.read(ids, body=False))

    def write(self, mutations: Sequence[Mutation]) -> None:
        """Writes mutations and their intents as one logged batch."""
        with self._open() as now:
            for mutation in mutations:
                self._put(mutation, mutation.version, now)
                self.tables.write(mutation.intents)

    def read(self, ids: Sequence[ItemId], *, body: bool = True, serial: bool = False) -> dict[ItemId, Cells]:
        """See `Database.read`. No conditional write is ever in flight here."""
        with self._open() as now:
            found = ((item, self._items.get(item.namespace, {}).get(item.key)) for item in ids)
            cells = (_cells(item, row, now, body=body) for item, row in found if row is not None)
            return {seen.id: seen for seen in cells if seen is not None}

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """See `Database.compare_and_set`. Its write time is the server's; those of a namespace only grow."""
        with self._open():
            accepted = self.accept(expected, mutation)
            if accepted is not None:
                self.write([accepted])
            return accepted is not None

    def accept(self, expected: bytes | None, mutation: Mutation) -> Mutation | None:
        """The first half of `compare_and_set`: what is to be written, at its version; None when the head is another one."""
        namespace = mutation.id.namespace
        with self._open() as now:
            if self._row(mutation.id).seen("head", now) != expected:
                return None
            ballot = max(now, self._ballots.get(namespace, 0) + 1)
            self._ballots[namespace] = ballot
            return replace(mutation, version=ballot, intents=())

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        """See `Database.refresh`."""
        with self._open() as now:
            for one in refreshes:
                self._row(one.item).put("refresh", Cell(one.cell, one.timestamp, now + one.ttl * SECOND))
                self.tables.write(one.intents)

    def keys(
        self, namespace: Namespace, *, after: str | None, limit: int, max_bytes: int | None = None
    ) -> list[Cells]:
        """See `Database.keys`."""
        start = None if after is None else after.encode()
        with self._open() as now:
            rows = self._items.get(namespace, {})
            names = sorted((key for key in rows if start is None or key.encode() > start), key=str.encode)
            cells = (_cells(ItemId(namespace, key), rows[key], now) for key in names)
            found = [seen for seen in cells if seen is not None and seen.head is not None][:limit]
            return found if max_bytes is None else list(within(found, max_bytes))

    def scan(self, *, after: Position | None, limit: int, max_bytes: int = SCAN_BYTES) -> list[Cells]:
        """See `Database.scan`."""
        found: list[Cells] = []
        start, key = (None, None) if after is None else after
        for namespace in sorted(self._items, key=sort_key):
            if start is None or sort_key(namespace) > sort_key(start):
                found += self.keys(namespace, after=None, limit=limit - len(found))
            elif namespace == start and key is not None:
                found += self.keys(namespace, after=key, limit=limit)
            if len(found) >= limit:
                break
        return list(within(found, max_bytes))

    def register(self, namespaces: Iterable[Namespace], *, now: int) -> None:
        """See `Database.register`."""
        with self._open():
            for namespace in namespaces:
                self._namespaces.setdefault(namespace, StoredRow()).put("seen_at", Cell(b"", now))

    def namespaces(self, prefix: Namespace, *, after: Namespace | None, limit: int) -> list[Registration]:
        """See `Database.namespaces`."""
        start, end = prefix_range(prefix)
        with self._open() as now:
            rows = ((sort_key(namespace), namespace, row) for namespace, row in self._namespaces.items())
            found = [
                (position, Registration(namespace, row.version("seen_at", now)))
                for position, namespace, row in rows
                if start <= position < end and row.seen("seen_at", now) is not None
            ]
        if after is not None:
            found = [(position, registration) for position, registration in found if position > sort_key(after)]
        return [registration for _, registration in sorted(found, key=lambda row: row[0])][:limit]

    def unregister(self, registration: Registration) -> None:
        """See `Database.unregister`."""
        with self._open():
            row = self._namespaces.setdefault(registration.namespace, StoredRow())
            row.put("seen_at", Cell(None, registration.seen_at))

    def bury(self, letter: DeadLetter) -> None:
        """See `Database.bury`."""
        with self._open():
            cell = Cell(letters.to_json(letter).encode(), letter.timestamp)
            self._letters.setdefault(letter.id, StoredRow()).put("letter", cell)
            mark = stamp(letter.write_id, letter.timestamp)
            self._row(letter.item).put("letter", Cell(mark, letter.timestamp))

    def exhume(self, letters: Sequence[tuple[ItemId, int]]) -> None:
        """See `Database.exhume`."""
        with self._open():
            for item, timestamp in letters:
                self._letters.setdefault(item_digest(item), StoredRow()).put("letter", Cell(None, timestamp))
                self._row(item).put("letter", Cell(None, timestamp))

    def letters(self, *, after: str | None, limit: int) -> list[DeadLetter]:
        """See `Database.letters`."""
        with self._open():
            idents = sorted(ident for ident in self._letters if after is None or ident > after)
            found = (self.letter(ident) for ident in idents)
            return [letter for letter in found if letter is not None][:limit]

    def letter(self, ident: str) -> DeadLetter | None:
        """See `Database.letter`."""
        with self._open() as now:
            stored = self._letters.get(ident, StoredRow()).seen("letter", now)
            return None if stored is None else letters.from_json(stored)

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """See `Database.lease`."""
        with self._open():
            now = self._clock()
            holder, expires_at = self._leases.get(name, (owner, 0))
            if holder != owner and now < expires_at:
                return False
            self._leases[name] = (owner, now + int(seconds * SECOND))
            return True

    def release(self, name: str, owner: str) -> None:
        """See `Database.release`."""
        with self._open():
            if self._leases.get(name, ("", 0))[0] == owner:
                del self._leases[name]

    def state(self, name: str) -> bytes | None:
        """See `Database.state`."""
        with self._open():
            return self.tables.state(name)

    def set_state(self, name: str, value: bytes) -> None:
        """See `Database.set_state`."""
        with self._open():
            self.tables.set_state(name, value)

    def first_state(self, name: str, value: bytes) -> bytes:
        """See `Database.first_state`."""
        with self._open():
            stored = self.tables.state(name)
            if stored is None:
                self.tables.set_state(name, value)
            return value if stored is None else stored

    def ping(self) -> float:
        """See `Database.ping`."""
        started = time.perf_counter()
        self.connect()
        return time.perf_counter() - started

    @contextmanager
    def _open(self) -> Iterator[int]:
        """Nothing else happens meanwhile; gives the server's time."""
        with self._lock:
            if self._closed:
                raise StoreClosed
            yield self.server_clock()

    def _row(self, item: ItemId) -> StoredRow:
        return self._items.setdefault(item.namespace, {}).setdefault(item.key, StoredRow())

    def _put(self, mutation: Mutation, version: int, now: int) -> None:
        row = self._row(mutation.id)
        until = None if mutation.ttl is None else now + mutation.ttl * SECOND
        row.put("head", Cell(mutation.head, version, until))
        row.put("body", Cell(mutation.body, version))
        if mutation.ttl is not None:
            row.put("refresh", Cell(None, version))


class _Writing:
    """See `database.base.Writing`."""

    def __init__(self, database: MemoryDatabase, cells: Mapping[ItemId, Cells]) -> None:
        self._database = database
        self.heads: Mapping[ItemId, Cells] = {item: found for item, found in cells.items() if found.head is not None}

    def floor(self, item: ItemId) -> int:
        """The version above the head's."""
        found = self.heads.get(item)
        return 0 if found is None else found.version + 1

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        """See `Writing.commit`."""
        self._database.write(mutations)
        return [None] * len(mutations)


def _cells(item: ItemId, row: StoredRow, now: int, *, body: bool = True) -> Cells | None:
    """What a reader sees of a row; None when it sees nothing."""
    seen = Cells(
        id=item,
        version=row.version("head", now),
        head=row.seen("head", now),
        body=row.seen("body", now) if body else None,
        refresh=row.seen("refresh", now),
        letter=row.seen("letter", now),
    )
    return None if seen.head is None and seen.body is None and seen.refresh is None and seen.letter is None else seen
