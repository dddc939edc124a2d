"""put while Redis, Qdrant or the embedder is gone or hangs, beside put when all is well, in turns.

One worker runs all the time, at the lowest priority: on a machine with few processors its own work, which stops during a
fault, would else be seen in the latencies of the healthy turns. Afterwards: what a process holds after many puts while
nothing listens at the broker's port.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from tests.acceptance.cluster import SETTINGS
from tests.acceptance.embedders import DELAY_FILE
from tests.bench.documents import documents
from tests.bench.installation import Servers, Site, site
from tests.bench.measure import Row, Spread, Target, at_most, percentile, settled, times

_RATIO = 1.25
_EXCESS = 50.0
_EMBEDDER_DELAY = 5.0
_SETTLING = 1.0
_KEYS = 200
_NAMESPACE = ("bench", "faults")

Figure = Callable[[list[float]], float]


@dataclass(frozen=True)
class Fault:
    """Something that breaks and heals."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]


def faults(servers: Servers, quick: bool) -> list[Row]:
    """All faults, then the long run without a broker."""
    rounds, puts, many = (2, 300, 2_000) if quick else (5, 1_000, 100_000)
    with _installed(servers) as (place, delay_file):
        _latencies(place, puts)
        rows = [row for fault in _faults(servers, delay_file) for row in _compared(place, fault, rounds, puts)]
        return [*rows, *_without_broker(place, many)]


@contextmanager
def _installed(servers: Servers) -> Iterator[tuple[Site, Path]]:
    """A site with worker and beat in one process, whose embedder takes as long as a file says."""
    delay_file = servers.folder / "delay"
    options = {**SETTINGS, "embedder__name": "tests.acceptance.embedders:Delayed"}
    with site(servers, **options) as place:
        beat = ["-B", "-s", str(servers.folder / "schedule")]
        worker = place.worker(options=beat, **{DELAY_FILE: str(delay_file)})
        place.wait_for(worker)
        worker.give_way()
        yield place, delay_file


def _faults(servers: Servers, delay_file: Path) -> list[Fault]:
    redis, qdrant = servers.redis, servers.qdrant
    return [
        Fault("Redis gone", redis.kill, redis.start),
        Fault("Redis stopped", redis.pause, redis.resume),
        Fault("Qdrant hanging", qdrant.pause, qdrant.resume),
        Fault(
            f"embedder takes {_EMBEDDER_DELAY:g} s",
            lambda: delay_file.write_text(str(_EMBEDDER_DELAY)),
            delay_file.unlink,
        ),
    ]


def _compared(place: Site, fault: Fault, rounds: int, puts: int) -> list[Row]:
    """Healthy and faulty turns, one after another: medians, p99, and how far the worst put lies above the healthy worst."""
    healthy: list[list[float]] = []
    faulty: list[list[float]] = []
    for _ in range(rounds):
        healthy.append(_latencies(place, puts))
        fault.begin()
        try:
            faulty.append(_latencies(place, puts))
        finally:
            fault.end()
        threading.Event().wait(_SETTLING)
    bound = round(max(map(max, healthy)) * 1000 + _EXCESS, 1)
    return [
        _row(f"put, {fault.name}, p50", *_by_turn(statistics.median, faulty, healthy), at_most(_RATIO)),
        _row(f"put, {fault.name}, p99", *_over_all(_p99, faulty, healthy)),
        _row(f"put, {fault.name}, worst", *_over_all(max, faulty, healthy), Target("ours", "at most", bound)),
    ]


def _by_turn(figure: Figure, *sides: list[list[float]]) -> Iterator[list[float]]:
    return (list(map(figure, turns)) for turns in sides)


def _over_all(figure: Figure, *sides: list[list[float]]) -> Iterator[list[float]]:
    return ([figure(list(chain.from_iterable(turns)))] for turns in sides)


def _p99(seconds: list[float]) -> float:
    return percentile(sorted(seconds), 99)


def _row(name: str, faulty: list[float], healthy: list[float], *targets: Target) -> Row:
    ratios = [ill / well for ill, well in zip(faulty, healthy, strict=True)]
    ours, raw = (Spread.of([seconds * 1000 for seconds in figures]) for figures in (faulty, healthy))
    return Row(name, "ms", ours, raw, Spread.of(ratios), targets, len(ratios), "put when all is well")


def _latencies(place: Site, puts: int) -> list[float]:
    """Seconds of each of so many puts, one after another."""
    found = documents(_KEYS)

    def action(number: int) -> None:
        document = found[number % _KEYS]
        place.store.put(_NAMESPACE, document.key, document.value)

    with settled():
        return times(action, range(puts))


def _without_broker(place: Site, puts: int) -> list[Row]:
    """Threads, sockets and memory of this process before, during and after."""
    place.servers.redis.kill()
    seen: list[dict[str, Any]] = [{"puts": 0, **_held()}]
    for part in range(1, 11):
        _latencies(place, puts // 10)
        seen.append({"puts": part * puts // 10, **_held()})
    place.servers.redis.start()
    first, last = seen[1], seen[-1]
    return [
        Row(
            name=f"{what} after {puts:,} puts without a broker",
            unit=unit,
            ours=_one(last[what]),
            raw=_one(first[what]),
            ratio=_one(last[what] / first[what]),
            raw_is="the same after a tenth of them",
            details={"held": seen},
        )
        for what, unit in (("threads", ""), ("sockets", ""), ("memory", "MB"))
    ]


def _held() -> dict[str, int]:
    """What this process holds now."""
    links = [_link(path) for path in Path("/proc/self/fd").iterdir()]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "sockets": sum(link.startswith("socket:") for link in links),
        "memory": pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000,
    }


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def _one(figure: float) -> Spread:
    """A figure without a spread."""
    return Spread(figure, figure, figure)
