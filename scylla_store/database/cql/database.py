"""ScyllaDB and Apache Cassandra behind the contract of `database.base`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timezone

from scylla_store.clock import SECOND, Clock, system_clock
from scylla_store.database.base import SCAN_BYTES, ClockReading, Mutation, Position, Refresh, Registration, Writing
from scylla_store.database.cql.errors import translated
from scylla_store.database.cql.items import Items
from scylla_store.database.cql.outbox import CqlSlotTables
from scylla_store.database.cql.registry import Leases, Letters, Namespaces, State
from scylla_store.database.cql.schema import setup
from scylla_store.database.cql.session import Session
from scylla_store.database.slots import SlottedOutbox
from scylla_store.errors import DatabaseUnavailable, StoreError
from scylla_store.identity import ItemId, Namespace
from scylla_store.letters import DeadLetter
from scylla_store.rows import Cells, stamp
from scylla_store.settings.options import DatabaseSettings

_CLOCK = "SELECT toTimestamp(now()) FROM system.local"
_CLOCK_PATIENCE = 0.5
"""Seconds; a node that hangs must not hold up the writes that wait for this comparison."""

_PING = "SELECT key FROM system.local"


class ScyllaDB:
    """A `Database` on a cluster. Connects when it is first used, in each process for itself.

    Args:
        settings: contact points, keyspace, consistency, timeouts, credentials.
        clock: this machine's time, for bookkeeping and leases.
    """

    def __init__(self, settings: DatabaseSettings, *, clock: Clock = system_clock) -> None:
        self._session = Session(settings)
        self._clock = clock
        self._items = Items(self._session)
        self._namespaces = Namespaces(self._session)
        self._letters = Letters(self._session)
        self._leases = Leases(self._session, clock)
        self._state = State(self._session, clock)
        self._outbox = SlottedOutbox(CqlSlotTables(self._session, clock), clock=clock)

    @property
    def outbox(self) -> SlottedOutbox:
        """Intents that are not acknowledged yet."""
        return self._outbox

    def connect(self) -> None:
        """See `Database.connect`; SchemaMismatch when setup() was not run."""
        self._session.connect()

    def close(self) -> None:
        """See `Database.close`."""
        self._session.close()

    def setup(self) -> None:
        """See `Database.setup`."""
        setup(self._session, self._clock)
        self._outbox.prepare(self._clock())

    def clock(self) -> ClockReading:
        """See `Database.clock`. All connected nodes are asked at once; half of the way there and back is taken off."""
        offsets, failures = self._offsets()
        if not offsets:
            raise failures[0] if failures else DatabaseUnavailable()
        median = int(statistics.median(offsets.values()))
        return ClockReading(
            system_clock() + median,
            {node: offset - median for node, offset in offsets.items()},
            has_one_clock=len(self._session.known()) == 1,
        )

    def unreachable_nodes(self) -> list[str]:
        """Nodes that are in the cluster and do not take this process's connections."""
        return sorted(str(host.endpoint) for host in self._session.unreachable())

    def _offsets(self) -> tuple[dict[str, int], list[StoreError]]:
        """How far each node that answers soon is from this machine's time (microseconds)."""
        driver = self._session.driver
        timeout = min(self._session.settings.timeout, _CLOCK_PATIENCE)
        arrived: dict[str, int] = {}
        asked = []
        for host in self._session.others() or self._session.hosts():
            node, sent = str(host.endpoint), system_clock()
            future = driver.execute_async(_CLOCK, timeout=timeout, host=host)
            future.add_callback(lambda _, node=node: arrived.setdefault(node, system_clock()))
            asked.append((host, node, sent, future))
        offsets: dict[str, int] = {}
        failures: list[StoreError] = []
        for host, node, sent, future in asked:
            try:
                with translated(self._session.server, write=False):
                    [[answer]] = future.result()
            except DatabaseUnavailable as error:
                self._session.note_slow(host)
                failures.append(error)
                continue
            halfway = (sent + arrived.get(node, system_clock())) // 2
            # The driver's datetimes are UTC, without saying so.
            offsets[node] = int(answer.replace(tzinfo=timezone.utc).timestamp() * SECOND) - halfway
        return offsets, failures

    def writing(self, ids: Sequence[ItemId]) -> AbstractContextManager[Writing]:
        """See `Database.writing`."""
        return self._items.writing(ids)

    def read(self, ids: Sequence[ItemId], *, body: bool = True, serial: bool = False) -> dict[ItemId, Cells]:
        """See `Database.read`."""
        return self._items.read(ids, body=body, serial=serial)

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """See `Database.compare_and_set`."""
        return self._items.compare_and_set(expected, mutation)

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        """See `Database.refresh`."""
        self._items.refresh(refreshes)

    def keys(
        self, namespace: Namespace, *, after: str | None, limit: int, max_bytes: int | None = None
    ) -> list[Cells]:
        """See `Database.keys`."""
        return self._items.keys(namespace, after=after, limit=limit, max_bytes=max_bytes)

    def scan(self, *, after: Position | None, limit: int, max_bytes: int = SCAN_BYTES) -> list[Cells]:
        """See `Database.scan`."""
        return self._items.scan(after=after, limit=limit, max_bytes=max_bytes)

    def register(self, namespaces: Iterable[Namespace], *, now: int) -> None:
        """See `Database.register`."""
        self._namespaces.register(namespaces, now=now)

    def namespaces(self, prefix: Namespace, *, after: Namespace | None, limit: int) -> list[Registration]:
        """See `Database.namespaces`."""
        return self._namespaces.page(prefix, after=after, limit=limit)

    def unregister(self, registration: Registration) -> None:
        """See `Database.unregister`."""
        self._namespaces.unregister(registration)

    def bury(self, letter: DeadLetter) -> None:
        """See `Database.bury`."""
        self._letters.bury(letter, stamp(letter.write_id, letter.timestamp))

    def exhume(self, letters: Sequence[tuple[ItemId, int]]) -> None:
        """See `Database.exhume`."""
        self._letters.exhume(letters)

    def letters(self, *, after: str | None, limit: int) -> list[DeadLetter]:
        """See `Database.letters`."""
        return self._letters.page(after=after, limit=limit)

    def letter(self, ident: str) -> DeadLetter | None:
        """See `Database.letter`."""
        return self._letters.get(ident)

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """See `Database.lease`."""
        return self._leases.take(name, owner, seconds)

    def release(self, name: str, owner: str) -> None:
        """See `Database.release`."""
        self._leases.release(name, owner)

    def state(self, name: str) -> bytes | None:
        """See `Database.state`."""
        return self._state.state(name)

    def set_state(self, name: str, value: bytes) -> None:
        """See `Database.set_state`."""
        self._state.set_state(name, value)

    def first_state(self, name: str, value: bytes) -> bytes:
        """See `Database.first_state`."""
        return self._state.first_state(name, value)

    def ping(self) -> float:
        """See `Database.ping`."""
        driver = self._session.driver
        started = time.perf_counter()
        with translated(self._session.server, write=False):
            driver.execute(_PING, timeout=self._session.settings.timeout)
        return time.perf_counter() - started
