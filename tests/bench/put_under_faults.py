"""Latency of put while Redis, Qdrant or the embedder is gone or hangs, against put when all is well, in turns.

    python -m tests.bench.put_under_faults [--quick] [--json FILE]

One worker runs all the time, at the lowest priority: on a machine with few processors its own work, which stops during a
fault, would else be seen in the latencies of the healthy turns. Afterwards: what a process holds after 100,000 puts
without a broker.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scylla_store import ScyllaStore
from tests.acceptance.cluster import SETTINGS, as_environment
from tests.acceptance.embedders import DELAY_FILE
from tests.acceptance.processes import Child
from tests.servers import Cassandra, Qdrant, Redis

TARGET_RATIO = 1.15
TARGET_EXCESS = 0.050
EMBEDDER_DELAY = 5.0
_SETTLING = 1.0
_KEYS = 200
_WORDS = "a document of ordinary size about rivers, mountains, signals, harvests and letters in the winter market "


@dataclass(frozen=True)
class Fault:
    """Something that breaks and heals."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]


class Installation:
    """Servers, one worker, beat, and a store to write with."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.cassandra = stack.enter_context(Cassandra())
        self.redis = stack.enter_context(Redis())
        self.qdrant = stack.enter_context(Qdrant())
        self.delay_file = folder / "delay"
        name = f"bench_{uuid.uuid4().hex[:12]}"
        settings: dict[str, Any] = {
            **SETTINGS,
            "database__contact_points": [self.cassandra.host],
            "database__port": self.cassandra.port,
            "database__keyspace": name,
            "index__url": self.qdrant.url,
            "index__collection": name,
            "celery__broker_url": self.redis.url,
            "embedder__name": "tests.acceptance.embedders:Delayed",
        }
        self.store = stack.enter_context(ScyllaStore.from_settings(**settings))
        self.store.setup()
        environment = {**as_environment(settings), DELAY_FILE: str(self.delay_file)}
        queues = "scylla_store,scylla_store.maintenance"
        worker = [
            "-m",
            "celery",
            "-A",
            "tasks",
            "worker",
            "-Q",
            queues,
            "-c",
            "1",
            "-B",
            "-s",
            str(folder / "schedule"),
        ]
        self.worker = Child("worker", worker, environment, folder)
        stack.callback(self.worker.kill)
        self.worker.start(niceness=19)

    def faults(self) -> list[Fault]:
        """The four of them."""
        return [
            Fault("redis gone", self.redis.kill, self.redis.start),
            Fault("redis stopped", self.redis.pause, self.redis.resume),
            Fault("qdrant hanging", self.qdrant.pause, self.qdrant.resume),
            Fault(
                f"embedder takes {EMBEDDER_DELAY:g} s",
                lambda: _write(self.delay_file, str(EMBEDDER_DELAY)),
                lambda: self.delay_file.unlink(),
            ),
        ]


def compare(installation: Installation, fault: Fault, rounds: int, puts: int) -> dict[str, Any]:
    """Healthy and faulty turns, one after another; times in milliseconds, ratios of p50 and p99 over all turns."""
    healthy: list[float] = []
    faulty: list[float] = []
    ratios: list[float] = []
    for _ in range(rounds):
        well = latencies(installation.store, puts)
        fault.begin()
        try:
            ill = latencies(installation.store, puts)
        finally:
            fault.end()
        ratios.append(statistics.median(ill) / statistics.median(well))
        healthy += well
        faulty += ill
        _pause(_SETTLING)
    return {
        "fault": fault.name,
        "puts": len(faulty),
        "healthy_ms": summary(healthy),
        "faulty_ms": summary(faulty),
        "p50_ratio": round(statistics.median(faulty) / statistics.median(healthy), 3),
        "p50_ratio_by_round": [round(ratio, 3) for ratio in ratios],
        "p99_ratio": round(percentile(faulty, 99) / percentile(healthy, 99), 3),
        "worst_excess_ms": round((max(faulty) - max(healthy)) * 1000, 2),
        "within_target": statistics.median(faulty) / statistics.median(healthy) <= TARGET_RATIO
        and max(faulty) <= max(healthy) + TARGET_EXCESS,
    }


def latencies(store: ScyllaStore, puts: int) -> list[float]:
    """Seconds of each of so many puts, one after another."""
    seconds = []
    gc.collect()
    for number in range(puts):
        document = {"title": f"document {number}", "text": _WORDS * 3, "n": number}
        began = time.perf_counter()
        store.put(("bench", "faults"), f"key {number % _KEYS}", document)
        seconds.append(time.perf_counter() - began)
    return seconds


def without_broker(installation: Installation, puts: int) -> dict[str, Any]:
    """Threads, sockets and memory of this process after so many puts while nothing listens at the broker's port."""
    installation.redis.kill()
    seen = [{"puts": 0, **held()}]
    for _ in range(10):
        latencies(installation.store, puts // 10)
        seen.append({"puts": seen[-1]["puts"] + puts // 10, **held()})
    return {"fault": "no broker", "puts": puts, "held": seen}


def held() -> dict[str, int]:
    """What this process holds now."""
    links = [_link(path) for path in Path("/proc/self/fd").iterdir()]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "sockets": sum(link.startswith("socket:") for link in links),
        "rss_mb": pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000,
    }


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the worst, in milliseconds."""
    points = {"p50": percentile(seconds, 50), "p99": percentile(seconds, 99), "max": max(seconds)}
    return {name: round(value * 1000, 3) for name, value in points.items()}


def percentile(seconds: Sequence[float], percent: int) -> float:
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * percent // 100)]


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


@contextmanager
def installed() -> Iterator[Installation]:
    """A fresh installation; nothing is left of it."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Installation(Path(folder), stack)


def run(*, quick: bool) -> list[dict[str, Any]]:
    """All rows."""
    rounds, puts, many = (3, 400, 10_000) if quick else (7, 2_000, 100_000)
    with installed() as installation:
        latencies(installation.store, puts)
        rows = [compare(installation, fault, rounds, puts) for fault in installation.faults()]
        return [*rows, without_broker(installation, many)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer puts: about a minute")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    options = parser.parse_args(arguments)
    rows = run(quick=options.quick)
    print(json.dumps(rows, indent=2))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
