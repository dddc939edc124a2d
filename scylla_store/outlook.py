"""The outlook: what a drain's summary does not say. Made after each drain at a bounded cost, so that `status()` only reads it.

How fast the backlog is worked off, what is dead and why, which workers are alive and what troubles them. It is one small
value in the database, readable by older and newer versions: what is unknown is left out, what is missing has a default.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from scylla_store.clock import SECOND
from scylla_store.database.base import Database
from scylla_store.heartbeats import Pulse, pulses
from scylla_store.summary import DrainSummary, known

NAME = "outlook"
WINDOW = 120.0
"""Seconds over which rates are measured."""

_LETTERS = 1000
"""Dead letters that are read at a time; more are counted in several drains."""


@dataclass(frozen=True)
class Sample:
    """What was at one moment: time in microseconds, intents acked since the sample before it, pending ones."""

    at: int = 0
    acked: int = 0
    pending: int = 0
    exact: bool = False


@dataclass(frozen=True)
class LetterCount:
    """Dead letters by reason, and given up ones. `after` is where counting goes on; None when all were counted."""

    dead: Mapping[str, int] = field(default_factory=dict)
    discarded: int = 0
    after: str | None = None


@dataclass(frozen=True)
class Trouble:
    """What keeps worker processes from working: the name of a dependency or "clock", in how many processes, and one's reason."""

    name: str = ""
    processes: int = 0
    reason: str = ""
    process: str = ""


@dataclass(frozen=True)
class Outlook:
    """See the module.

    Attributes:
        at: when it was made, microseconds.
        samples: the last minutes, oldest first.
        letters: the last count that came to its end, or the first one on its way; None before it began.
        counting: the count that is under way.
        acked: what each living process had acked.
        workers: how many processes are alive.
        troubles: what keeps them from working.
    """

    at: int = 0
    samples: Sequence[Sample] = ()
    letters: LetterCount | None = None
    counting: LetterCount = field(default_factory=LetterCount)
    acked: Mapping[str, int] = field(default_factory=dict)
    workers: int = 0
    troubles: Sequence[Trouble] = ()

    @property
    def rate(self) -> float | None:
        """Intents acked a second, over the window; None before there are two samples."""
        seconds = self._seconds
        return None if seconds is None else sum(sample.acked for sample in self.samples[1:]) / seconds

    @property
    def shrinking(self) -> float | None:
        """By how much less is pending each second, over the window; None when that is not known exactly."""
        seconds = self._seconds
        if seconds is None or not (self.samples[0].exact and self.samples[-1].exact):
            return None
        return (self.samples[0].pending - self.samples[-1].pending) / seconds

    @property
    def _seconds(self) -> float | None:
        if len(self.samples) < 2 or self.samples[-1].at <= self.samples[0].at:
            return None
        return (self.samples[-1].at - self.samples[0].at) / SECOND


def observe(database: Database, summary: DrainSummary) -> Outlook:
    """Looks around after a drain, and stores what it saw. Reads at most 1,000 letters and nine small values."""
    before = load_outlook(database)
    alive = pulses(database, summary.at)
    counting = count_letters(database, before.counting)
    is_first = before.letters is None or before.letters.after is not None
    seen = Outlook(
        at=summary.at,
        samples=_samples(before, alive, summary),
        letters=counting if counting.after is None or is_first else before.letters,
        counting=LetterCount() if counting.after is None else counting,
        acked={pulse.id: pulse.acked for pulse in alive},
        workers=len(alive),
        troubles=_troubles(alive),
    )
    database.set_state(NAME, json.dumps(asdict(seen)).encode())
    return seen


def load_outlook(database: Database) -> Outlook:
    """The last one; an empty one when there is none."""
    stored: dict[str, Any] = json.loads(database.state(NAME) or b"{}")
    letters, counting = stored.get("letters"), stored.get("counting")
    return replace(
        known(Outlook, stored),
        samples=[known(Sample, sample) for sample in stored.get("samples", ())],
        letters=None if letters is None else known(LetterCount, letters),
        counting=LetterCount() if counting is None else known(LetterCount, counting),
        troubles=[known(Trouble, trouble) for trouble in stored.get("troubles", ())],
    )


def count_letters(database: Database, begun: LetterCount) -> LetterCount:
    """Goes on with a count by as many letters as one drain may read."""
    page = database.letters(after=begun.after, limit=_LETTERS)
    dead = Counter(begun.dead) + Counter(letter.reason for letter in page if not letter.discarded)
    discarded = begun.discarded + sum(letter.discarded for letter in page)
    return LetterCount(dict(dead), discarded, page[-1].id if len(page) == _LETTERS else None)


def _samples(before: Outlook, alive: Sequence[Pulse], summary: DrainSummary) -> list[Sample]:
    """The window, with a new sample. What a process acked after its last heartbeat and before its death is not in it."""
    acked = sum(_acked_since(before, pulse) for pulse in alive)
    young = [sample for sample in before.samples if summary.at - WINDOW * SECOND <= sample.at < summary.at]
    return [*young, Sample(summary.at, acked, summary.pending, summary.exact)]


def _acked_since(before: Outlook, pulse: Pulse) -> int:
    """What it acked since the last look. Whoever is new to us and older than that was away, or the database was: nobody knows when
    it acked what."""
    if pulse.id not in before.acked and pulse.since < before.at:
        return 0
    return max(0, pulse.acked - before.acked.get(pulse.id, 0))


def _troubles(alive: Sequence[Pulse]) -> list[Trouble]:
    """One for each name, with the reason of one process."""
    found: dict[str, Trouble] = {}
    for pulse in alive:
        for name, reason in pulse.troubles.items():
            one = found.get(name) or Trouble(name, 0, reason, pulse.process)
            found[name] = replace(one, processes=one.processes + 1)
    return list(found.values())
