"""Reading what comes next while the last is compared: databases and servers are waited for at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar, cast

T = TypeVar("T")

_PATIENCE = 0.25
"""Seconds. A read takes milliseconds, or as long as a server hangs."""

_Read = tuple[Callable[..., object], tuple[object, ...]]


class Ahead:
    """Reads that are under way, in the order in which somebody will probably ask for exactly them. Safe to use from several threads.

    Args:
        depth: how many at most; 0 reads nothing before it is asked for, and all in the thread that asks.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._lock = threading.Lock()
        self._answers: dict[_Read, Future[Any]] = {}

    def start(self, read: Callable[..., object], *arguments: object) -> None:
        """Begins to read in a thread of its own, for which nobody waits when the process ends. Nothing when enough is under way."""
        with self._lock:
            if (read, arguments) in self._answers or len(self._answers) >= self._depth:
                return
            answer = self._answers[(read, arguments)] = Future()
        threading.Thread(target=_fill, args=(answer, read, arguments), name="ahead", daemon=True).start()

    def take(self, read: Callable[..., T], *arguments: object) -> T:
        """The answer, from what was begun if this was. Raises what reading raised. What was begun before this is forgotten."""
        with self._lock:
            answer = None
            while self._answers and answer is None:
                asked = next(iter(self._answers))
                begun = self._answers.pop(asked)
                answer = begun if asked == (read, arguments) else None
        return read(*arguments) if answer is None else cast("T", answer.result())

    def close(self, patience: float = _PATIENCE) -> None:
        """Begins nothing more, and waits for what is under way, or whoever closes the store next would meet it. What takes longer
        than so many seconds is left to its own timeout."""
        with self._lock:
            self._depth = 0
            left = list(self._answers.values())
            self._answers.clear()
        wait(left, patience)


def _fill(answer: Future[Any], read: Callable[..., object], arguments: tuple[object, ...]) -> None:
    try:
        answer.set_result(read(*arguments))
    except BaseException as exc:  # noqa: BLE001  whoever takes it gets it
        answer.set_exception(exc)
