"""Circuit breakers: while the index or the embedder is away, nobody waits for it, and one call in a while tries it again."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from scylla_store.conditions import ALWAYS, Condition
from scylla_store.embedders.base import Embedder
from scylla_store.errors import (
    EmbeddedIndexBusy,
    EmbedderBusy,
    EmbedderUnavailable,
    IndexThrottled,
    IndexUnavailable,
    PermanentError,
    StoreClosed,
    StoreError,
    TransientError,
)
from scylla_store.index.base import Along, Index, IndexSpecification, Match, Point, Question, SeenPoint, Vector
from scylla_store.monitoring import tagged
from scylla_store.settings.options import BreakerSettings

log = logging.getLogger(__name__)

State = Literal["closed", "open", "half-open"]

_OUTAGES = (IndexUnavailable, EmbedderUnavailable)
_ANSWERS = (PermanentError, IndexThrottled)
"""What only a dependency that is there can say. A 429 costs no waiting and is a delay already; an open circuit would take
the searches away with the writes that are too many."""

_NEITHER = (EmbeddedIndexBusy, EmbedderBusy, StoreClosed)
"""Said by this machine, not by the dependency."""


@dataclass(frozen=True)
class Circuit:
    """What a breaker looks like now.

    Attributes:
        state: closed: calls go through; open: they fail at once; half-open: one of them tries it.
        failures: outages in a row.
        retry_in: seconds until the next try of an open one; else None.
        reason: the last outage of one that is not closed; else None.
    """

    state: State
    failures: int
    retry_in: float | None = None
    reason: str | None = None


class Breaker:
    """Opens after `settings.failures` outages in a row, and lets one call through `settings.reset` seconds later.

    That one closes it again or keeps it open for as long once more. Refused requests and documents that cannot be
    embedded are answers, so they count as nothing. Each process has a state of its own, also after a fork. No lock is
    held during a call.

    Args:
        name: of the dependency, in metrics and on status lines.
        what: the same in a sentence, such as "The vector index".
        unavailable: the class of the error that calls get while the circuit is open.
        clock: seconds; must not step.
        notice: called with "opened", "closed" and "refused" when that happens.
    """

    def __init__(
        self,
        name: str,
        what: str,
        unavailable: type[TransientError],
        settings: BreakerSettings,
        clock: Callable[[], float],
        notice: Callable[[str], None] = lambda event: None,
    ) -> None:
        self.name = name
        self._what = what
        self._unavailable = unavailable
        self._settings = settings
        self._clock = clock
        self._notice = notice
        self._processes: dict[int, _Counting] = {}

    @property
    def circuit(self) -> Circuit:
        """What it looks like in this process."""
        mine = self._mine
        with mine.lock:
            if mine.opened_at is None:
                return Circuit("closed", mine.failures)
            if mine.is_trying:
                return Circuit("half-open", mine.failures, None, mine.reason)
            return Circuit("open", mine.failures, self._left(mine.opened_at), mine.reason)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Around a call; raises at once while the circuit is open."""
        is_trial = self._enter()
        try:
            yield
        except _NEITHER:
            raise
        except _ANSWERS:
            self._answered(is_trial)
            raise
        except _OUTAGES as exc:
            self._failed(is_trial, exc)
            raise
        else:
            self._answered(is_trial)
        finally:
            self._leave(is_trial)

    @property
    def _mine(self) -> _Counting:
        """This process's state: a lock that a thread of the parent held during a fork stays held in the child for ever."""
        pid = os.getpid()
        return self._processes.get(pid) or self._processes.setdefault(pid, _Counting())

    def _enter(self) -> bool:
        """Whether this call is the one that tries an open circuit."""
        mine = self._mine
        with mine.lock:
            if mine.opened_at is None:
                return False
            left = self._left(mine.opened_at)
            if left <= 0 and not mine.is_trying:
                mine.is_trying = True
                return True
            message = self._refusal(mine, left)
        self._notice("refused")
        raise self._unavailable(message)

    def _refusal(self, mine: _Counting, left: float) -> str:
        when = "is being tried again now" if mine.is_trying else f"is tried again in {left:.1f} s"
        return f"{self._what} is not asked, its circuit is open and {when}: {mine.reason}"

    def _answered(self, is_trial: bool) -> None:
        mine = self._mine
        with mine.lock:
            if mine.opened_at is not None and not is_trial:
                return  # a call from before it opened: only the trial says how it is now
            mine.failures = 0
            mine.opened_at = mine.reason = None
        if is_trial:
            log.warning("%s answers again; its circuit is closed.", self._what)
            self._notice("closed")

    def _failed(self, is_trial: bool, exc: StoreError) -> None:
        mine = self._mine
        with mine.lock:
            mine.failures += 1
            if mine.opened_at is not None and not is_trial:
                return
            if not is_trial and mine.failures < self._settings.failures:
                return
            mine.reason = f"{type(exc).__name__}: {exc}"
            mine.opened_at = self._clock()
            failures = mine.failures
        if not is_trial:
            with tagged(dependency=self.name, reason=type(exc).__name__):
                log.error(
                    "%s failed %d times in a row: its circuit is open, it is tried every %g s. %s",
                    self._what, failures, self._settings.reset, exc,
                )  # fmt: skip
            self._notice("opened")

    def _leave(self, is_trial: bool) -> None:
        if is_trial:
            mine = self._mine
            with mine.lock:
                mine.is_trying = False

    def _left(self, opened_at: float) -> float:
        return max(0.0, opened_at + self._settings.reset - self._clock())


class _Counting:
    """The state of one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failures = 0
        self.opened_at: float | None = None
        self.is_trying = False
        self.reason: str | None = None


class BreakingIndex:
    """An index behind a breaker. `exists`, `setup`, `ping` and `close` go past it: who calls them wants to know how it is now."""

    def __init__(self, index: Index, breaker: Breaker) -> None:
        self._index = index
        self.breaker = breaker

    def connect(self) -> None:
        """See `Index.connect`."""
        with self.breaker.calling():
            self._index.connect()

    def close(self) -> None:
        """See `Index.close`."""
        self._index.close()

    def exists(self) -> bool:
        """See `Index.exists`."""
        return self._index.exists()

    def setup(self, specification: IndexSpecification) -> bool:
        """See `Index.setup`."""
        return self._index.setup(specification)

    def points_of(self, items: Sequence[str], *, tokens: bool = True) -> dict[str, list[SeenPoint]]:
        """See `Index.points_of`."""
        with self.breaker.calling():
            return self._index.points_of(items, tokens=tokens)

    def at(self, ids: Sequence[str]) -> dict[str, SeenPoint]:
        """See `Index.at`."""
        with self.breaker.calling():
            return self._index.at(ids)

    def without_vector(self, items: Sequence[str]) -> set[str]:
        """See `Index.without_vector`."""
        with self.breaker.calling():
            return self._index.without_vector(items)

    def vectors(self, points: Sequence[tuple[str, str]]) -> dict[str, Vector]:
        """See `Index.vectors`."""
        with self.breaker.calling():
            return self._index.vectors(points)

    def upsert(self, points: Sequence[Point], *, at_most: int) -> None:
        """See `Index.upsert`."""
        with self.breaker.calling():
            self._index.upsert(points, at_most=at_most)

    def delete(self, points: Sequence[tuple[str, str]]) -> None:
        """See `Index.delete`."""
        with self.breaker.calling():
            self._index.delete(points)

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        """See `Index.query`."""
        with self.breaker.calling():
            return self._index.query(questions)

    def count(self, *, prefix: str | None, now: int, where: Condition = ALWAYS) -> int:
        """See `Index.count`."""
        with self.breaker.calling():
            return self._index.count(prefix=prefix, now=now, where=where)

    def first_points(
        self,
        *,
        prefix: str | None,
        now: int,
        limit: int,
        where: Condition = ALWAYS,
        along: Along | None = None,
        after: str | None = None,
        fields: Sequence[str] = (),
    ) -> list[SeenPoint]:
        """See `Index.first_points`."""
        with self.breaker.calling():
            return self._index.first_points(
                prefix=prefix, now=now, limit=limit, where=where, along=along, after=after, fields=fields
            )

    def slices(self, which: range | None, *, after: str | None, limit: int) -> tuple[list[SeenPoint], str | None]:
        """See `Index.slices`."""
        with self.breaker.calling():
            return self._index.slices(which, after=after, limit=limit)

    def ping(self) -> float:
        """See `Index.ping`."""
        return self._index.ping()


class _Closable(Embedder, Protocol):
    def close(self) -> None: ...


class BreakingEmbedder:
    """An embedder behind a breaker. `probe` goes past it."""

    def __init__(self, embedder: _Closable, breaker: Breaker) -> None:
        self._embedder = embedder
        self.breaker = breaker
        self.name = embedder.name
        self.max_batch_items = embedder.max_batch_items
        self.max_batch_bytes = embedder.max_batch_bytes

    @property
    def dimensions(self) -> int:
        """Size of the vectors."""
        return self._embedder.dimensions

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """See `Embedder.embed`."""
        with self.breaker.calling():
            return self._embedder.embed(texts)

    def probe(self, text: str) -> None:
        """Embeds a text whatever the circuit is, to see how the embedder is now."""
        self._embedder.embed([text])

    def close(self) -> None:
        """Ends the threads of the embedder's guard."""
        self._embedder.close()
