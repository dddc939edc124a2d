"""Interleavings of the real write path, sync, worker and drain. `python -m tests.simulation 100000` runs more of them."""

from __future__ import annotations

import os

import pytest

from tests.simulation.shrink import explain
from tests.simulation.world import World

SCHEDULES = int(os.environ.get("SCYLLA_STORE_TEST_SCHEDULES", "2000"))
FIRST = int(os.environ.get("SCYLLA_STORE_TEST_SEED", "0"))


@pytest.mark.parametrize(
    ("everything", "schedules"),
    [
        pytest.param(False, SCHEDULES * 7 // 10, id="exact without a reconciliation"),
        pytest.param(True, SCHEDULES * 3 // 10, id="exact after a reconciliation"),
    ],
)
def test_the_index_equals_the_documents_after_any_interleaving(everything: bool, schedules: int) -> None:
    # Given writers with different clocks, workers that die, drains, a broker that loses and repeats, stores that lose answers
    for seed in range(FIRST, FIRST + schedules):
        world = World(seed, everything=everything)

        # When everything has happened and it is calm
        try:
            world.run()

        # Then nothing acknowledged is lost, and the index equals the documents
        except Exception as exc:
            raise AssertionError(explain(seed, everything=everything)) from exc


def test_a_schedule_is_replayed_exactly_by_its_seed() -> None:
    first, second = World(7, is_traced=True), World(7, is_traced=True)

    first.run()
    second.run()

    assert first.scheduler.trace == second.scheduler.trace
    assert first.scheduler.trace
