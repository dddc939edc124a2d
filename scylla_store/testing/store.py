"""A store for tests: embedded, in a folder, with a clock to set, and indexed when the test says so."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scylla_store.clock import Clock
from scylla_store.database.base import Database
from scylla_store.drain import Scope
from scylla_store.embedders.base import Embedder
from scylla_store.index.base import Index
from scylla_store.intents import Ref
from scylla_store.settings.options import EmbedderSettings, Settings
from scylla_store.store import Receipts, ScyllaStore
from scylla_store.testing.clock import SettableClock
from scylla_store.worker import WorkReport

_ALL = 10_000_000


class TestingStore(ScyllaStore):
    """A store whose index changes only in `drain()`, in the calling thread: no executor runs beside the test.

    Settings come from the arguments alone; files and environment variables are not read.

        store = TestingStore(tmp_path)
        store.put(("docs",), "k", {"text": "How to brew tea"})
        store.drain()
        assert store.search(("docs",), "brew tea")

    Args:
        path: folder of database and index.
        clock: time in microseconds; None: a `SettableClock` that stands still at the machine's time. It is `.clock`.
        embedder: None: the hashing one, which is deterministic and knows words but no meaning.
        settings: None: the defaults. Its path is replaced by `path`.
        database, index: instead of SQLite and Qdrant's engine in the folder.
    """

    __test__ = False  # pytest takes classes that begin with "Test" for tests

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Clock | None = None,
        embedder: Embedder | None = None,
        settings: Settings | None = None,
        database: Database | None = None,
        index: Index | None = None,
    ) -> None:
        self.clock = SettableClock() if clock is None else clock
        settings = settings or Settings(embedder=EmbedderSettings(name="hashing"))
        settings = replace(settings, path=str(path))
        self._own_database = None if database is not None else _sqlite(settings, self.clock)
        self._held = _HeldTasks()
        super().__init__(
            settings,
            database=database or self._own_database,
            index=index,
            embedder=embedder,
            dispatcher=self._held,
            clock=self.clock,
        )

    def drain(self, attempts: int | None = None) -> int:
        """Indexes everything that is pending now, expiries that are due included.

        A document that fails is tried again at once, until it is indexed or a dead letter. What waits for a dependency
        that is down stays pending.

        Args:
            attempts: how often it goes through what is pending; None: as long as that changes anything.

        Returns:
            How many writes are still pending.
        """
        parts = self._started()
        parts.open_index()
        rounds = 0
        while attempts is None or rounds < attempts:
            rounds += 1
            reports = [parts.worker.work(refs) for refs in self._tasks()]
            if not any(_has_moved(report) for report in reports):
                break
        return parts.database.outbox.summary(_ALL).pending

    def _tasks(self) -> list[Sequence[Ref]]:
        """What a drain would dispatch if everything were due."""
        with self._held as tasks:
            self._started().drain.run(Scope.ALL)
            return [[_settled(ref) for ref in refs] for refs in tasks]

    def _wait_for(self, receipts: Receipts, timeout: float) -> None:
        """What a write with `wait` does: it drains, and then nothing is left to wait for."""
        self.drain()
        super()._wait_for(receipts, 0.0)

    def close(self) -> None:
        """As `ScyllaStore.close`."""
        super().close()
        if self._own_database is not None:
            self._own_database.close()


class _HeldTasks:
    """The dispatcher of a testing store: keeps tasks for the thread that drains, leaves all others to the outbox."""

    def __init__(self) -> None:
        self._tasks: deque[Sequence[Ref]] = deque()
        self._thread: int | None = None

    def __enter__(self) -> deque[Sequence[Ref]]:
        self._tasks.clear()
        self._thread = threading.get_ident()
        return self._tasks

    def __exit__(self, *_: object) -> None:
        self._thread = None

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        if self._thread == threading.get_ident():
            self._tasks.append(refs)

    def backlog(self) -> int:
        return 0

    def close(self) -> None:
        self._tasks.clear()


def _sqlite(settings: Settings, clock: Clock) -> Database:
    from scylla_store.database.sqlite import SQLite

    return SQLite(Path(settings.path), timeout=settings.database.timeout, clock=clock)


def _settled(ref: Ref) -> Ref:
    """No conditional write is on its way while a test drains: nobody has to wait for one that was replaced."""
    return ref if ref.intent.version is not None else replace(ref, intent=replace(ref.intent, filed_at=0))


def _has_moved(report: WorkReport) -> bool:
    """Whether the work ended anything or cost an attempt; after an outage everything waits as before."""
    return bool(report.acked or report.dead or len(report.retry) > report.waiting)
