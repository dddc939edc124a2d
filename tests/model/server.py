"""The machine's store on a CQL server, whose time nobody can set: the store's clock is ahead of it, further at each wait.

Cells get their write times in the server's time and are read in the store's, so that conditional writes, whose time the server
chooses, and plain ones are as far apart as they would be with one clock.
"""

from __future__ import annotations

import itertools
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from scylla_store.clock import SECOND, system_clock
from scylla_store.database.base import ClockReading, Mutation, Push, Refresh, Sweep
from scylla_store.database.cql import ScyllaDB
from scylla_store.index.memory import MemoryIndex
from scylla_store.rows import Cells
from scylla_store.settings.options import DatabaseSettings
from scylla_store.testing import SettableClock, TestingStore
from tests.model.cutting import CutDatabase, Cutter
from tests.model.world import store_on

_HORIZON = 60 * SECOND
"""How far ahead of now a drain looks: as far as a push or a failure puts anything off here."""


class ServerClock(SettableClock):
    """The server's time and what was waited for, standing still within a step."""

    def __init__(self) -> None:
        super().__init__(system_clock())
        self._offsets = [(0, 0)]

    def tick(self) -> None:
        """Catches up with the server."""
        super().set(system_clock() + self._offsets[-1][1])

    def set(self, when: datetime | int) -> None:
        """Only ahead."""
        super().set(when)
        now = system_clock()
        assert self() >= now + self._offsets[-1][1] - SECOND, "the server's time cannot be set back"
        self._offsets.append((now, max(self() - now, self._offsets[-1][1])))

    def advance(self, seconds: float) -> None:
        self.set(self() + round(seconds * SECOND))

    def to_server(self, time: int) -> int:
        """A time of the store as the server's."""
        return next(time - ahead for since, ahead in reversed(self._offsets) if time >= since + ahead)

    def from_server(self, time: int) -> int:
        """A time of the server as the store's."""
        return next(time + ahead for since, ahead in reversed(self._offsets) if time >= since)


class AheadDatabase:
    """The database as a process with such a clock sees it."""

    def __init__(self, target: ScyllaDB, clock: ServerClock) -> None:
        self._target = target
        self._clock = clock
        self.outbox = _Outbox(target.outbox, clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def clock(self) -> ClockReading:
        return ClockReading(self._clock(), {}, has_one_clock=True)

    def read(self, *args: Any, **kwargs: Any) -> dict[Any, Cells]:
        return {item: self._seen(cells) for item, cells in self._target.read(*args, **kwargs).items()}

    def keys(self, *args: Any, **kwargs: Any) -> list[Cells]:
        return [self._seen(cells) for cells in self._target.keys(*args, **kwargs)]

    def scan(self, **kwargs: Any) -> list[Cells]:
        return [self._seen(cells) for cells in self._target.scan(**kwargs)]

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        to_server = self._clock.to_server
        self._target.refresh([replace(one, timestamp=to_server(one.timestamp)) for one in refreshes])

    @contextmanager
    def writing(self, ids: Sequence[Any]) -> Iterator[_Writing]:
        with self._target.writing(ids) as writing:
            yield _Writing(writing, self._clock)

    def _seen(self, cells: Cells) -> Cells:
        return replace(cells, version=self._clock.from_server(cells.version)) if cells.version else cells


class _Writing:
    def __init__(self, writing: Any, clock: ServerClock) -> None:
        self._writing = writing
        self._clock = clock
        self.heads = {
            item: replace(cells, version=clock.from_server(cells.version)) for item, cells in writing.heads.items()
        }

    def floor(self, item: Any) -> int:
        cells = self.heads.get(item)
        return 0 if cells is None else cells.version + 1

    def commit(self, mutations: Sequence[Mutation]) -> Any:
        to_server = self._clock.to_server
        return self._writing.commit([replace(one, version=to_server(one.version)) for one in mutations])


class _Outbox:
    def __init__(self, target: Any, clock: ServerClock) -> None:
        self._target = target
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def sweep(self, now: int, limit: int, push: Push, *, since: int | None = None) -> Sweep:
        """A test's drain takes whatever there is; what lies further ahead is not due for a long time."""
        swept: Sweep = self._target.sweep(min(now, self._clock() + _HORIZON), limit, push, since=since)
        return swept


class Server:
    """A keyspace of a CQL server and an index in memory; runs share them, each under a label of its own."""

    def __init__(self, address: str) -> None:
        self._settings = DatabaseSettings(contact_points=(address,), keyspace=f"model_{uuid.uuid4().hex[:8]}")
        self.clock = ServerClock()
        self._numbers = itertools.count()
        self._index = MemoryIndex()
        self._target = ScyllaDB(self._settings, clock=self.clock)
        self._target.setup()

    def run(self) -> ServerRun:
        """Where one run lives."""
        return ServerRun(self._target, self._index, self.clock, f"run {next(self._numbers)}")

    def close(self) -> None:
        """Ends the connection."""
        self._target.close()


class ServerRun:
    """One run on a server. See `World`."""

    longest_wait = 60.0

    def __init__(self, target: ScyllaDB, index: MemoryIndex, clock: ServerClock, root: str) -> None:
        self._target = target
        self._temporary = tempfile.TemporaryDirectory(prefix="scylla-store-model-")
        self.root: tuple[str, ...] = (root,)
        self.clock = clock
        self.cutter = Cutter()
        self.index = index
        self.is_ill = True
        self.max_scanned = 8

    def tick(self) -> None:
        self.clock.tick()

    def open(self) -> TestingStore:
        """Connecting takes seconds, so that the connection outlives the store; nothing of the store is in it."""
        self.cutter.revive()
        self.tick()
        self._database = CutDatabase(AheadDatabase(self._target, self.clock), self.cutter)
        store = store_on(self, Path(self._temporary.name), self._database)
        store.setup()
        return store

    def leave(self, store: TestingStore) -> None:
        store.close()
        for name, owner in self._database.leases:
            self._target.release(name, owner)

    def close(self) -> None:
        self._temporary.cleanup()
