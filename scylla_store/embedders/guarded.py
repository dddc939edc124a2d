"""Keeps an embedder within bounds: size of a call, time of a call, and vectors that are vectors."""

from __future__ import annotations

import contextvars
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from scylla_store.embedders.base import batches
from scylla_store.embedders.loading import Given, as_embedder
from scylla_store.errors import (
    BadVector,
    ConfigurationError,
    EmbedderBusy,
    EmbedderTimeout,
    EmbedderUnavailable,
    StoreClosed,
)
from scylla_store.settings.options import EmbedderSettings

log = logging.getLogger(__name__)

_LINGER = 1.0
"""Seconds that a thread stays without a call."""

_LARGEST = 3.4e38
"""Vectors are stored as 32-bit floats, in which larger numbers are infinite."""


class GuardedEmbedder:
    """An embedder that ends: every call within its deadline, with as many finite vectors of one size as it had texts.

    A call that does not end is abandoned in its daemon thread, because a thread cannot be killed; until it ends, others
    fail at once. So at most `settings.concurrency` calls are ever left behind. Safe to share between threads, and on
    both sides of a fork.

    Args:
        embedder: an embedder, its class or factory, or a function from a list of texts to vectors.
        settings: the deadline, the size of a call (the embedder's own limits hold too) and how many calls run at once.

    Attributes:
        name: that of the embedder; of a function, where it is defined.
    """

    def __init__(self, embedder: Given, settings: EmbedderSettings) -> None:
        self._embedder: Any = as_embedder(embedder)
        self._function: Any = getattr(self._embedder, "embed", self._embedder)
        self._settings = settings
        self._dimensions: int | None = None
        self._gates: dict[int, _Gate] = {}
        self._closed = False
        self.name = _name(self._embedder)
        self.max_batch_items = _limit(self._embedder, "max_batch_items", settings.max_batch_items)
        self.max_batch_bytes = _limit(self._embedder, "max_batch_bytes", settings.max_batch_bytes)

    @property
    def dimensions(self) -> int:
        """Size of the vectors. Of an embedder that does not say, the size of the first one that it makes."""
        if self._dimensions is None:
            known = getattr(self._embedder, "dimensions", None)
            self._dimensions = self._probe() if known is None else known
        return self._dimensions

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Vectors in the order of the texts.

        Raises:
            EmbedderTimeout: the embedder does not answer in time.
            EmbedderBusy: other calls of this process took all turns in that time; the embedder was not asked.
            EmbedderUnavailable: the embedder says so, or still hangs in an earlier call.
            BadVector: too few or too many vectors, or such of a wrong size, or numbers that are not finite.
            Exception: whatever else the embedder raises, as it is.
        """
        return [vector for batch in self._batches(texts) for vector in self._checked(batch, self._call(batch))]

    def close(self) -> None:
        """Ends waiting for calls at once; they are left to themselves. Twice is fine."""
        self._closed = True
        self._gate.close()

    def _batches(self, texts: Iterable[str]) -> Iterator[list[str]]:
        numbered = batches(enumerate(texts), self.max_batch_items, self.max_batch_bytes)
        return ([text for _, text in batch] for batch in numbered)

    def _probe(self) -> int:
        vectors = self._call(["dimensions"])
        if len(vectors) != 1 or not vectors[0]:
            raise BadVector(f"The embedder {self.name} returned no vector for a text")
        return len(vectors[0])

    @property
    def _gate(self) -> _Gate:
        """The gate of this process: after a fork, threads and locks of the parent mean nothing."""
        gate = self._gates.get(os.getpid())
        return gate or self._gates.setdefault(os.getpid(), _Gate(self.name, self._settings))

    def _call(self, texts: list[str]) -> list[list[float]]:
        if self._closed:
            raise StoreClosed(f"The embedder {self.name} is closed")
        vectors: list[list[float]] = self._gate.run(lambda: self._lists(self._function(texts)))
        return vectors

    def _lists(self, vectors: Any) -> list[list[float]]:
        """Plain lists of whatever arrays, tensors or generators a model returns."""
        if hasattr(vectors, "tolist"):
            vectors = vectors.tolist()
        try:
            return [_floats(vector) for vector in vectors]
        except (TypeError, ValueError):
            raise BadVector(f"The embedder {self.name} returned no list of vectors") from None

    def _checked(self, texts: list[str], vectors: list[list[float]]) -> list[list[float]]:
        if len(vectors) != len(texts):
            raise BadVector(f"The embedder {self.name} returned {len(vectors)} vectors for {len(texts)} texts")
        for vector in vectors:
            if len(vector) != self.dimensions:
                raise BadVector(
                    f"The embedder {self.name} returned a vector of {len(vector)} numbers; it has {self.dimensions} dimensions"
                )
            # The length is infinite or NaN when any number is, and costs one call instead of one per number.
            if not math.hypot(*vector) < _LARGEST:
                raise BadVector(f"The embedder {self.name} returned a vector with numbers that are not finite")
        return vectors


class _Call:
    """One call in another thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.has_begun = False
        self.is_over = False
        self.is_given_up = False
        self.result: Any = None
        self.error: BaseException | None = None


class _Gate:
    """Lets calls through and counts those that hang, in one process.

    Calls are made in threads that stay a moment for the next one: starting one takes as long as embedding a short text.
    """

    def __init__(self, name: str, settings: EmbedderSettings) -> None:
        self._name = name
        self._timeout = settings.timeout
        self._most = settings.concurrency
        self._changed = threading.Condition()
        self._running = 0
        self._abandoned = 0
        self._closed = False
        self._todo: deque[_Call] = deque()
        self._idle: set[threading.Thread] = set()

    def run(self, function: Any) -> Any:
        """What the function returns or raises, within the timeout."""
        call = _Call(partial(contextvars.copy_context().run, function))
        self._enter()
        try:
            self._hand_over(call)
            with self._changed:
                self._changed.wait_for(lambda: call.is_over or self._closed, self._timeout)
        except BaseException:
            # Such as the soft time limit of a task, which comes as a signal, at any moment.
            self._give_up(call, "its caller was interrupted")
            raise
        self._give_up(call, "the store was closed" if self._closed else f"it did not end within {self._timeout:g} s")
        if call.is_given_up:
            raise self._timed_out() if call.has_begun and not self._closed else self._unavailable()
        if call.error is not None:
            raise call.error
        return call.result

    def close(self) -> None:
        """Ends all waiting, and the threads that have nothing to do."""
        with self._changed:
            self._closed = True
            idle = list(self._idle)
            self._changed.notify_all()
        for thread in idle:
            thread.join()

    def _enter(self) -> None:
        deadline = time.monotonic() + self._timeout
        with self._changed:
            while self._running >= self._most or self._abandoned or self._closed:
                left = deadline - time.monotonic()
                if self._abandoned or self._closed or left <= 0:
                    raise self._unavailable()
                self._changed.wait(left)
            self._running += 1

    def _hand_over(self, call: _Call) -> None:
        """To a thread that waits for work, or to a new one; EmbedderUnavailable when none can be started."""
        with self._changed:
            if len(self._idle) > len(self._todo):
                self._todo.append(call)
                self._changed.notify_all()
                return
        thread = threading.Thread(target=self._serve, args=(call,), name="scylla-store-embed", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:
            raise EmbedderUnavailable(f"No thread can be started for the embedder {self._name}: {exc}") from exc

    def _serve(self, call: _Call | None) -> None:
        """Makes the call, and those that come soon after."""
        while call is not None:
            if self._begins(call):
                try:
                    call.result = call.work()
                except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
                    call.error = exc
                finally:
                    self._leave(call)
            call = self._next()

    def _begins(self, call: _Call) -> bool:
        """Whether somebody still waits for it."""
        with self._changed:
            call.has_begun = not call.is_over
            return call.has_begun

    def _next(self) -> _Call | None:
        with self._changed:
            self._idle.add(threading.current_thread())
            self._changed.wait_for(lambda: self._todo or self._closed, _LINGER)
            self._idle.discard(threading.current_thread())
            return self._todo.popleft() if self._todo and not self._closed else None

    def _leave(self, call: _Call) -> None:
        with self._changed:
            call.is_over = True
            self._running -= 1
            if call.is_given_up and call.has_begun:
                self._abandoned -= 1
                log.warning("The abandoned call of the embedder %s has ended; it is used again.", self._name)
            self._changed.notify_all()

    def _give_up(self, call: _Call, reason: str) -> None:
        """Abandons a call that is not over; one that has not begun never will."""
        with self._changed:
            if call.is_over:
                return
            call.is_given_up = True
            if not call.has_begun:
                self._leave(call)
                return
            self._abandoned += 1
            self._changed.notify_all()
        log.warning("A call of the embedder %s is abandoned in its thread: %s.", self._name, reason)

    def _timed_out(self) -> Exception:
        return EmbedderTimeout(self._hanging())

    def _hanging(self) -> str:
        return (
            f"The embedder {self._name} hangs: a call did not end within {self._timeout:g} s and was abandoned; "
            "until it ends no other is made"
        )

    def _unavailable(self) -> Exception:
        if self._closed:
            return StoreClosed(f"The embedder {self._name} was closed while it was at work")
        if self._abandoned:
            return EmbedderUnavailable(self._hanging())
        return EmbedderBusy(
            f"The embedder {self._name} is busy with other calls for {self._timeout:g} s: come back later, "
            f"or raise embedder.concurrency ({self._most} at once) if it can do more"
        )


def _name(embedder: Any) -> str:
    name = getattr(embedder, "name", None)
    if name is None:
        named = embedder if hasattr(embedder, "__qualname__") else type(embedder)
        return f"{named.__module__}:{named.__qualname__}"
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"The name of an embedder must be a string with text in it, not {name!r}")
    return name


def _limit(embedder: Any, name: str, setting: int) -> int:
    """The smaller of the setting and what the embedder says of itself, if anything."""
    return max(1, min(setting, getattr(embedder, name, setting)))


def _floats(vector: Any) -> list[float]:
    numbers = vector.tolist() if hasattr(vector, "tolist") else vector
    if isinstance(numbers, list) and numbers and type(numbers[0]) is float:
        return numbers
    return [float(number) for number in numbers]
