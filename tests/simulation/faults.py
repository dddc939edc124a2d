"""The stubs behind a scheduler: every call is a step, and may be cut before it happens or after its work was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from scylla_store.database.base import Mutation
from scylla_store.errors import DatabaseUnavailable, IndexUnavailable, OutcomeUnknown, StoreError
from tests.simulation.scheduler import Scheduler

_WRITES = {"file", "update", "ack", "refresh", "register", "bury", "exhume", "set_state", "lease", "release", "upsert", "delete"}


class Faulty:
    """Passes every call on after a step; by chance it fails before, or loses its answer after, or takes effect late."""

    def __init__(self, target: Any, name: str, scheduler: Scheduler, faults: Faults) -> None:
        self._target = target
        self._name = name
        self._scheduler = scheduler
        self._faults = faults

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._target, attribute)
        if attribute == "outbox":
            return Faulty(found, "outbox", self._scheduler, self._faults)
        if attribute == "writing":
            return self._writing
        if not callable(found) or attribute in {"connect", "close", "setup", "clock"}:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._faults.request(f"{self._name}.{attribute}", lambda: found(*args, **kwargs), attribute in _WRITES)

        return call

    @contextmanager
    def _writing(self, ids: Sequence[Any]) -> Iterator[_Writing]:
        with self._target.writing(ids) as writing:
            self._faults.request("database.heads", lambda: None, False)
            yield _Writing(writing, self._target, self._faults)


class _Writing:
    def __init__(self, writing: Any, database: Any, faults: Faults) -> None:
        self._writing = writing
        self._database = database
        self._faults = faults
        self.heads = writing.heads

    def floor(self, item: Any) -> int:
        return int(self._writing.floor(item))

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        if self._faults.intent_first():
            intents = [intent for mutation in mutations for intent in mutation.intents]
            self._faults.request("outbox.file first", lambda: self._database.outbox.file(intents), True)
            mutations = [replace(mutation, intents=()) for mutation in mutations]
        result: list[StoreError | None] = self._faults.request(
            "database.commit", lambda: self._writing.commit(mutations), True
        )
        return result


class Faults:
    """What goes wrong, and how often. `calm` switches all of it off."""

    def __init__(self, scheduler: Scheduler, *, rate: float, late: bool) -> None:
        self._scheduler = scheduler
        self._rate = rate
        self._late = late
        self.calm = False
        self.late_requests: list[tuple[str, Callable[[], Any]]] = []

    def intent_first(self) -> bool:
        """Whether this write is handled as one above the batch limit."""
        return not self.calm and self._scheduler.chance(0.3)

    def request(self, what: str, action: Callable[[], Any], writes: bool) -> Any:
        self._scheduler.step(what)
        if self.calm or not self._scheduler.chance(self._rate):
            return action()
        error: type[StoreError] = IndexUnavailable if what.startswith("index") else DatabaseUnavailable
        kind = self._scheduler.random.choice(("before", "lost", "late") if writes and self._late and what.startswith("index") else ("before", "lost"))
        self._scheduler.trace.append(f"  {what} fails: {kind}")
        if kind == "late":
            self.late_requests.append((what, action))
        if kind == "lost":
            action()
            error = OutcomeUnknown if error is DatabaseUnavailable and writes else error
        raise error(f"simulated: {kind}")
