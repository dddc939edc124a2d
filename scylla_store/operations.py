"""What an operator sees: how far the index is behind, and how the dependencies are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scylla_store.clock import SECOND
from scylla_store.errors import EmbedderUnavailable, StoreError
from scylla_store.summary import load_summary
from scylla_store.wiring import Parts

_EXACT = 10_000_000
_LETTERS = 1000


@dataclass(frozen=True)
class Status:
    """How far the index is behind.

    Attributes:
        pending: writes that wait for the index; retrying: those of them that failed before.
        dead, discarded: dead letters to look at, and given up.
        oldest_pending_seconds: age of the oldest pending write; None when nothing is pending.
        age_seconds: how old these figures are: 0 when counted now, else the time since the last drain; None when no drain ran yet.
        exact: whether all rows were counted.
    """

    pending: int
    retrying: int
    dead: int
    discarded: int
    oldest_pending_seconds: float | None
    age_seconds: float | None
    exact: bool


@dataclass(frozen=True)
class Health:
    """One dependency: latency in seconds, and why it is not ok."""

    state: Literal["ok", "degraded", "down"]
    latency: float | None = None
    reason: str | None = None


class Operations:
    """Status and health of a store."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def status(self, *, exact: bool) -> Status:
        now = self._parts.clock.now()
        summary = None if exact or self._parts.is_embedded else load_summary(self._parts.database)
        dead, discarded, all_letters = self._count_letters(exact)
        if summary is not None:
            oldest, age = summary.oldest_filed_at, (now - summary.at) / SECOND
            return Status(
                summary.pending,
                summary.retrying,
                dead,
                discarded,
                _age(oldest, now),
                age,
                summary.exact and all_letters,
            )
        seen = self._parts.database.outbox.summary(_EXACT)
        return Status(
            seen.pending,
            seen.retrying,
            dead,
            discarded,
            _age(seen.oldest_filed_at, now),
            0.0,
            seen.exact and all_letters,
        )

    def _count_letters(self, exact: bool) -> tuple[int, int, bool]:
        dead = discarded = 0
        after: str | None = None
        while True:
            page = self._parts.database.letters(after=after, limit=_LETTERS)
            discarded += sum(letter.discarded for letter in page)
            dead += sum(not letter.discarded for letter in page)
            if len(page) < _LETTERS:
                return dead, discarded, True
            if not exact:
                return dead, discarded, False
            after = page[-1].id

    def health(self) -> dict[str, Health]:
        lines = {"database": _probe(self._database), "index": _probe(self._index), "broker": _probe(self._broker)}
        lines["embedder"] = _probe(self._embedder)
        return lines

    def _database(self) -> str | None:
        self._parts.database.ping()
        self._parts.guard.check()
        slow = self._parts.guard.slow_nodes
        if slow:
            return "clocks of nodes are off: " + ", ".join(
                f"{node} by {off / SECOND:+.1f} s" for node, off in slow.items()
            )
        return None

    def _index(self) -> str | None:
        self._parts.open_index()
        self._parts.index.ping()
        return None

    def _broker(self) -> str | None:
        probe: Callable[[], str | None] | None = getattr(self._parts.dispatcher, "health", None)
        return None if probe is None else probe()

    def _embedder(self) -> str | None:
        embedder = self._parts.embedder
        try:
            embedder.probe("health")
        except StoreError:
            raise
        except Exception as exc:  # an embedder may be anybody's, and raise anything
            raise EmbedderUnavailable(f"The embedder {embedder.name} failed: {type(exc).__name__}: {exc}") from exc
        return None


def _probe(check: Callable[[], str | None]) -> Health:
    started = time.perf_counter()
    try:
        reason = check()
    except StoreError as exc:
        return Health("down", time.perf_counter() - started, str(exc))
    return Health("ok" if reason is None else "degraded", time.perf_counter() - started, reason)


def _age(filed_at: int | None, now: int) -> float | None:
    return None if filed_at is None else max(0.0, (now - filed_at) / SECOND)
