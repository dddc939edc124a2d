"""Whether every point says what filters ask of it. After an upgrade, or a change of `index.range_fields`, some do not yet."""

from __future__ import annotations

from collections.abc import Callable

from scylla_store.clock import SECOND
from scylla_store.conditions import Condition, every, no, some
from scylla_store.filters.facts import made_otherwise
from scylla_store.index.base import Index

_WHILE_SOME_DO_NOT = 60 * SECOND
_WHEN_ALL_DO = 3600 * SECOND


class Coverage:
    """Asks the index once a minute while some points do not, and once an hour when all do; and at once when the index is
    another one by `epoch`, or the clock was set back: nobody knows then how long ago the last answer was.

    Those that do not are let through by every filter, which is right and slow: the engine has to look at each point.

    Args:
        epoch: changes when somebody has made the index anew, or has run setup.
    """

    def __init__(
        self,
        index: Index,
        ranges: tuple[str, ...],
        now: Callable[[], int],
        epoch: Callable[[], object] = lambda: None,
    ) -> None:
        self._index = index
        self._rest = made_otherwise(ranges)
        self._now = now
        self._epoch = epoch
        self._is_complete = False
        self._asked_at, self._until = 0, 0
        self._asked_in: object = None

    def widened(self, condition: Condition) -> Condition:
        """The condition, or one that lets through the points that cannot be asked yet, too."""
        return condition if self._is_whole() else some(self._rest, condition)

    def narrowed(self, condition: Condition) -> Condition:
        """The condition, or one that leaves out the points that cannot be asked yet."""
        return condition if self._is_whole() else every(no(self._rest), condition)

    def _is_whole(self) -> bool:
        now, epoch = self._now(), self._epoch()
        if not self._asked_at <= now < self._until or epoch != self._asked_in:
            self._is_complete = self._index.count(prefix=None, now=0, where=self._rest) == 0
            self._asked_at, self._asked_in = now, epoch
            self._until = now + (_WHEN_ALL_DO if self._is_complete else _WHILE_SOME_DO_NOT)
        return self._is_complete
