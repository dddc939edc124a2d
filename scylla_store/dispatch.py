"""The way from the library to whoever runs its tasks. The library never imports a task layer: one of these is injected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scylla_store.intents import Ref


class Dispatcher(Protocol):
    """Sends refs to workers. Implemented by the in-process executor and by `scylla_store.contrib.celery`."""

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        """Sends one task under this id; BrokerUnavailable when the broker does not take it within its timeout."""

    def backlog(self) -> int | None:
        """How many tasks wait in the queue; None when that is not known."""

    def close(self) -> None:
        """Ends within 2 s, may be called twice."""
