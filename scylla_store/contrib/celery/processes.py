"""The one store of each worker process: made by its first task, closed when the process ends."""

from __future__ import annotations

import os
import threading
from typing import Any

from scylla_store.forks import follow
from scylla_store.monitoring import Metrics
from scylla_store.settings.options import Settings
from scylla_store.store import ScyllaStore

_inherited: list[ScyllaStore] = []


class ProcessStore:
    """Makes a store when a task first needs it, keyed by process id: the prefork pool forks, the threads pool does not.

    Args:
        settings: of the store.
        store: a store to use instead; it is not closed here.
    """

    def __init__(self, settings: Settings, store: ScyllaStore | None = None) -> None:
        self._settings = settings
        self._given = store
        self._made: ScyllaStore | None = None
        self._begin()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._begin()

    def _begin(self) -> None:
        """What the parent made belongs to the parent: not even a destructor may touch it here."""
        if self._made is not None:
            _inherited.append(self._made)
        self._lock = threading.Lock()
        self._made = None
        self._pid = os.getpid()

    def get(self) -> ScyllaStore:
        """This process's store. An embedded index is opened; EmbeddedIndexBusy while another process owns it."""
        store = self.store
        if store.parts.is_embedded:
            store.parts.open_index()
        return store

    @property
    def store(self) -> ScyllaStore:
        """This process's store, as it is."""
        self._notice_fork()
        return self._given or self._make()

    @property
    def metrics(self) -> Metrics:
        """This process's counters and gauges."""
        return self.store.parts.metrics

    def close(self, **_: Any) -> None:
        """Closes what was made in this process; connected to Celery's signals for the end of a process."""
        self._notice_fork()
        with self._lock:
            store, self._made = self._made, None
        if store is not None:
            store.close()

    def _make(self) -> ScyllaStore:
        with self._lock:
            if self._made is None:
                self._made = ScyllaStore(self._settings)
            return self._made

    def _notice_fork(self) -> None:
        """For forks by C code that runs no hooks."""
        if self._pid != os.getpid():
            self._begin()
