"""Connections of this process to one SQLite file: lent to threads, never carried across a fork.

SQLite's locks belong to the process, and it counts them in memory. A child that inherits the counts believes that it
holds locks which only its parent has, even on connections that it opens itself, and damages the file when the parent is
gone (https://www.sqlite.org/howtocorrupt.html, section 2.6). So all connections are closed before a fork.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scylla_store.database.sqlite.errors import translated
from scylla_store.errors import DatabaseUnavailable, StoreClosed

_MOST_IDLE = 8
_CLOSE_SECONDS = 0.3
"""How long a close waits for statements of other threads; the executor was waited for before that."""
_live: weakref.WeakSet[Connections] = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []


class Connections:
    """Lends connections. Safe to use from several threads, and in both halves after a fork.

    Args:
        path: the file; it is made when it is missing.
        timeout: how long a statement may wait for locks of others, in seconds.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self._closed = False
        self._begin()
        _live.add(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._write_lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._watcher: sqlite3.Connection | None = None
        self._watchers = 0
        self._is_forking = False
        self._is_unsafe = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection outside of any transaction: each statement sees the latest commit."""
        connection = self._take()
        try:
            with translated(self.path):
                yield connection
        finally:
            self._give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction that may write, committed at the end if it is still open.

        Threads of a process wait for each other here, because SQLite's own waiting is a poll; it waits for other processes.
        """
        deadline = time.monotonic() + self.timeout
        if not self._write_lock.acquire(timeout=self.timeout):
            raise DatabaseUnavailable(f"Other threads kept the database ({self.path}) for longer than database.timeout")
        try:
            with self.reading() as connection:
                self._start(connection, deadline)
                try:
                    yield connection
                    commit(connection, self.path)
                finally:
                    if connection.in_transaction:
                        connection.rollback()
        finally:
            self._write_lock.release()

    def data_version(self) -> int:
        """A number that changes when any other connection commits, those of other processes included."""
        self.check()
        with self._changed, translated(self.path):
            if self._closed:  # since the check
                raise StoreClosed
            if self._watcher is None:
                self._watcher = self._open()
                self._watchers += 1  # each counts from its own beginning, and misses what was written before it
            return (self._watchers << 32) + int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Waits a moment for what other threads are at; what is lent longer is closed when it comes back."""
        self._closed = True
        if self._pid != os.getpid():
            self.after_in_child()
        with self._changed:
            self._close_idle()
            self._changed.wait_for(lambda: not self._lent, _CLOSE_SECONDS)

    def _start(self, connection: sqlite3.Connection, deadline: float) -> None:
        _wait_at_most(connection, deadline - time.monotonic())
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            _wait_at_most(connection, self.timeout)

    def _take(self) -> sqlite3.Connection:
        self.check()
        with self._changed:
            self._changed.wait_for(lambda: not self._is_forking)
            if self._closed:
                raise StoreClosed
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            with translated(self.path):
                return self._open()
        except BaseException:
            self._return_one()
            raise

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._pid != os.getpid():
            _inherited.append(connection)
            return
        if connection.in_transaction or len(self._idle) >= _MOST_IDLE:
            connection.close()  # with a transaction that could not be rolled back, it would keep the lock
        else:
            self._idle.append(connection)
        self._return_one()

    def _return_one(self) -> None:
        with self._changed:
            self._lent -= 1
            if self._closed:
                self._close_idle()
            self._changed.notify_all()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def check(self) -> None:
        """Raises StoreClosed, or DatabaseUnavailable in a child that must not use the file."""
        if self._closed:
            raise StoreClosed
        if self._pid != os.getpid():  # forked by C code that runs no hooks
            self.after_in_child()
        if self._is_unsafe:
            raise DatabaseUnavailable(
                f"This process was forked while its parent was using the database ({self.path}); fork before, or start anew"
            )

    def before_fork(self) -> None:
        """Closes all connections; waits for those that other threads use."""
        self._changed.acquire()
        self._is_forking = True
        self._changed.wait_for(lambda: not self._lent, self.timeout)
        self._close_idle()

    def after_in_parent(self) -> None:
        """Goes on."""
        self._is_forking = False
        self._changed.notify_all()
        self._changed.release()

    def after_in_child(self) -> None:
        """Starts again without a connection; unsafe when one was inherited all the same."""
        inherited = [*self._idle, *([self._watcher] if self._watcher else [])]
        _inherited.extend(inherited)
        unsafe = bool(inherited or self._lent)
        self._begin()
        self._is_unsafe = unsafe


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {max(1, int(seconds * 1000))}")


def commit(connection: sqlite3.Connection, path: Path) -> None:
    """Commits if a transaction is open; OutcomeUnknown when the disk does not say whether it did."""
    if connection.in_transaction:
        with translated(path, write=True):
            connection.execute("COMMIT")


_forks = threading.RLock()
_held: list[Connections] = []


def _before_fork() -> None:
    _forks.acquire()
    _held[:] = list(_live)
    for connections in _held:
        connections.before_fork()


def _after_in_parent() -> None:
    for connections in _held:
        connections.after_in_parent()
    _held.clear()
    _forks.release()


def _after_in_child() -> None:
    global _forks
    _forks = threading.RLock()
    _held.clear()
    for connections in list(_live):
        connections.after_in_child()


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
