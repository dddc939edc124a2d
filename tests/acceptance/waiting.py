"""Waiting with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from tests.acceptance.record import SECOND
from tests.acceptance.sources import Waiting

_AHEAD = 60 * SECOND
_LOOK = 500
"""Rows that are read again a second at most: whoever waits is not to be the load that he waits for."""


def poll(condition: Callable[[], bool], seconds: float, *, every: float | Callable[[], float] = 0.1) -> bool:
    """Whether the condition came true in time. `every`: seconds between two looks, or what says so after each."""
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        tick.wait(every() if callable(every) else every)
    return True


def wait_until_calm(outbox: Callable[[], Sequence[Waiting]], seconds: float) -> float:
    """Waits until only expiries more than a minute ahead are in the outbox; returns how long it took.

    Raises:
        AssertionError: with what is left after `seconds`.
    """
    began = time.monotonic()
    left: list[Waiting] = []

    def is_calm() -> bool:
        horizon = time.time_ns() // 1000 + _AHEAD
        left[:] = [entry for entry in outbox() if entry.kind != "expiry" or entry.due < horizon]
        return not left

    if not poll(is_calm, seconds, every=lambda: max(1.0, len(left) / _LOOK)):
        raise AssertionError(f"{len(left)} intents are left after {seconds} s, such as {left[:5]}")
    return time.monotonic() - began
