"""Telling a text that an embedder never finishes from an embedder that answers nobody."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from scylla_store.forks import follow
from scylla_store.identity import ItemId

_MOST = 10_000


class Hangs:
    """Which items were in a call of the embedder that did not end, in this process, and whether others were embedded since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers = 0
        self._met: dict[ItemId, int] = {}
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.Lock()

    def answered(self) -> None:
        """A call of the embedder has brought vectors."""
        self._answers += 1

    def is_to_blame(self, items: Sequence[ItemId]) -> bool:
        """Whether a call for these that did not end is the item's own fault: it was alone, it was in such a call before, and
        in between the embedder answered. Anything else may be an outage of the embedder."""
        with self._lock:
            before = [self._met.pop(item, None) for item in items]
            self._met.update(dict.fromkeys(items, self._answers))
            while len(self._met) > _MOST:
                del self._met[next(iter(self._met))]
        return len(items) == 1 and before[0] is not None and before[0] < self._answers
