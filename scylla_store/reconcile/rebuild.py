"""Whether the index is being rebuilt: it was made anew while there were documents, and not all of them are back."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Database, Position, Waiting
from scylla_store.errors import TombstoneLimit, TransientError
from scylla_store.forks import follow
from scylla_store.rows import Cells

_STATE = "index.rebuild"
_SET_UP = "index.set_up"
_LOOK_AGAIN = 2.0
"""Seconds that a process believes its last look."""

_AHEAD = 60 * SECOND
"""By less than that two clocks may differ that are both taken for right."""

_ROWS = 10_000
_SAMPLE = 500
_PAGES = 40
"""Of so many documents: more than wait, when all that wait can be read."""


class Rebuild:
    """The mark of a rebuild: begins when an index is missing beside documents; ends when a reconciliation that began later has
    compared everything, and all that waited in the outbox by then is indexed.

    Beside it stands when somebody last ran setup: what other processes remember of the index may be wrong since.
    """

    def __init__(self, database: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._has_looked = False
        self._looked_at: float | None = None
        self._is_on = False
        self._epoch: object = None
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.Lock()

    def begin_if_documents(self) -> bool:
        """To be called when there is no index: whether there are documents that it lacks and that nobody will bring.

        The first one tells that does not wait in the outbox: those that do were written before their index was first opened.
        20,000 are looked at, or 320 MB of them.
        """
        try:
            is_lacking = self._is_lacking()
        except TombstoneLimit:
            is_lacking = True  # so many were deleted that there may be others
        if is_lacking:
            self._store({"since": self._clock(), "compared_at": None})
        return is_lacking

    def _is_lacking(self) -> bool:
        after: Position | None = None
        waiting: Waiting | None = None
        for _ in range(_PAGES):
            rows = self._database.scan(after=after, limit=_SAMPLE)
            if not rows:
                return False
            if waiting is None or _is_one_known(rows, waiting):  # unless it was written since those that wait were read
                waiting = self._database.outbox.waiting(_ROWS)
                if _is_one_known(rows, waiting):
                    return True
            after = rows[-1].id
        return False

    def compared(self, started_at: int) -> None:
        """A reconciliation that began at this time has compared everything, passed over nothing, and filed what is missing.

        When the mark lies ahead it was made by a clock that was, and none would ever begin later: any one will do then.
        """
        mark, now = self._mark(), self._clock()
        if mark is not None and (started_at >= mark["since"] or mark["since"] > now + _AHEAD):
            self._store({**mark, "compared_at": now})

    def since(self) -> int | None:
        """When it began (microseconds); None when the index is complete. Ends it when the last of its repairs is done."""
        mark = self._mark()
        if mark is None:
            return None
        if mark["compared_at"] is not None:
            seen = self._database.outbox.summary(_ROWS)
            oldest = seen.oldest_filed_at
            if seen.exact if oldest is None else oldest > mark["compared_at"]:
                self._store(None)
                return None
        return int(mark["since"])

    def is_on(self) -> bool:
        """The same as yes or no, at most two seconds old, or as old as an answer that is under way; no when the database does
        not say."""
        self._look()
        return self._is_on

    def epoch(self) -> object:
        """Changes when a rebuild begins or ends and when somebody runs setup, at most two seconds later; not when the database
        does not say."""
        self._look()
        return self._epoch

    def set_up(self) -> None:
        """To be called by whoever runs setup: it may have been run because the index is another one now."""
        self._database.set_state(_SET_UP, uuid.uuid4().bytes)
        self._looked_at = None

    def _look(self) -> None:
        """One thread looks again; for the others the last answer stands meanwhile, or each search would wait for a database
        that hangs. There is none before the first look, so that one is waited for."""
        lock = self._lock
        if self._is_fresh() or not lock.acquire(blocking=not self._has_looked):
            return
        try:
            if not self._is_fresh():
                self._ask()
        finally:
            lock.release()

    def _is_fresh(self) -> bool:
        looked_at = self._looked_at
        return looked_at is not None and self._monotonic() - looked_at < _LOOK_AGAIN

    def _ask(self) -> None:
        try:
            since = self.since()
            self._epoch = (since, self._database.state(_SET_UP))
        except TransientError:
            since = None
        self._is_on = since is not None
        self._looked_at = self._monotonic()  # after it: an answer may take longer than it is believed
        self._has_looked = True

    def _mark(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self._database.state(_STATE) or b"null")
        return found

    def _store(self, mark: dict[str, Any] | None) -> None:
        self._database.set_state(_STATE, json.dumps(mark).encode())
        self._looked_at = None

    def making(self) -> str:
        """Which making of the index this is, asked anew: it changes with every setup and every index that is to be rebuilt."""
        mark, set_up = self._mark(), self._database.state(_SET_UP) or b""
        return f"{set_up.hex()}/{'' if mark is None else mark['since']}"


def _is_one_known(rows: Sequence[Cells], waiting: Waiting) -> bool:
    """Whether one of them waits no more; when not all that waits was read, it has to be older than that."""
    oldest = waiting.oldest_filed_at or 0
    return any(row.id not in waiting.items and (waiting.exact or row.version < oldest) for row in rows)
