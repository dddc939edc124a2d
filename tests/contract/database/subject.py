"""One of the databases under test, and how time passes for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scylla_store.clock import SECOND, system_clock
from scylla_store.database.base import Database, Entry, Sweep
from scylla_store.intents import Bookkeeping, IntentKey

PATIENCE = 20.0


class ShiftedClock:
    """The machine's time, and what a test has added to it. Never set back, so that tests may share a server."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> int:
        return system_clock() + self.offset


@dataclass
class Subject:
    """A database that keeps the contract.

    Attributes:
        open: another handle on the same data (of the stub: on data of its own).
        empty_outbox: takes away what other tests left there.
        clock: the time of the machine that uses it; for SQLite and the stub also that of TTLs.
        has_own_clock: its time is not that of the machine that uses it, so clocks are compared.
        has_one_writer: a write is one transaction, from reading the heads on.
    """

    name: str
    database: Database
    open: Callable[[], Database]
    empty_outbox: Callable[[], None]
    clock: ShiftedClock
    has_own_clock: bool
    has_one_writer: bool
    swept: list[IntentKey] = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        """Sets the clock ahead."""
        self.clock.offset += int(seconds * SECOND)

    def now(self) -> int:
        """The time by the database's own clock."""
        return system_clock() if self.has_own_clock else self.clock()

    def sweep(self, limit: int = 100_000, *, ahead: float = 60.0) -> list[IntentKey]:
        """Takes what is due until nothing more is; returns it in the order in which it was offered."""
        self.swept = []
        while self.sweep_once(limit, ahead=ahead).more:
            pass
        return self.swept

    def sweep_once(self, limit: int = 100_000, *, ahead: float = 60.0) -> Sweep:
        """One sweep, which pushes what it takes `ahead` seconds."""

        def push(entries: list[Entry]) -> list[Bookkeeping]:
            self.swept += [entry.intent.key for entry in entries]
            later = self.clock() + int(ahead * SECOND)
            return [Bookkeeping(entry.intent.key, later, entry.attempts) for entry in entries]

        return self.database.outbox.sweep(self.clock(), limit, push)  # type: ignore[arg-type]


def eventually(condition: Callable[[], bool]) -> None:
    """Waits for a server's own time to pass."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.05)
