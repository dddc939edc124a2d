"""The database in memory behind a scheduler, as one process sees it: what it writes may fail, come in parts, or lie in wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from scylla_store.clock import Clock
from scylla_store.database.base import Mutation
from scylla_store.database.memory import MemoryDatabase
from scylla_store.database.slots import SlottedOutbox
from scylla_store.errors import OutcomeUnknown, StoreError
from scylla_store.identity import ItemId
from scylla_store.intents import Intent
from scylla_store.rows import Cells
from tests.simulation.faults import Faults, Faulty, FaultyTables


class FaultyDatabase(Faulty):
    """The database as one process sees it: with an outbox that goes by its clock."""

    def __init__(self, target: MemoryDatabase, faults: Faults, clock: Clock) -> None:
        super().__init__(target, "database", faults)
        self.outbox = SlottedOutbox(FaultyTables(target.tables, "outbox", faults), clock=clock)  # type: ignore[arg-type]

    def read(self, ids: Sequence[ItemId], *, body: bool = True, serial: bool = False) -> dict[ItemId, Cells]:
        def action() -> dict[ItemId, Cells]:
            if serial:
                self._faults.settle()
            found: dict[ItemId, Cells] = self._target.read(ids, body=body)
            return found

        cells: dict[ItemId, Cells] = self._faults.request(f"database.read{' serial' if serial else ''}", action)
        return cells

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """One step, at a time of any node. When its answer is lost it may lie in wait, which no plain read shows, or a node
        that hung may begin with it only later.
        """

        def apply() -> bool:
            accepted = self._accepted(expected, mutation)
            if accepted is not None:
                self._target.write([accepted])
                if self._target.read([accepted.id])[accepted.id].head != accepted.head:
                    self._faults.shadowed.append(accepted.id.key)
            return accepted is not None

        def hide() -> bool:
            accepted = self._accepted(expected, mutation)
            if accepted is not None:
                self._faults.hidden.append(lambda: self._target.write([accepted]))
            self._faults.scheduler.happened("conditional write lies in wait")
            raise OutcomeUnknown("simulated: lies in wait")

        is_hidden = not self._faults.calm and self._faults.scheduler.chance(self._faults.hides)
        until = min(intent.filed_at for intent in mutation.intents) + self._faults.patience
        return bool(self._faults.request("database.compare_and_set", hide if is_hidden else apply, until=until))

    def _accepted(self, expected: bytes | None, mutation: Mutation) -> Mutation | None:
        self._faults.settle()
        self._faults.expected[mutation.head[:16]] = None if expected is None else expected[:16]
        usual, offset = self._target.server_clock, self._faults.scheduler.random.choice(self._faults.nodes)
        self._target.server_clock = lambda: usual() + offset
        try:
            accepted: Mutation | None = self._target.accept(expected, mutation)
        finally:
            self._target.server_clock = usual
        if accepted is not None:
            self._faults.note(accepted)
        return accepted

    @contextmanager
    def writing(self, ids: Sequence[Any]) -> Iterator[_Writing]:
        self._faults.request("database.heads", lambda: None)
        with self._target.writing(ids) as writing:
            yield _Writing(writing, self._target, self._faults)


class _Writing:
    def __init__(self, writing: Any, database: MemoryDatabase, faults: Faults) -> None:
        self._writing = writing
        self._database = database
        self._faults = faults
        self.heads = writing.heads

    def floor(self, item: Any) -> int:
        return int(self._writing.floor(item))

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        """All of them as one, or each as a request of its own, of which some fail and others do not."""
        for mutation in mutations:
            self._faults.note(mutation)
        is_one = len(mutations) == 1 or self._faults.calm or not self._faults.scheduler.chance(0.5)
        parts = [mutations] if is_one else [[mutation] for mutation in mutations]
        errors = [error for part in parts for error in self._answers(part)]
        if 0 < sum(error is not None for error in errors) < len(errors):
            self._faults.scheduler.happened("some writes of a batch fail")
        return errors

    def _answers(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        try:
            self._commit(mutations)
        except StoreError as exc:
            return [exc for _ in mutations]
        return [None for _ in mutations]

    def _commit(self, mutations: Sequence[Mutation]) -> None:
        """One step, or two: above the batch limit intents come first; a logged batch may appear by halves."""
        intents = [intent for mutation in mutations for intent in mutation.intents]
        bare = [replace(mutation, intents=()) for mutation in mutations]
        if not intents or self._faults.calm or not self._faults.scheduler.chance(self._faults.split):
            self._write(mutations)
        elif self._faults.scheduler.chance(0.5):
            self._faults.request("database.commit intents first", lambda: self._database.tables.write(intents))
            self._write(bare)
        else:
            self._split(bare, intents)

    def _write(self, mutations: Sequence[Mutation]) -> None:
        self._faults.request("database.commit", lambda: self._writing.commit(mutations))

    def _split(self, bare: Sequence[Mutation], intents: Sequence[Intent]) -> None:
        halves: list[Callable[[], Any]] = [
            lambda: self._writing.commit(bare),
            lambda: self._database.tables.write(intents),
        ]
        if self._faults.scheduler.chance(0.5):
            halves.reverse()

        self._faults.scheduler.happened("batch seen by halves")

        def begin() -> None:
            if not self._faults.halves:
                self._faults.half_since = self._faults.scheduler.now
            self._faults.halves.append(halves[1])
            halves[0]()

        self._faults.request("database.commit first half", begin)
        self._faults.request("database.commit second half", self._faults.flush)
