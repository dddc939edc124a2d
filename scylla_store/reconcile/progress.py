"""How far a reconciliation is, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scylla_store.identity import SLICES
from scylla_store.reconcile.compare import Drift
from scylla_store.reconcile.rounds import ORPHANS, POINTS, ROWS, Reports, Round


@dataclass(frozen=True)
class Progress:
    """How far a reconciliation is.

    `part` (0 to 1) is exact while points are walked. While rows are, as many are expected as there were points, or rows in
    the last reconciliation when these are more: an index that was lost has no points.
    """

    phase: str
    part: float
    points: int
    scanned: int
    drift: int
    repaired: int

    @classmethod
    def of(cls, walk: Round, scanned_before: int) -> Progress:
        """That of a round, when the last one compared so many rows (0: nobody knows)."""
        counts = walk.counts
        expected = max(counts["points"], scanned_before)
        rows = min(0.99, counts["scanned"] / expected) if expected else 0.0
        slices = min(1.0, walk.slice / SLICES)
        part = {POINTS: slices * 0.3, ROWS: 0.3 + rows * 0.6, ORPHANS: 0.9 + slices / 10}.get(walk.phase, 1.0)
        drift = sum(counts[kind.value] for kind in Drift)
        return cls(walk.phase, part, counts["points"], counts["scanned"], drift, counts["repaired"])


def teller(on_progress: Callable[[Progress], None] | None, reports: Reports) -> Callable[[Round], None]:
    """What tells of a round, if anybody wants to know."""
    if on_progress is None:
        return lambda walk: None
    last = reports.all()[:1]
    scanned_before = last[0].scanned if last else 0
    return lambda walk: on_progress(Progress.of(walk, scanned_before))
