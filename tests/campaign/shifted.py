"""Runs a module with a clock that is off: everything but the monotonic clock, as on a machine whose clock is wrong.

python -m tests.campaign.shifted SECONDS MODULE [ARGUMENTS]
"""

from __future__ import annotations

import datetime
import runpy
import sys
import time
from typing import Any

_true_time, _true_time_ns, _TrueDatetime = time.time, time.time_ns, datetime.datetime
_shift = 0.0


class _AlsoTrue(type):
    """True datetimes count as ours."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _TrueDatetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _TrueDatetime)


class Datetime(_TrueDatetime, metaclass=_AlsoTrue):
    """Whose present is off."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)


def shift(seconds: float) -> None:
    """Moves the clock of this process; modules that are imported later do not see the true one."""
    global _shift
    _shift = seconds
    time.time = lambda: _true_time() + _shift
    time.time_ns = lambda: _true_time_ns() + int(_shift * 1e9)
    datetime.datetime = Datetime  # type: ignore[misc]


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
