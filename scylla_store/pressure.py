"""Back-pressure: bulk writes wait while too many writes wait for the index."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from scylla_store.clock import SECOND
from scylla_store.database.base import Database
from scylla_store.errors import Backlogged
from scylla_store.forks import follow
from scylla_store.settings.options import Settings
from scylla_store.summary import load_summary

_POLL = 0.25
_FRESH = 3
"""A drain's summary counts as long as that many drains should have taken place since."""


class Pressure:
    """Knows about how many writes are pending: from the last drain's summary and what this process has added to it since.

    Args:
        counts: pending writes are counted each time, because that is cheap (embedded mode).
        now: microseconds.
        sleep, monotonic: for waiting.

    Attributes:
        sleep: may be replaced; what it raises ends the waiting, and nothing of these writes is stored.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        now: Callable[[], int],
        *,
        counts: bool,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._most = settings.bulk.max_pending
        self._patience = settings.bulk.patience
        self._stale = int(_FRESH * settings.celery.drain_interval * SECOND)
        self._now = now
        self._counts = counts
        self.sleep = sleep
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen_at = 0
        self._added = 0
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.Lock()

    def admit(self, number: int) -> None:
        """Returns when so many writes may be stored; raises Backlogged when that is not so within `bulk.patience`.

        More than `bulk.max_pending` at once may be stored when nothing is pending.
        """
        if not (self._most and number):
            return
        end = self._monotonic() + self._patience
        while (pending := self._pending()) and pending + number > self._most:
            left = end - self._monotonic()
            if left <= 0:
                raise Backlogged(
                    f"About {pending} writes wait for the index, and bulk.max_pending is {self._most}: nothing of these {number} was "
                    f"stored within bulk.patience = {self._patience:g} s; `scylla-store status` says what holds the index up"
                )
            self.sleep(min(_POLL, left))
        with self._lock:
            self._added += number

    def _pending(self) -> int:
        summary = None if self._counts else load_summary(self._database)
        if summary is None or self._now() - summary.at > self._stale:
            return self._database.outbox.summary(self._most + 1).pending
        with self._lock:
            if summary.at != self._seen_at:
                self._seen_at, self._added = summary.at, 0
            return summary.pending + self._added
