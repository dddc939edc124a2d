"""The outbox: rows that a drain dispatches, rows that are acknowledged, and status while many wait."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from scylla_store.clock import SECOND, system_clock
from scylla_store.drain import Drain
from scylla_store.identity import ItemId
from scylla_store.intents import SHARDS, Intent, IntentKey, Kind, Ref, new_intent
from tests.bench.installation import Servers, Site, site
from tests.bench.measure import Row, Spread, Target, at_least, compared, rate, times

_BEHIND = 50 * SECOND
_TASK = 100
_STATUS_MS = 50.0


def outbox(servers: Servers, quick: bool) -> list[Row]:
    """Dispatched and acknowledged rows a second beside the driver alone; status with a backlog."""
    rounds, count, backlog = (3, 2_000, 5_000) if quick else (7, 10_000, 100_000)
    with site(servers) as place:
        rows = [_drain(place, rounds, count), _ack(place, rounds, count)]
        return [*rows, _status(place, backlog)]


def _drain(place: Site, rounds: int, count: int) -> Row:
    """Read what is due, push it, hand it over. Nothing is sent: a broker would be measured with it."""
    settings = place.store.settings
    roomy = replace(settings, sync=replace(settings.sync, drain_limit=count, max_queue=1_000_000))
    drain = Drain(place.store.parts.database, _Nowhere(), roomy, system_clock, lambda: None)

    def ours(number: int) -> float:
        keys = _file(place, count)
        reached = rate(count, drain.run)
        place.store.parts.database.outbox.ack(keys)
        return reached

    def raw(number: int) -> float:
        keys = _file(place, count)
        reached = rate(count, lambda: place.cql.take({(key.slot, key.shard) for key in keys}))
        place.store.parts.database.outbox.ack(keys)
        return reached

    ours(-1), raw(-1)
    raw_is = "select each partition, then one update a row, 100 in flight"
    return compared("drain", "rows/s", ours, raw, rounds, at_least(0.7), raw_is=raw_is)


def _ack(place: Site, rounds: int, count: int) -> Row:
    """Of tasks of a hundred rows that were written together, so of few partitions."""

    def tasks() -> list[list[IntentKey]]:
        by_partition = defaultdict(list)
        for key in _file(place, count):
            by_partition[key.slot, key.shard].append(key)
        return [keys[at : at + _TASK] for keys in by_partition.values() for at in range(0, len(keys), _TASK)]

    def ours(number: int) -> float:
        ack = place.store.parts.database.outbox.ack
        return _rate_of(count, tasks(), ack)

    def raw(number: int) -> float:
        return _rate_of(count, tasks(), place.cql.ack)

    ours(-1), raw(-1)
    return compared("ack", "rows/s", ours, raw, rounds, at_least(0.7), raw_is="the same batches by the driver alone")


def _rate_of(count: int, tasks: Sequence[list[IntentKey]], ack: Callable[[list[IntentKey]], object]) -> float:
    return rate(count, lambda: [ack(keys) for keys in tasks])


def _status(place: Site, backlog: int) -> Row:
    """What `status()` takes while so many rows wait; the drain that counts them takes what the details say."""
    _file(place, backlog)
    parts = place.store.parts
    full = Drain(parts.database, _Nowhere(waiting=1_000_000), parts.settings, system_clock, lambda: None)
    began = time.perf_counter()
    full.run()
    counted = time.perf_counter() - began
    figures = [seconds * 1000 for seconds in times(lambda number: place.store.status(), range(100))]
    target = Target("ours", "at most", _STATUS_MS)
    details = {"seconds_of_the_drain_that_counts": counted}
    return Row(f"status at {backlog:,} pending", "ms", Spread.of(figures), targets=(target,), details=details)


def _file(place: Site, count: int) -> list[IntentKey]:
    """Intents that came due within the last minute."""
    now = system_clock()
    intents = [_intent(now - _BEHIND * (count - number) // count, number) for number in range(count)]
    place.store.parts.database.outbox.file(intents)
    return [intent.key for intent in intents]


def _intent(due: int, number: int) -> Intent:
    item = ItemId(("bench", "outbox"), str(number))
    return new_intent(item, bytes(16), due, Kind.WRITE, now=due, due=due, shard=number // _TASK % SHARDS)


class _Nowhere:
    """A dispatcher that forgets what it is sent."""

    def __init__(self, waiting: int = 0) -> None:
        self._waiting = waiting

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        """Nothing is sent."""

    def backlog(self) -> int:
        return self._waiting

    def close(self) -> None:
        """Nothing to close."""
