"""The in-process executor: the Dispatcher of embedded mode. One daemon thread a process indexes what puts hand in.

It owns the embedded index folder when no other process does, indexes what other processes write to the same database,
and takes over when the owner is gone.
"""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from scylla_store.drain import Scope
from scylla_store.errors import BrokerUnavailable, EmbeddedIndexBusy, StoreClosed, StoreError
from scylla_store.forks import follow
from scylla_store.intents import Ref
from scylla_store.threads import started

log = logging.getLogger(__name__)

MOST_TASKS = 1000
TICK = 0.5
"""Seconds between two looks at what other processes wrote and at what is due."""

CATCH_UP_WITHIN = 10.0
"""Seconds after which it looks even when tasks never end."""


class Engine(Protocol):
    """What the executor runs; wired to the worker and the drain."""

    def open(self) -> None:
        """Opens the index; EmbeddedIndexBusy while another process owns it."""

    def work(self, refs: Sequence[Ref]) -> None:
        """Indexes the refs."""

    def catch_up(self, scope: Scope) -> None:
        """Dispatches what waits."""

    def data_version(self) -> int:
        """Changes when another process wrote to the database."""


class InProcessExecutor:
    """Runs sync tasks in a thread of this process. Starts with the first task or `start()`, again after a fork."""

    def __init__(self, engine: Callable[[], Engine], tick: float = TICK) -> None:
        self._make_engine = engine
        self._tick = tick
        self._begin()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._tasks: collections.deque[Sequence[Ref]] = collections.deque()
        self._backlog: collections.deque[Sequence[Ref]] = collections.deque()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._is_busy = False
        self._announced_busy = False
        self._pid = os.getpid()

    def start(self) -> None:
        """Starts the thread if it does not run in this process."""
        if self._pid != os.getpid():  # forked by C code that runs no hooks
            self._begin()
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = started("scylla-store-executor", self._run)

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        """Queues the refs; BrokerUnavailable when the queue is full (the outbox keeps them)."""
        self.start()
        with self._changed:
            if self._closed:
                return  # like what close() found in the queue: the next start takes them from the outbox
            if self.backlog() >= MOST_TASKS:
                raise BrokerUnavailable("The in-process queue is full; the outbox keeps the task's documents")
            (self._backlog if any(ref.again for ref in refs) else self._tasks).append(refs)
            self._changed.notify()

    def backlog(self) -> int:
        """How many tasks wait."""
        return len(self._tasks) + len(self._backlog)

    @property
    def is_at_work(self) -> bool:
        """Whether a task waits or is in its hands, or it opens the index, for which a model may have to be loaded."""
        return self._is_busy or self.backlog() > 0

    def close(self, timeout: float = 1.2) -> None:
        """Ends after the task at hand, or leaves it to the outbox; twice is fine."""
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self._closed = True
            self._clear()
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
            if self._thread.is_alive():
                log.warning(
                    "The executor did not end within %s s (an embedder hangs?); its thread is abandoned.", timeout
                )

    @property
    def is_closed(self) -> bool:
        return self._closed

    def _run(self) -> None:
        engine = self._make_engine()
        opened = False
        version: int | None = None
        due = 0.0
        while not self._closed:
            try:
                if not opened:
                    opened = self._open(engine)
                    if not opened:
                        self._wait(self._tick)
                        continue
                    version = engine.data_version()
                    engine.catch_up(Scope.ALL)
                    due = time.monotonic() + CATCH_UP_WITHIN
                task = self._next()
                if task is not None:
                    self._work(engine, task)
                if task is None or time.monotonic() >= due:
                    current = engine.data_version()
                    engine.catch_up(Scope.DUE if current == version else Scope.NEW)
                    version, due = current, time.monotonic() + CATCH_UP_WITHIN
            except StoreClosed:
                return  # what was at hand is in the outbox, and a store that was closed stays closed
            except StoreError as exc:
                log.warning("Indexing in this process failed, it goes on in %s s: %s", self._tick, exc)
                self._wait(self._tick)
            except Exception:
                log.exception("Indexing in this process failed; it goes on in %s s.", self._tick)
                self._wait(self._tick)

    def _work(self, engine: Engine, task: Sequence[Ref]) -> None:
        try:
            engine.work(task)
        finally:
            self._is_busy = False

    def _open(self, engine: Engine) -> bool:
        self._is_busy = True
        try:
            engine.open()
        except EmbeddedIndexBusy as exc:
            with self._changed:
                self._clear()  # the outbox has them, and the owner of the index takes them from there
            if not self._announced_busy:
                log.info("%s", exc)
                self._announced_busy = True
            return False
        finally:
            self._is_busy = False
        return True

    def _next(self) -> Sequence[Ref] | None:
        """The next task, new writes before what the drain brought back; None when a tick passed without one."""
        with self._changed:
            if not self.backlog() and not self._closed:
                self._changed.wait(self._tick)
            tasks = self._tasks or self._backlog
            self._is_busy = bool(tasks)
            return tasks.popleft() if tasks else None

    def _clear(self) -> None:
        self._tasks.clear()
        self._backlog.clear()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            if not self._closed:
                self._changed.wait(seconds)
