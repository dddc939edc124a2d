"""How far a reconciliation is, for whoever waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from scylla_store.identity import SLICES
from scylla_store.reconcile.compare import Drift
from scylla_store.reconcile.rounds import ORPHANS, POINTS, ROWS, Round


@dataclass(frozen=True)
class Progress:
    """How far a reconciliation is. `part` (0 to 1) is exact in its first half; in the second it takes points for rows."""

    phase: str
    part: float
    points: int
    scanned: int
    drift: int
    repaired: int

    @classmethod
    def of(cls, walk: Round) -> Progress:
        """That of a round."""
        counts = walk.counts
        rows = min(0.99, counts["scanned"] / max(1, counts["points"]))
        slices = min(1.0, walk.slice / SLICES)
        part = {POINTS: slices * 0.3, ROWS: 0.3 + rows * 0.6, ORPHANS: 0.9 + slices / 10}.get(walk.phase, 1.0)
        drift = sum(counts[kind.value] for kind in Drift)
        return cls(walk.phase, part, counts["points"], counts["scanned"], drift, counts["repaired"])
