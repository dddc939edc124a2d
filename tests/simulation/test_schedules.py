"""Interleavings of the real write path, sync, worker and drain. `SCYLLA_STORE_TEST_SCHEDULES=100000` runs more."""

from __future__ import annotations

import os

from tests.simulation.world import World, explain

SCHEDULES = int(os.environ.get("SCYLLA_STORE_TEST_SCHEDULES", "500"))
FIRST = int(os.environ.get("SCYLLA_STORE_TEST_SEED", "0"))


def test_the_index_equals_the_documents_after_any_interleaving() -> None:
    # Given writers with different clocks, workers that die, a drain, a broker that loses and repeats, stores that lose answers
    for seed in range(FIRST, FIRST + SCHEDULES):
        world = World(seed)

        # When everything has happened and it is calm
        try:
            world.run()

        # Then nothing acknowledged is lost, and the index equals the documents
        except AssertionError as exc:
            raise AssertionError(explain(seed)) from exc


def test_a_schedule_is_replayed_exactly_by_its_seed() -> None:
    first, second = World(7), World(7)

    first.run()
    second.run()

    assert first.scheduler.trace == second.scheduler.trace
