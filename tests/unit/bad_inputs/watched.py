"""A database that counts what is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scylla_store.identity import ItemId

READS = frozenset(
    ("read", "keys", "scan", "namespaces", "letters", "letter", "state", "clock", "ping", "connect", "close", "setup", "writing",
     "get", "summary", "waiting", "heads", "floor", "outbox")
)  # fmt: skip
"""Everything else in the contracts of database, outbox and writing writes."""


class Watched:
    """Passes every call on, and counts those that write.

    Attributes:
        writes: their names.
    """

    def __init__(self, target: Any, writes: list[str]) -> None:
        self._target = target
        self.writes = writes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name in READS or not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.writes.append(name)
            return found(*args, **kwargs)

        return call


class WatchedDatabase(Watched):
    """Its outbox and its writing are watched too."""

    def __init__(self, target: Any) -> None:
        super().__init__(target, [])
        self.outbox = Watched(target.outbox, self.writes)

    @contextmanager
    def writing(self, ids: Sequence[ItemId]) -> Iterator[Any]:
        with self._target.writing(ids) as writing:
            yield Watched(writing, self.writes)
