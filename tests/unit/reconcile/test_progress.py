"""How far a reconciliation says that it is."""

from __future__ import annotations

import pytest

from scylla_store.reconcile import Progress, Reports
from scylla_store.reconcile.progress import teller
from scylla_store.reconcile.rounds import Round
from tests.unit.reconcile.test_reconciler import indexed


def round_at(phase: str, slice: int = 0, **counts: int) -> Round:
    walk = Round.new(by="call", full=True, dry_run=False, now=0)
    walk.phase, walk.slice = phase, slice
    walk.counts.update(counts)
    return walk


@pytest.mark.parametrize(
    ("walk", "before", "part"),
    [
        (round_at("points", slice=2048), 0, 0.15),
        (round_at("rows", points=1000, scanned=500), 0, 0.6),
        (round_at("rows", points=1000, scanned=500), 2000, 0.45),
        (round_at("rows", points=0, scanned=500), 1000, 0.6),
        (round_at("rows", points=0, scanned=500), 0, 0.3),
        (round_at("rows", points=10, scanned=500), 10, 0.894),
        (round_at("orphans", slice=2048), 0, 0.95),
        (round_at("letters"), 0, 1.0),
    ],
)
def test_how_far_it_is(walk: Round, before: int, part: float) -> None:
    assert Progress.of(walk, before).part == pytest.approx(part)


def test_a_lost_index_is_measured_by_the_last_reconciliation() -> None:
    # Given six documents that were compared once
    core = indexed(6)
    core.parts.reconciler.run()
    heard: list[Progress] = []

    # When three are compared anew, and there are no points
    teller(heard.append, Reports(core.database, 1))(round_at("rows", scanned=3))

    # Then half of the rows are done
    assert [progress.part for progress in heard] == [pytest.approx(0.6)]
