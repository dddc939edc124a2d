"""Health: one line for each dependency and for the work in the background, asked now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from scylla_store.breakers import Breaker
from scylla_store.broker_data import load_broker
from scylla_store.clock import SECOND
from scylla_store.drain import dispatch_lifetime
from scylla_store.errors import EmbedderUnavailable, StoreError
from scylla_store.failures import Failure
from scylla_store.heartbeats import GONE_AFTER, pulses
from scylla_store.summary import load_failure, load_summary
from scylla_store.wiring import Parts

_LATE = 2.5
"""Intervals after which a drain is late: no single one that was passed over makes it so."""


@dataclass(frozen=True)
class Health:
    """One line: latency in seconds, and why it is not ok."""

    state: Literal["ok", "degraded", "down"]
    latency: float | None = None
    reason: str | None = None


class Examination:
    """Asks everything that a store depends on. A line that cannot be asked is down; none keeps another from being asked."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def lines(self) -> dict[str, Health]:
        """Each dependency; where there are workers, also those, and the drain."""
        checks = {"database": self._database, "index": self._index, "broker": self._broker, "embedder": self._embedder}
        if self._parts.has_workers:
            checks |= {"workers": self._workers, "drain": self._drain}
        return {name: _probe(check) for name, check in checks.items()}

    def _database(self) -> str | None:
        self._parts.database.ping()
        self._parts.guard.check()
        return "; ".join(self._nodes()) or None

    def _nodes(self) -> Iterator[str]:
        """What is wrong with single nodes of a cluster that works."""
        unreachable: Callable[[], Sequence[str]] | None = getattr(self._parts.database, "unreachable_nodes", None)
        missing = [] if unreachable is None else unreachable()
        if missing:
            yield f"this process cannot reach {', '.join(missing)}; the other nodes do its work"
        slow = self._parts.guard.slow_nodes
        if slow:
            yield "clocks of nodes are off: " + ", ".join(
                f"{node} by {off / SECOND:+.1f} s" for node, off in slow.items()
            )

    def _index(self) -> str | None:
        if self._parts.is_embedded:
            self._parts.open_index()
        self._parts.index.ping()
        if self._parts.rebuild.is_on():
            return "it was made anew and is being rebuilt; searches miss what is not back yet ('scylla-store status')"
        return _open(self._parts.index_breaker)

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
            raise EmbedderUnavailable(f"The embedder {embedder.name} failed: {Failure.of(exc).message}") from exc
        return _open(self._parts.embedder_breaker)

    def _workers(self) -> str | None:
        """Signs of life in the database: also of workers that are too busy to answer the broker."""
        alive = pulses(self._parts.database, self._parts.clock.now() - self._parts.guard.skew)
        if not alive:
            return f"no worker gave a sign of life within {GONE_AFTER:g} s; start one with 'scylla-store worker'"
        troubled = [pulse for pulse in alive if pulse.troubles]
        if not troubled:
            return None
        name, reason = next(iter(troubled[0].troubles.items()))
        return f"{len(troubled)} of {len(alive)} worker processes do not work; {troubled[0].process}, {name}: {reason}"

    def _drain(self) -> str | None:
        """Whether beat and the worker of the maintenance queue do theirs, and what the drain found of late."""
        interval = self._parts.settings.celery.drain_interval
        summary = load_summary(self._parts.database)
        if summary is None:
            return "no drain ran yet; is 'scylla-store beat' running, and a worker of the maintenance queue?"
        age = (self._parts.clock.now() - self._parts.guard.skew - summary.at) / SECOND
        if age <= _LATE * interval:
            return self._emptied()
        return " ".join(self._lateness(age, interval, summary.at))

    def _emptied(self) -> str | None:
        """That the broker lost its data, until all that was in it has been sent again."""
        emptied_at = load_broker(self._parts.database).emptied_at
        if emptied_at is None:
            return None
        age = (self._parts.clock.now() - self._parts.guard.skew - emptied_at) / SECOND
        lasts = dispatch_lifetime(self._parts.settings)
        if age > lasts:
            return None
        return f"the broker lost its data {max(0.0, age):.0f} s ago; what was in flight is sent again within {lasts:g} s of that"

    def _lateness(self, age: float, interval: float, since: int) -> Iterator[str]:
        yield f"the last drain was {age:.0f} s ago, and it should run every {interval:g} s;"
        failure = load_failure(self._parts.database)
        if failure is not None and failure.at > since:
            yield f"it failed on {failure.process}: {failure.reason}"
        else:
            yield "is 'scylla-store beat' running, and a worker of the maintenance queue?"


def _open(breaker: Breaker) -> str | None:
    circuit = breaker.circuit
    if circuit.state == "closed":
        return None
    when = "now" if circuit.retry_in is None else f"in {circuit.retry_in:.1f} s"
    return f"it answers, but this process's circuit is {circuit.state} and tries it {when}; the last failure: {circuit.reason}"


def _probe(check: Callable[[], str | None]) -> Health:
    started = time.perf_counter()
    try:
        reason = check()
    except StoreError as exc:
        return Health("down", time.perf_counter() - started, str(exc))
    return Health("ok" if reason is None else "degraded", time.perf_counter() - started, reason)
