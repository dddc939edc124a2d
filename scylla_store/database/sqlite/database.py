"""SQLite behind the contract of `database.base`: one file, any process and thread of the machine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scylla_store.clock import Clock, system_clock
from scylla_store.database.base import SCAN_BYTES, Mutation, Position, Refresh, Registration, Writing
from scylla_store.database.sqlite.connections import Connections
from scylla_store.database.sqlite.items import Items
from scylla_store.database.sqlite.outbox import SQLiteOutbox
from scylla_store.database.sqlite.registry import Leases, Letters, Namespaces, State
from scylla_store.database.sqlite.schema import make_folder, migrate
from scylla_store.identity import ItemId, Namespace
from scylla_store.letters import DeadLetter
from scylla_store.rows import Cells

FILE = "store.sqlite3"


class SQLite:
    """A `Database` in a folder, with a write-ahead log that is synced at each commit. Made when it is first used.

    Args:
        folder: is made if it is missing.
        timeout: how long a call may wait for other writers, in seconds.
        clock: this machine's time, for TTLs, leases and conditional writes.
    """

    def __init__(self, folder: Path, *, timeout: float, clock: Clock = system_clock) -> None:
        self._folder = folder
        self._connections = Connections(folder / FILE, timeout)
        self._is_ready = False
        self._items = Items(self._connections, clock)
        self._outbox = SQLiteOutbox(self._connections, clock, self.connect, self._items.purge)
        self._namespaces = Namespaces(self._connections)
        self._letters = Letters(self._connections)
        self._leases = Leases(self._connections, clock)
        self._state = State(self._connections)

    @property
    def outbox(self) -> SQLiteOutbox:
        """Intents that are not acknowledged yet."""
        return self._outbox

    def connect(self) -> None:
        """See `Database.connect`. Makes folder, file and schema; SchemaMismatch when the schema is newer than the code."""
        if not self._is_ready:
            self._connections.check()
            make_folder(self._folder)
            migrate(self._connections)
            self._is_ready = True

    def close(self) -> None:
        """See `Database.close`."""
        self._is_ready = False
        self._connections.close()

    def setup(self) -> None:
        """See `Database.setup`."""
        self.connect()

    def clock(self) -> None:
        """See `Database.clock`. There is one clock only, and no version relies on it."""
        self.connect()

    def data_version(self) -> int:
        """Changes when another process (or this one) has written to the file."""
        self.connect()
        return self._connections.data_version()

    @contextmanager
    def writing(self, ids: Sequence[ItemId]) -> Iterator[Writing]:
        """See `Database.writing`."""
        self.connect()
        with self._items.writing(ids) as writing:
            yield writing

    def read(self, ids: Sequence[ItemId], *, body: bool = True, serial: bool = False) -> dict[ItemId, Cells]:
        """See `Database.read`. No conditional write is ever in flight here."""
        self.connect()
        return self._items.read(ids, body=body)

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """See `Database.compare_and_set`."""
        self.connect()
        return self._items.compare_and_set(expected, mutation)

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        """See `Database.refresh`."""
        self.connect()
        self._items.refresh(refreshes)

    def keys(
        self, namespace: Namespace, *, after: str | None, limit: int, max_bytes: int | None = None
    ) -> list[Cells]:
        """See `Database.keys`."""
        self.connect()
        return self._items.keys(namespace, after=after, limit=limit, max_bytes=max_bytes)

    def scan(self, *, after: Position | None, limit: int, max_bytes: int = SCAN_BYTES) -> list[Cells]:
        """See `Database.scan`."""
        self.connect()
        return self._items.scan(after=after, limit=limit, max_bytes=max_bytes)

    def register(self, namespaces: Iterable[Namespace], *, now: int) -> None:
        """See `Database.register`."""
        self.connect()
        self._namespaces.register(namespaces, now=now)

    def namespaces(self, prefix: Namespace, *, after: Namespace | None, limit: int) -> list[Registration]:
        """See `Database.namespaces`."""
        self.connect()
        return self._namespaces.page(prefix, after=after, limit=limit)

    def unregister(self, registration: Registration) -> None:
        """See `Database.unregister`."""
        self.connect()
        self._namespaces.unregister(registration)

    def bury(self, letter: DeadLetter) -> None:
        """See `Database.bury`."""
        self.connect()
        self._letters.bury(letter)

    def exhume(self, letters: Sequence[tuple[ItemId, int]]) -> None:
        """See `Database.exhume`."""
        self.connect()
        self._letters.exhume(letters)

    def letters(self, *, after: str | None, limit: int) -> list[DeadLetter]:
        """See `Database.letters`."""
        self.connect()
        return self._letters.page(after=after, limit=limit)

    def letter(self, ident: str) -> DeadLetter | None:
        """See `Database.letter`."""
        self.connect()
        return self._letters.get(ident)

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """See `Database.lease`."""
        self.connect()
        return self._leases.take(name, owner, seconds)

    def release(self, name: str, owner: str) -> None:
        """See `Database.release`."""
        self.connect()
        self._leases.release(name, owner)

    def state(self, name: str) -> bytes | None:
        """See `Database.state`."""
        self.connect()
        return self._state.state(name)

    def set_state(self, name: str, value: bytes) -> None:
        """See `Database.set_state`."""
        self.connect()
        self._state.set_state(name, value)

    def first_state(self, name: str, value: bytes) -> bytes:
        """See `Database.first_state`."""
        self.connect()
        return self._state.first_state(name, value)

    def ping(self) -> float:
        """See `Database.ping`."""
        self.connect()
        started = time.perf_counter()
        self._state.state("ping")
        return time.perf_counter() - started
