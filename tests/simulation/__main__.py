"""Interleavings from the command line.

python -m tests.simulation 100000          so many schedules, with what was found and how fast
python -m tests.simulation 1000 500 stop   from seed 500 on, until one fails
python -m tests.simulation replay TOKEN    one again, as a failure's report says it; or a seed: 7, or 7e with all faults
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.choices import Script, name_of, seed_of
from tests.simulation.shrink import Run, explain, replay, run
from tests.simulation.states import States
from tests.simulation.world import World

_SHOWN = 3


@dataclass
class Tally:
    """What many schedules came to. `states` is None where they are not counted: that takes a quarter of the time."""

    started: float = field(default_factory=time.process_time)
    schedules: int = 0
    steps: int = 0
    switches: int = 0
    states: States | None = None
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        seconds = time.process_time() - self.started
        states = "" if self.states is None else f"{len(self.states)} states, "
        return (
            f"{self.schedules} schedules, {len(self.failed)} failed, {self.steps} steps, {self.switches} switches, "
            f"{states}{seconds:.0f} s of processor: {self.schedules / seconds:.0f} schedules/s, "
            f"{self.steps / seconds:.0f} steps/s"
        )


def is_everything(seed: int) -> bool:
    """Every fourth schedule has all faults, and a repair at the end."""
    return seed % 4 == 3


def search(schedules: int, first: int, *, stop: bool, seconds: float, states: States | None) -> Tally:
    """Runs schedules until all are done, so much processor time is spent or, with `stop`, one fails."""
    tally = Tally(states=states)
    said = time.monotonic()
    for seed in range(first, first + schedules):
        _run_one(seed, tally)
        if (stop and tally.failed) or time.process_time() - tally.started > seconds:
            break
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(tally, flush=True)
    return tally


def _run_one(seed: int, tally: Tally) -> None:
    everything = is_everything(seed)
    world = World(seed, everything=everything)
    if tally.states is not None:
        tally.states.watch(world)
    try:
        world.run()
    except Exception as exc:  # noqa: BLE001 - it is counted and shown
        tally.failed.append(name_of(seed, everything))
        print(f"seed {tally.failed[-1]}: {type(exc).__name__} {str(exc)[:200]}", flush=True)
    tally.schedules += 1
    tally.steps += world.scheduler.steps
    tally.switches += world.scheduler.switches


def replayed(token: str) -> Run:
    """One schedule again: of a token, a file that holds one, or a seed's name."""
    if Path(token).is_file():
        token = Path(token).read_text().strip()
    if "." in token:
        return replay(Script.of(token), is_traced=True)
    seed, everything = seed_of(token)
    return run(seed, everything=everything, is_traced=True)


def main(arguments: list[str]) -> int:
    """Returns 1 when a schedule fails."""
    logging.disable()
    if arguments[:1] == ["replay"]:
        found = replayed(arguments[1])
        print(*found.trace, f"{found}: {found.error!r}", sep="\n")
        return int(found.error is not None)
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("schedules", type=int, nargs="?", default=1000)
    parser.add_argument("first", type=int, nargs="?", default=0, help="the first seed")
    parser.add_argument("stop", nargs="?", choices=["stop"], help="at the first one that fails")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of processor time, then stop")
    parser.add_argument("--fast", action="store_true", help="do not count states")
    parser.add_argument(
        "--shrink", type=float, default=60.0, help="seconds for each of the first failures that are shown"
    )
    given = parser.parse_args(arguments)
    states = None if given.fast else States()
    tally = search(given.schedules, given.first, stop=given.stop is not None, seconds=given.seconds, states=states)
    print(tally)
    for name in tally.failed[:_SHOWN] if given.shrink else ():
        seed, everything = seed_of(name)
        print(explain(seed, everything=everything, seconds=given.shrink))
    return int(bool(tally.failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
