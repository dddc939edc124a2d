"""put during each fault of the campaign, beside put when all is well, in turns: three Cassandra nodes and all our processes.

The campaign's own writers rest: what is measured is a process that no fault is about, as another web process would be.
All others run at the lowest priority, or their own work, which stops during some faults, would be seen in the healthy turns.
The fault that fills the disk of an embedded store is not among them: puts fail there.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from scylla_store import ScyllaStore
from tests.acceptance.waiting import poll
from tests.bench.documents import documents
from tests.bench.installation import Servers
from tests.bench.measure import Row, Spread, at_most, settled
from tests.campaign.faults import Fault, faults
from tests.campaign.site import Site, installed

_RATIO = 1.25
_KEYS = 200
_NAMESPACE = ("bench", "faults")
_PATIENCE = 60.0


def every_fault(servers: Servers, quick: bool) -> list[Row]:
    """One row a fault. It needs none of the bench's own servers: the campaign's installation has its own."""
    del servers
    rounds, seconds = (1, 0.5) if quick else (3, 4.0)
    with _putting() as putting:
        putting.turn(10 * seconds)
        return [_row(fault, *putting.compared(fault, rounds, seconds)) for fault in faults()]


def _row(fault: Fault, faulty: list[float], healthy: list[float]) -> Row:
    ours, raw = (Spread.of([seconds * 1000 for seconds in side]) for side in (faulty, healthy))
    ratios = [ill / well for ill, well in zip(faulty, healthy, strict=True)]
    targets = (at_most(_RATIO),)
    return Row(f"put, {fault.name}", "ms", ours, raw, Spread.of(ratios), targets, len(ratios), "put when all is well")


@contextmanager
def _putting() -> Iterator[_Putting]:
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(Path(folder) / "site") as site,
        ScyllaStore.from_settings(**site.settings) as store,
    ):
        yield _Putting(site, store)


class _Putting:
    """One process that puts."""

    def __init__(self, site: Site, store: ScyllaStore) -> None:
        self._site = site
        self._store = store
        self._numbers = count()
        self._documents = documents(_KEYS)
        self._give_way()

    def compared(self, fault: Fault, rounds: int, seconds: float) -> tuple[list[float], list[float]]:
        """The medians of the faulty turns and of the healthy ones, each before its fault."""
        faulty, healthy = [], []
        for _ in range(rounds):
            healthy.append(self.turn(seconds))
            fault.begin(self._site)
            self._give_way()
            try:
                faulty.append(self.turn(seconds))
            finally:
                fault.end(self._site)
                self._settle()
        return faulty, healthy

    def turn(self, seconds: float) -> float:
        """Median seconds of the puts of so many seconds, one after another."""
        took: list[float] = []
        with settled():
            end = time.perf_counter() + seconds
            while (began := time.perf_counter()) < end:
                document = self._documents[next(self._numbers) % _KEYS]
                self._store.put(_NAMESPACE, document.key, document.value)
                took.append(time.perf_counter() - began)
        return statistics.median(took)

    def _settle(self) -> None:
        """Until what was written is indexed again, or a minute is over: letters and late retries are no matter here."""
        self._site.supervise()
        self._give_way()
        poll(lambda: self._store.status(exact=True).pending == 0, _PATIENCE, every=0.5)

    def _give_way(self) -> None:
        for child in (*self._site.workers, *self._site.beats, *self._site.writers, self._site.watcher):
            if child.is_running:
                child.give_way()
