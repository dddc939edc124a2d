"""Lists namespaces before items are written to them, without a write for every put."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Set

from cachetools import TTLCache

from scylla_store.clock import Clock
from scylla_store.database.base import Database
from scylla_store.forks import follow
from scylla_store.identity import Namespace

REGISTER_AGAIN = 3600
"""Seconds after which a process lists a namespace again; the cleaner spares what was listed within three times that."""

_CACHED = 100_000


class Registry:
    """Remembers which namespaces this process has listed.

    Args:
        clock: time in microseconds, for the list.
        seconds: what the hour until a namespace is listed again is measured by; it does not step, as a machine's clock may.
    """

    def __init__(self, database: Database, clock: Clock, seconds: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self.after_fork()
        follow(self)

    def after_fork(self) -> None:
        """Begins with an empty memory: another thread may have been changing it."""
        self._lock = threading.Lock()
        self._listed: TTLCache[Namespace, bool] = TTLCache(_CACHED, REGISTER_AGAIN, timer=self._seconds)

    def register(self, namespaces: Set[Namespace]) -> None:
        """Lists those that this process has not listed lately."""
        with self._lock:
            new = [namespace for namespace in namespaces if namespace not in self._listed]
        if not new:
            return
        self._database.register(new, now=self._clock())
        with self._lock:
            self._listed.update(dict.fromkeys(new, True))
