"""Interleavings from the command line.

python -m tests.simulation 100000          so many schedules, with what was found and how fast
python -m tests.simulation 1000 500 stop   from seed 500 on, until one fails
python -m tests.simulation replay TOKEN    one again, as a failure's report says it; or a seed: 7, or 7e with all faults
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import multiprocessing
import signal
import sys
import time
from pathlib import Path

from tests.simulation.choices import Script, name_of, seed_of
from tests.simulation.report import Tally, markdown
from tests.simulation.shrink import Run, explain, replay, run
from tests.simulation.states import States
from tests.simulation.world import World

_SHOWN = 3
_PART = 500


def is_everything(seed: int) -> bool:
    """Every fourth schedule has all faults, and a repair at the end."""
    return seed % 4 == 3


def search(
    schedules: int, first: int, *, stop: bool, seconds: float, states: States | None, kind: str | None = None
) -> Tally:
    """Runs schedules until all are done, so much processor time is spent, somebody interrupts or, with `stop`, one fails."""
    tally = Tally()
    started, said = time.process_time(), time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        for seed in range(first, first + schedules):
            _run_one(seed, tally, states, kind)
            tally.seconds = time.process_time() - started
            tally.states = None if states is None else len(states)
            if (stop and tally.failed) or tally.seconds > seconds:
                break
            if time.monotonic() - said > 10:
                said = time.monotonic()
                print(tally, flush=True)
    return tally


def search_at_once(jobs: int, schedules: int, first: int, states: States | None, kind: str | None) -> Tally:
    """All of the schedules, in so many processes."""
    tally = Tally()
    starts = range(first, first + schedules, _PART)
    parts = [(start, min(_PART, first + schedules - start), states is not None, kind) for start in starts]
    with multiprocessing.get_context("fork").Pool(jobs) as pool, contextlib.suppress(KeyboardInterrupt):
        for part, seen in pool.imap(_part, parts):
            tally.add(part)
            if states is not None and seen is not None:
                states.add(seen)
                tally.states = len(states)
            print(tally, flush=True)
    return tally


def _part(given: tuple[int, int, bool, str | None]) -> tuple[Tally, States | None]:
    start, count, is_counting, kind = given
    states = States() if is_counting else None
    return search(count, start, stop=False, seconds=float("inf"), states=states, kind=kind), states


def _run_one(seed: int, tally: Tally, states: States | None, kind: str | None) -> None:
    everything = is_everything(seed)
    world = World(seed, everything=everything, kind=kind)
    if states is not None:
        states.watch(world)
    figures = tally.kinds[everything]
    try:
        world.run()
    except Exception as exc:  # noqa: BLE001 - it is counted and shown
        figures.failed += 1
        tally.failed.append(name_of(seed, everything))
        print(f"seed {tally.failed[-1]}: {type(exc).__name__} {str(exc)[:200]}", flush=True)
    figures.schedules += 1
    figures.steps += world.scheduler.steps
    figures.switches += world.scheduler.switches
    figures.writes += len(world.acknowledged)
    tally.events.update(world.scheduler.events)
    tally.events["versions drawn by two writers"] += sum(len(ids) > 1 for ids in world.faults.written.values())


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
    parser.add_argument("--jobs", type=int, default=1, help="processes; then neither `stop` nor --seconds count")
    parser.add_argument("--kind", help="of world: duel, tiny, early, pair, large, expiring, poisoned or contended")
    parser.add_argument(
        "--shrink", type=float, default=60.0, help="seconds for each of the first failures that are shown"
    )
    parser.add_argument("--markdown", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    states = None if given.fast else States()
    if given.jobs > 1:
        tally = search_at_once(given.jobs, given.schedules, given.first, states, given.kind)
    else:
        stop, seconds = given.stop is not None, given.seconds
        tally = search(given.schedules, given.first, stop=stop, seconds=seconds, states=states, kind=given.kind)
    print(tally)
    if given.markdown:
        given.markdown.write_text(markdown(f"python -m tests.simulation {given.schedules} {given.first}", tally))
    for name in tally.failed[:_SHOWN] if given.shrink else ():
        seed, everything = seed_of(name)
        print(explain(seed, everything=everything, seconds=given.shrink, kind=given.kind))
    return int(bool(tally.failed))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell takes it away from what runs in the background
    logging.disable()
    sys.exit(main(sys.argv[1:]))
