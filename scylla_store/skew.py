"""Refuses to work with a clock that is too far from the database's: such writes would be acknowledged and invisible."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Database
from scylla_store.errors import ClockSkew
from scylla_store.forks import follow
from scylla_store.monitoring import tagged
from scylla_store.settings.options import ClockSettings

log = logging.getLogger(__name__)


class SkewGuard:
    """Compares this machine's clock with the database's, at first use and then every `clock.check_interval`.

    The pause between two checks is measured by the monotonic clock, because the one that is checked may jump.
    """

    def __init__(self, database: Database, settings: ClockSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._checked_at: float | None = None
        self._last_clock = 0
        self.skew = 0
        self.slow_nodes: Mapping[str, int] = {}
        self.applies = True
        self._has_one_clock = False
        self._is_refused = False
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises ClockSkew while the difference is above `clock.max_clock_skew`."""
        if self._is_due():
            with self._lock:
                if self._is_due():
                    self._compare()
        if abs(self.skew) > self._settings.max_clock_skew * SECOND:
            self._checked_at = None  # ask again at once: the clock may be right by then
            error = ClockSkew(
                f"This machine's clock is {self.skew / SECOND:+.1f} s from the database's, more than clock.max_clock_skew"
                f" ({self._settings.max_clock_skew} s) allows; synchronise the clocks (chrony, ntpd)"
            )
            self._say(error)
            raise error
        self._say(None)

    def refuse_far_ahead(self, floor: int, what: str) -> None:
        """Raises ClockSkew when a stored version lies further ahead than clocks may differ."""
        ahead = floor - self._clock()
        if self.applies and ahead > self._settings.max_clock_skew * SECOND:
            raise ClockSkew(
                f"The stored version of {what} lies {ahead / SECOND:.1f} s in the future, more than clock.max_clock_skew"
                f" ({self._settings.max_clock_skew} s) allows: some writer's clock was fast; wait, or correct the clocks"
            )

    def now(self) -> int:
        """The database's time in microseconds, as far as it is known here."""
        return self._clock() - self.skew

    def until_past(self, version: int) -> int:
        """Microseconds until no node of the database gives a time that is not after `version`."""
        if not self.applies:
            return 0
        difference = 0 if self._has_one_clock else int(self._settings.max_node_clock_difference * SECOND)
        return max(0, version + difference + 1 - self.now())

    def _say(self, refusal: ClockSkew | None) -> None:
        """Once when it begins and once when it ends: whoever is refused may be asked a thousand times a second."""
        if self._is_refused == (refusal is not None):
            return
        self._is_refused = refusal is not None
        if refusal is None:
            log.warning("This machine's clock is accepted again.")
            return
        with tagged(reason="clock"):
            log.error("%s. Until then nothing is written, indexed or dispatched here.", refusal)

    def _is_due(self) -> bool:
        if self._checked_at is None:
            return True
        # A jump of the clock itself is noticed at once: it went back, or on by more than the pause.
        moved = self._clock() - self._last_clock
        pause = time.monotonic() - self._checked_at
        return pause >= self._settings.check_interval or abs(moved - pause * SECOND) > SECOND

    def _compare(self) -> None:
        before = self._clock()
        reading = self._database.clock()
        after = self._clock()
        self.applies = reading is not None
        self._has_one_clock = reading is None or reading.has_one_clock
        if reading is not None:
            self.skew = (before + after) // 2 - reading.now
            limit = self._settings.max_node_clock_difference * SECOND
            self.slow_nodes = {node: off for node, off in reading.nodes.items() if abs(off) > limit}
        self._last_clock = after
        self._checked_at = time.monotonic()
