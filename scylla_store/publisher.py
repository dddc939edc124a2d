"""The background publisher: puts hand in refs, one thread a process sends them as tasks. A put never waits for the broker."""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
import uuid

from scylla_store.dispatch import Dispatcher
from scylla_store.errors import StoreError
from scylla_store.forks import follow
from scylla_store.intents import Ref
from scylla_store.settings.options import PublisherSettings
from scylla_store.threads import started

log = logging.getLogger(__name__)


class Publisher:
    """Collects refs and sends one task per `batch_size` refs or `linger_ms` milliseconds.

    The queue is bounded; what does not fit, and what the broker does not take, is left to the outbox. Safe to use after a
    fork: the child begins with an empty queue, because the parent still has what was collected before.
    """

    def __init__(self, dispatcher: Dispatcher, settings: PublisherSettings) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._begin()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._tasks: collections.deque[tuple[str, list[Ref]]] = collections.deque()
        self._open: tuple[str, list[Ref]] | None = None
        self._opened_at = 0.0
        self._waiting = 0
        self._sending = False
        self._closed = False
        self._flushing = False
        self._failing = False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def collect(self, refs: list[Ref]) -> list[str | None]:
        """Takes the refs for sending; returns the id of the task that will carry each one, None where it did not fit."""
        if self._pid != os.getpid():  # forked by C code that runs no hooks
            self._begin()
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = started("scylla-store-publisher", self._run)
            return [self._add(ref) for ref in refs]

    def _add(self, ref: Ref) -> str | None:
        if self._closed or self._thread is None or self._waiting >= self._settings.queue_size:
            return None
        if self._open is None:
            self._open = (str(uuid.uuid4()), [])
            self._opened_at = time.monotonic()
            self._tasks.append(self._open)
            self._changed.notify()
        task_id, refs = self._open
        refs.append(ref)
        self._waiting += 1
        if len(refs) >= self._settings.batch_size:
            self._open = None
            self._changed.notify()
        return task_id

    def flush(self, timeout: float) -> bool:
        """Sends what is collected now; False when that took longer than `timeout` seconds."""
        if self._pid != os.getpid():
            return True
        deadline = time.monotonic() + timeout
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            try:
                return self._changed.wait_for(
                    lambda: not self._tasks and not self._sending, max(0.0, deadline - time.monotonic())
                )
            finally:
                self._flushing = False

    def close(self, timeout: float = 0.7) -> None:
        """Sends what it can within `timeout` seconds and ends; twice is fine."""
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return
        thread.join(timeout)
        with self._changed:
            left = self._waiting
            self._tasks.clear()
            self._waiting = 0
        if left:
            log.warning("%d refs were not published; the outbox has them.", left)

    def _run(self) -> None:
        while True:
            with self._changed:
                task = self._next()
                if task is None:
                    return
                self._sending = True
            self._send(*task)
            with self._changed:
                self._sending = False
                self._changed.notify_all()

    def _next(self) -> tuple[str, list[Ref]] | None:
        """Waits for a task that is full or has lingered; None when closed and empty. The lock is held."""
        while True:
            if not self._tasks:
                if self._closed:
                    return None
                self._changed.wait()
                continue
            wait = self._settings.linger_ms / 1000 - (time.monotonic() - self._opened_at)
            if self._tasks[0] is not self._open or wait <= 0 or self._closed or self._flushing:
                break
            self._changed.wait(wait)
        task = self._tasks.popleft()
        if task is self._open:
            self._open = None
        self._waiting -= len(task[1])
        return task

    def _send(self, task_id: str, refs: list[Ref]) -> None:
        try:
            self._dispatcher.send(refs, task_id)
        except StoreError as exc:
            self._abandon(len(refs), exc)
        except Exception:
            log.exception("A task could not be published; the outbox has its %d refs.", len(refs))
        else:
            if self._failing:
                log.info("The broker takes tasks again.")
                self._failing = False

    def _abandon(self, count: int, exc: StoreError) -> None:
        """The broker does not take tasks: what is collected is left to the outbox, so that memory stays bounded."""
        with self._changed:
            count += self._waiting
            self._tasks.clear()
            self._open = None
            self._waiting = 0
        log.log(
            logging.DEBUG if self._failing else logging.WARNING,
            "%d refs were not published, the outbox has them: %s", count, exc,
        )  # fmt: skip
        self._failing = True
