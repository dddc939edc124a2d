"""Time in whole microseconds since the epoch, and the versions that are made of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from scylla_store.forks import follow

SECOND = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

LAST_MOMENT = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds: the last moment that a datetime can tell."""

Clock = Callable[[], int]
"""Returns the time in microseconds since the epoch. It may step back; nothing here relies on it not to."""


def system_clock() -> int:
    """The time of this machine in microseconds since the epoch."""
    return time.time_ns() // 1_000


def to_datetime(microseconds: int) -> datetime:
    """An aware UTC datetime, for a time up to `LAST_MOMENT`."""
    return EPOCH + timedelta(0, 0, microseconds)


def past_for_all(moment: int, skew: int) -> int:
    """The time from which on a clock that shows it proves that no clock is before `moment` any more.

    Every clock is within `skew` of the database's, so two of them differ by up to twice that. All in microseconds.
    """
    return moment + 2 * skew


class VersionClock:
    """Draws versions that grow within this process, whatever the clock under it does."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.Lock()

    def now(self) -> int:
        """The time in microseconds."""
        return self._clock()

    def version(self, floor: int = 0) -> int:
        """A version that is at least `floor`, at least now, and above every version drawn before."""
        with self._lock:
            self._last = max(self._clock(), self._last + 1, floor)
            return self._last
