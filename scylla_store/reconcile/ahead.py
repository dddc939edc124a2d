"""Reading what comes next while the last is compared: databases and servers are waited for half as long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Ahead:
    """One read that is under way, for whoever asks for exactly that one next.

    Args:
        enabled: False reads nothing before it is asked for, and all in the thread that asks.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._asked: tuple[Any, ...] | None = None
        self._answer: Future[Any] = Future()

    def start(self, read: Callable[..., object], *arguments: object) -> None:
        """Begins to read in a thread of its own, for which nobody waits when the process ends."""
        if self._enabled:
            self._asked, self._answer = (read, arguments), Future()
            threading.Thread(target=_fill, args=(self._answer, read, arguments), name="ahead", daemon=True).start()

    def take(self, read: Callable[..., T], *arguments: object) -> T:
        """The answer, from what was begun if it was this. Raises what reading raised."""
        asked, self._asked = self._asked, None
        return cast("T", self._answer.result()) if asked == (read, arguments) else read(*arguments)


def _fill(answer: Future[Any], read: Callable[..., object], arguments: tuple[object, ...]) -> None:
    try:
        answer.set_result(read(*arguments))
    except BaseException as exc:  # noqa: BLE001  whoever takes it gets it
        answer.set_exception(exc)
