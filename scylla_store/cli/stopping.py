"""SIGINT and SIGTERM for commands that stop between two steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Signalled(BaseException):
    """A signal came while a source was read, or somebody slept."""


class Stop:
    """Set by SIGINT and SIGTERM; a second signal does what it always does."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._may_raise = False

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """That of a program which the signal ended."""
        return 128 + (self.signal or 0)

    @contextmanager
    def watching(self, *, at_once: bool = False) -> Iterator[Stop]:
        """Catches the signals inside the block; outside the main thread there are none to catch.

        Args:
            at_once: a signal raises SystemExit wherever the block is, for work that may be killed anywhere. Look at this
                object all the same: what is raised while the interpreter cleans up an object is lost.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def remember(number: int, frame: FrameType | None) -> None:
            self.signal = number
            for each, handler in before.items():
                signal.signal(each, handler)
            if at_once:
                raise SystemExit(self.exit_code)
            if self._may_raise:
                raise Signalled

        for number in before:
            signal.signal(number, remember)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def read(self, source: Iterator[T]) -> T | None:
        """The next thing; None at the end and after a signal, which does not wait for a source that is silent."""
        self._may_raise = True
        try:
            return None if self else next(source, None)
        except Signalled:
            return None
        finally:
            self._may_raise = False

    def sleep(self, seconds: float) -> None:
        """Sleeps; raises Signalled as soon as a signal comes, or when one has come already."""
        self._may_raise = True
        try:
            if self:
                raise Signalled
            time.sleep(seconds)
        finally:
            self._may_raise = False
