"""How fast a reconciliation goes."""

from __future__ import annotations

from collections.abc import Callable

from scylla_store.arguments import check_function, check_rate, checked_flag

_STEP = 1000
"""Items that one step compares at least: the position is stored after it."""


def check_request(*, full: object, dry_run: object, max_rate: object, on_progress: object) -> None:
    """Raises ValidationError, naming what is wrong about a reconciliation that somebody asks for."""
    checked_flag(full, "full")
    checked_flag(dry_run, "dry_run")
    check_rate(max_rate, "max_rate")
    check_function(on_progress, "on_progress")


class Pace:
    """At most so many items a second, on average since it began; no step has more than one second's.

    So whoever stops it waits about a second at most.
    """

    def __init__(self, rate: float | None, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._sleep = sleep
        self._monotonic = monotonic
        self._begun = monotonic()
        self._done = 0

    @property
    def step(self) -> int:
        """How many items one step takes."""
        return _STEP if not self._rate else max(1, min(_STEP, int(self._rate)))

    def keep(self, items: int) -> None:
        """Waits as long as it takes."""
        self._done += items
        if self._rate:
            early = self._done / self._rate - (self._monotonic() - self._begun)
            if early > 0:
                self._sleep(early)
