"""A failing schedule, made as small as it goes: fewer steps, actors, switches, faults; it must fail at the same place.

That is delta debugging over the blocks of its script: leave out halves, quarters, ... single steps, make the same parts
simple, then each number, until nothing more helps or the time is over.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.simulation.choices import Block, Script, name_of
from tests.simulation.world import World

SECONDS = 60.0
"""How long shrinking may take."""

_SHOWN = 150
"""Lines at both ends of a trace."""

Place = tuple[str, str, int]
Blocks = tuple[Block, ...]


@dataclass(frozen=True)
class Run:
    """What became of one schedule.

    Attributes:
        script: what it chose, each number of it used.
        place: class of its error, file and line; None when it passed.
    """

    script: Script
    error: Exception | None
    place: Place | None
    steps: int
    switches: int
    trace: list[str]

    @property
    def size(self) -> tuple[int, int, int]:
        """What shrinks: decisions that are not the simplest, steps, and how far the decisions are from the simplest."""
        return self.script.decisions, self.steps, sum(self.script.numbers)

    def __str__(self) -> str:
        return f"{self.steps} steps, {self.switches} switches, {self.script.decisions} decisions"


def run(
    seed: int,
    *,
    everything: bool,
    script: Script | None = None,
    is_traced: bool = False,
    kind: str | None = None,
) -> Run:
    """Runs a schedule, by its seed or as a script says."""
    world = World(seed, everything=everything, is_traced=is_traced, script=script, kind=kind)
    error: Exception | None = None
    try:
        world.run()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what is looked for
        error = exc
    scheduler = world.scheduler
    return Run(
        scheduler.random.recorded(seed, everything),
        error,
        None if error is None else _place(error),
        scheduler.steps,
        scheduler.switches,
        scheduler.trace,
    )


def replay(script: Script, *, is_traced: bool = False) -> Run:
    """Runs a script."""
    return run(script.seed, everything=script.everything, script=script, is_traced=is_traced)


def shrink(failed: Run, *, seconds: float = SECONDS) -> Run:
    """The smallest schedule that was found to fail in the same place."""
    shrinker = _Shrinker(failed, time.monotonic() + seconds)
    while shrinker.round():
        pass
    return shrinker.best


def explain(seed: int, *, everything: bool = False, seconds: float = SECONDS, kind: str | None = None) -> str:
    """For a failure's report: the shrunk schedule, step by step, and the command that replays it."""
    failed = run(seed, everything=everything, kind=kind)
    if failed.error is None:
        return f"seed {name_of(seed, everything)} passes"
    small = shrink(failed, seconds=seconds)
    shown = replay(small.script, is_traced=True)
    return "\n".join(
        [
            f"seed {name_of(seed, everything)}, shrunk from {failed} to {small}:",
            *shortened(shown.trace),
            f"{type(shown.error).__name__}: {shown.error}",
            f"python -m tests.simulation replay {small.script.token()}",
        ]
    )


def shortened(trace: list[str]) -> list[str]:
    """The trace without its middle, when that is long: mostly somebody who waits."""
    if len(trace) <= 2 * _SHOWN:
        return trace
    return [*trace[:_SHOWN], f"... {len(trace) - 2 * _SHOWN} more ...", *trace[-_SHOWN:]]


class _Shrinker:
    """The best schedule so far, and when to stop."""

    def __init__(self, failed: Run, deadline: float) -> None:
        self.best = failed
        self._deadline = deadline

    def round(self) -> bool:
        """Tries everything once; returns whether that helped."""
        before = self.best.size
        for act in (0, 1):
            self._sweep(act, _left_out, first=1)
            self._sweep(act, _made_simple, first=0)
            self._try(replace(self.best.script, calm=()))
            self._sweep_numbers(act)
        return self.best.size < before

    def _sweep(self, act: int, change: Callable[[Blocks, int, int], Blocks], first: int) -> None:
        size = max(1, len(self.best.script.act(act)) // 2)
        while size:
            start = first
            while start < len(self.best.script.act(act)):
                changed = change(self.best.script.act(act), start, start + size)
                if not self._try(self.best.script.with_act(act, changed)):
                    start += size
            size //= 2

    def _sweep_numbers(self, act: int) -> None:
        for position in range(len(self.best.script.act(act))):
            for number in range(len(self.best.script.act(act)[position])):
                for changed in _lowered(self.best.script.act(act), position, number):
                    if self._try(self.best.script.with_act(act, changed)):
                        break

    def _try(self, script: Script) -> bool:
        """Whether the script fails as well, and is smaller: then it is the best one."""
        if time.monotonic() > self._deadline or script == self.best.script:
            return False
        found = replay(script)
        if found.place != self.best.place or found.size >= self.best.size:
            return False
        self.best = found
        return True


def _left_out(blocks: Blocks, start: int, end: int) -> Blocks:
    return blocks[:start] + blocks[end:]


def _made_simple(blocks: Blocks, start: int, end: int) -> Blocks:
    simple: Blocks = tuple(() for _ in blocks[start:end])
    return blocks[:start] + simple + blocks[end:]


def _lowered(blocks: Blocks, position: int, number: int) -> Iterator[Blocks]:
    """The blocks with one number at 0, and one lower."""
    if position >= len(blocks) or number >= len(blocks[position]):
        return
    block = blocks[position]
    for value in {0, block[number] - 1} if block[number] > 0 else ():
        changed = (*block[:number], value, *block[number + 1 :])
        yield (*blocks[:position], changed, *blocks[position + 1 :])


def _place(error: Exception) -> Place:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return type(error).__name__, frame.filename, frame.lineno or 0
