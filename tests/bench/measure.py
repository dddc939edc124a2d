"""Two things measured in turns, and what is said of them: medians, spread, ratio, target."""

from __future__ import annotations

import gc
import operator
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

Measurement = Callable[[int], float]
"""Measures once, in the round of this number, and returns seconds or a rate."""


@dataclass(frozen=True)
class Spread:
    """Median of some figures, and the tenths below which and above which one in ten of them lies."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        ordered = sorted(figures)
        return cls(statistics.median(ordered), percentile(ordered, 10), percentile(ordered, 90))


@dataclass(frozen=True)
class Target:
    """What a figure of a row has to keep.

    Args:
        figure: "ratio" or "ours".
        relation: "at most" or "at least".
    """

    figure: str
    relation: str
    limit: float

    def is_met(self, figure: float) -> bool:
        compare = operator.le if self.relation == "at most" else operator.ge
        return bool(compare(figure, self.limit))


@dataclass(frozen=True)
class Row:
    """One line of the table. `raw` is what ours is compared with; `ratio` is ours by raw, over the rounds."""

    name: str
    unit: str
    ours: Spread
    raw: Spread | None = None
    ratio: Spread | None = None
    targets: tuple[Target, ...] = ()
    rounds: int = 1
    raw_is: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_within(self) -> bool | None:
        """Whether the medians keep all targets; None without targets."""
        figures = {"ours": self.ours, "ratio": self.ratio}
        met = [target.is_met(figure.median) for target in self.targets if (figure := figures[target.figure])]
        return all(met) if met else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "within": self.is_within}


def at_most(limit: float) -> Target:
    """Of the ratio: for times."""
    return Target("ratio", "at most", limit)


def at_least(limit: float) -> Target:
    """Of the ratio: for rates."""
    return Target("ratio", "at least", limit)


def compared(
    name: str,
    unit: str,
    ours: Measurement,
    raw: Measurement,
    rounds: int,
    *targets: Target,
    raw_is: str = "",
    scale: float = 1.0,
) -> Row:
    """Measures both in every round, ours first in one and second in the next.

    Args:
        unit: of the figures after they were multiplied by `scale`.
        raw_is: what raw does, in some words.
    """
    own: list[float] = []
    other: list[float] = []
    turn = [(ours, own), (raw, other)]
    with settled():
        for number in range(rounds):
            for measurement, figures in turn if number % 2 == 0 else reversed(turn):
                figures.append(measurement(number) * scale)
    ratios = [one / two for one, two in zip(own, other, strict=True)]
    return Row(name, unit, Spread.of(own), Spread.of(other), Spread.of(ratios), targets, rounds, raw_is)


def times(action: Callable[[int], object], numbers: Iterable[int]) -> list[float]:
    """Seconds of each call, one after another."""
    seconds = []
    for number in numbers:
        began = time.perf_counter()
        action(number)
        seconds.append(time.perf_counter() - began)
    return seconds


def median_time(action: Callable[[int], object], calls: int) -> Measurement:
    """Measures the median of so many calls; each gets a number of its own."""

    def measure(turn: int) -> float:
        return statistics.median(times(action, range(turn * calls, (turn + 1) * calls)))

    return measure


def rate(count: int, action: Callable[[], object]) -> float:
    """How many things a second, when the action does `count` of them."""
    with settled():
        began = time.perf_counter()
        action()
        return count / (time.perf_counter() - began)


@contextmanager
def settled() -> Iterator[None]:
    """The garbage collector looks at what the measured code makes, not at the documents that wait to be written."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Of figures that are sorted."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
