"""A clock for tests: it stands still until it is told otherwise."""

from __future__ import annotations

from datetime import datetime, timezone

from scylla_store.clock import EPOCH, SECOND, system_clock, to_datetime
from scylla_store.errors import ValidationError


class SettableClock:
    """Time in microseconds, as the store asks for it. It may be set back: versions grow all the same.

        clock.advance(3600)
        clock.set(datetime(2030, 1, 1, tzinfo=timezone.utc))

    Args:
        start: aware datetime, or microseconds since the epoch; None: the machine's time.
    """

    def __init__(self, start: datetime | int | None = None) -> None:
        self._microseconds = system_clock() if start is None else _microseconds(start)

    def __call__(self) -> int:
        return self._microseconds

    @property
    def now(self) -> datetime:
        """The time as an aware UTC datetime."""
        return to_datetime(self._microseconds)

    def set(self, when: datetime | int) -> None:
        """Sets the time: an aware datetime, or microseconds since the epoch."""
        self._microseconds = _microseconds(when)

    def advance(self, seconds: float) -> None:
        """Moves the time by `seconds`, back when they are negative."""
        self._microseconds += round(seconds * SECOND)


def _microseconds(when: datetime | int) -> int:
    if isinstance(when, int):
        return when
    if when.tzinfo is None:
        raise ValidationError("A clock is set to a datetime with a time zone (datetime(..., tzinfo=timezone.utc))")
    since = when.astimezone(timezone.utc) - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
