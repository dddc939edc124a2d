"""The page docs/proof/interleavings.md."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Figures:
    """What is counted of schedules of one kind."""

    schedules: int = 0
    failed: int = 0
    steps: int = 0
    switches: int = 0
    writes: int = 0


@dataclass
class Tally:
    """What many schedules came to.

    Attributes:
        kinds: figures of schedules with all faults (True) and of the others.
        events: what went wrong, and how often.
        states: how many different ones; None when they are not counted: that takes a quarter of the time.
        seconds: of processor time.
    """

    kinds: dict[bool, Figures] = field(default_factory=lambda: {False: Figures(), True: Figures()})
    events: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    states: int | None = None
    seconds: float = 0.0

    def total(self, what: str) -> int:
        return sum(int(getattr(figures, what)) for figures in self.kinds.values())

    def add(self, part: Tally) -> None:
        """Another part of the schedules."""
        for everything, figures in part.kinds.items():
            for name in vars(figures):
                setattr(self.kinds[everything], name, getattr(self.kinds[everything], name) + getattr(figures, name))
        self.events.update(part.events)
        self.failed += part.failed
        self.seconds += part.seconds

    def __str__(self) -> str:
        states = "" if self.states is None else f"{self.states} states, "
        return (
            f"{self.total('schedules')} schedules, {len(self.failed)} failed, {self.total('steps')} steps, "
            f"{self.total('switches')} switches, {states}{self.seconds:.0f} s of processor: "
            f"{self.total('schedules') / self.seconds:.0f} schedules/s, {self.total('steps') / self.seconds:.0f} steps/s"
        )


def version() -> str:
    """The commit that is tried, with a `+` when source or tests differ from it."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    return commit + ("+" if _git("status", "--porcelain", "--", "scylla_store", "tests") else "")


def markdown(command: str, tally: Tally) -> str:
    """The page."""
    lines = [
        "# Interleavings",
        "",
        f"`{command}` at commit {version()}, Python {platform.python_version()}; rates are for one processor.",
        "",
        "The real write path, conditional writes, reads, sync, worker, drain, reconciliation and expiry of several actors over stores in memory,",
        "switched at every I/O by a seed (`tests/simulation`). After each schedule it becomes calm, and then every",
        "acknowledged write must be there and the index must equal the documents; while it runs, whoever reads sees each",
        "write that was acknowledged before, or a newer one, and no right point of a current row is harmed.",
        "Of two conditional writers that replace the same state one wins, and every increment of a counter counts once.",
        "",
        "Writes may take effect after their senders gave up: acks, bookkeeping and conditional writes in all schedules, every other",
        "one but that of a letter too in those with all faults, in which older copies of index and database come back as well. Where documents",
        "became dead letters there is a second act: operators replay and discard them, some after a cure, while it all goes wrong again.",
        "What was discarded last must stay so, with no text in the index; what was tried again and can be embedded must be there, and its letter gone.",
        "",
        f"- {tally}.",
        "- A state is what database, index, outbox and broker hold, up to ids and times (`tests/simulation/states.py`).",
        "",
        "| schedules that must end exact | schedules | failed | writes acknowledged | steps | switches |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {'after a reconciliation: all faults' if everything else 'without a reconciliation'} | {one.schedules} "
            f"| {one.failed} | {one.writes} | {one.steps} | {one.switches} |"
            for everything, one in tally.kinds.items()
        ),
        "",
        "What went wrong in them:",
        "",
        "| event | times |",
        "| --- | --- |",
        *(f"| {event} | {times} |" for event, times in sorted(tally.events.items())),
        "",
        "Failed: "
        + (", ".join(tally.failed) if tally.failed else "none")
        + ". A failure is shrunk, and printed with its steps"
        " and a token that replays it exactly.",
        "",
    ]
    return "\n".join(lines)


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return found.stdout.strip()
