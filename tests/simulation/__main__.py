"""`python -m tests.simulation 100000`: so many schedules, with what was found and how fast.

A second number is the first seed; `stop` ends at the first schedule that fails.
"""

from __future__ import annotations

import logging
import sys
import time

from tests.simulation.world import World, explain

_SHOWN = 3


def main(schedules: int, first: int = 0, *, stop: bool = False) -> int:
    """Runs the schedules; returns how many failed. Every fourth one has all faults, and a repair at the end.

    `stop`: at the first one that fails.
    """
    logging.disable()
    started = said = time.monotonic()
    failed: list[tuple[int, bool]] = []
    steps = 0
    for seed in range(first, first + schedules):
        everything = seed % 4 == 3
        world = World(seed, everything=everything)
        try:
            world.run()
        except Exception as exc:  # noqa: BLE001 - it is counted and shown
            failed.append((seed, everything))
            print(f"seed {seed}, everything={everything}: {type(exc).__name__} {str(exc)[:200]}", flush=True)
        steps += world.scheduler.steps
        if failed and stop:
            break
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(f"{seed - first + 1} schedules, {len(failed)} failed", flush=True)
    seconds = time.monotonic() - started
    print(
        f"{schedules} schedules, {steps} steps, {len(failed)} failed, "
        f"{schedules / seconds:.0f} schedules/s, {steps / seconds:.0f} steps/s"
    )
    for seed, everything in failed[:_SHOWN]:
        print(explain(seed, everything=everything))
    return len(failed)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    sys.exit(min(1, main(*numbers or [1000], stop="stop" in sys.argv)))
