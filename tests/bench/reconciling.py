"""Reconciliation: documents a second that are compared with their points, beside reading both."""

from __future__ import annotations

from tests.bench.documents import documents
from tests.bench.filling import wait_until_calm, write
from tests.bench.installation import Servers, site
from tests.bench.measure import Row, Target, compared, rate

_NAMESPACES = 50
_RATE = 10_000.0


def reconcile(servers: Servers, quick: bool) -> list[Row]:
    """Everything is right: what a healthy system pays, each time."""
    rounds, count = (2, 2_000) if quick else (3, 100_000)
    found = documents(count)
    with site(servers, reconcile__max_rate=1_000_000) as place:
        for number in range(_NAMESPACES):
            write(place, ("bench", "reconcile", str(number)), found[number::_NAMESPACES])
        wait_until_calm(place)

        def ours(number: int) -> float:
            def run() -> None:
                report = place.store.reconcile()
                assert (report.scanned, report.drift) == (count, 0), report

            return rate(count, run)

        def raw(number: int) -> float:
            def run() -> None:
                assert place.cql.count_all() == count
                assert place.index.count_all() >= count

            return rate(count, run)

        raw_is = "one select of all rows, and one scroll over all points"
        target = Target("ours", "at least", _RATE)
        return [compared(f"reconcile {count:,} documents", "documents/s", ours, raw, rounds, target, raw_is=raw_is)]
