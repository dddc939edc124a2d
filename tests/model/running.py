"""Runs the machine.

SCYLLA_STORE_TEST_RUNS and SCYLLA_STORE_TEST_STEPS: how many runs, of how many steps at most. SCYLLA_STORE_TEST_SEED: other ones.
SCYLLA_STORE_TEST_SHRINK=1: a run that fails is made as short as it can be, which may take minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.changing import Changing
from tests.model.finding import Finding
from tests.model.machine import Tally
from tests.model.operating import Operating
from tests.model.reading import Reading
from tests.model.world import World
from tests.model.writing import Writing


def run(world: Callable[[bool], World], *, runs: int, steps: int) -> None:
    """So many runs, unless the environment says otherwise; prints what they did. Raises what a step showed.

    Args:
        world: makes a new one, and is told whether to take the engine.
    """

    class StoreMachine(Writing, Changing, Reading, Finding, Operating):
        """All rules."""

        make_world = staticmethod(world)
        tally = Tally()

    runs = int(os.environ.get("SCYLLA_STORE_TEST_RUNS", runs))
    steps = int(os.environ.get("SCYLLA_STORE_TEST_STEPS", steps))
    shrinks = [Phase.shrink] if os.environ.get("SCYLLA_STORE_TEST_SHRINK") == "1" else []
    started = time.monotonic()
    try:
        run_state_machine_as_test(
            seed(int(os.environ.get("SCYLLA_STORE_TEST_SEED", "0")))(StoreMachine),
            settings=settings(
                max_examples=runs,
                stateful_step_count=steps,
                phases=[Phase.generate, *shrinks],
                deadline=None,
                database=None,
                print_blob=False,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        print(f"\nModel: {StoreMachine.tally}, {time.monotonic() - started:.0f} s")
