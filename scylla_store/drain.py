"""The drain: outbox rows that are due go to the workers again. Celery messages may all be lost; this brings them back."""

from __future__ import annotations

import enum
import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence

from scylla_store.broker_data import note_mark
from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Database
from scylla_store.dispatch import Dispatcher
from scylla_store.errors import BrokerUnavailable
from scylla_store.failures import held_up
from scylla_store.intents import Bookkeeping, Entry, Kind, Ref
from scylla_store.settings.options import Settings
from scylla_store.summary import DrainSummary, store_summary

log = logging.getLogger(__name__)

LEASE = "drain"
_SUMMARY_ROWS = 10_000
_END_OF_TIME = 2**62
_RECENT = 60.0


class Scope(enum.Enum):
    """Which rows a drain takes: those that are due, also those that nobody dispatched yet, or all."""

    DUE = enum.auto()
    NEW = enum.auto()
    ALL = enum.auto()


class Drain:
    """Dispatches what is due, at most `sync.drain_limit` rows a run, nothing while the queue is long.

    Half of each run belongs to rows that came due within the last minute, as far as there are any: a backlog of a day does
    not delay a new write whose own task was lost. The rest is taken oldest first.

    Args:
        alone: no other process can drain the same outbox (the owner of an embedded index), so no lease is taken.
    """

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        settings: Settings,
        clock: Clock,
        check_clock: Callable[[], None],
        *,
        alone: bool = False,
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._settings = settings
        self._clock = clock
        self._check_clock = check_clock
        self._alone = alone
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"

    def run(self, scope: Scope = Scope.DUE) -> DrainSummary | None:
        """One drain; None when another process is at it.

        Raises:
            ClockSkew: this machine's clock is too far off to say what is due.
        """
        self._check_clock()
        if self._alone:
            return self._run(scope)
        if not self._database.lease(LEASE, self._owner, max(60.0, 3 * self._settings.celery.drain_interval)):
            return None
        try:
            summary = self._run(scope)
            store_summary(self._database, summary)
            return summary
        finally:
            self._database.release(LEASE, self._owner)

    def _run(self, scope: Scope) -> DrainSummary:
        now = self._clock()
        backlog, room = self._room()
        was_emptied = backlog is not None and self._was_emptied(now)
        outgoing = _Outgoing(self._dispatcher, self._database)

        def push(entries: Sequence[Entry]) -> Sequence[Bookkeeping] | None:
            """What it returns is stored before it is called again: only then these refs go."""
            outgoing.send()
            if outgoing.is_full:
                return None
            groups = self._groups([entry for entry in entries if _is_taken(entry, scope, now)])
            return [self._pushed(entry) for group in outgoing.take(groups) for entry in group]

        if room > 0:
            horizon = now if scope is Scope.DUE else _END_OF_TIME
            limit = self._settings.sync.drain_limit
            pushed = 0
            if scope is not Scope.ALL:  # which takes what was just dispatched once more
                outgoing.allow(room // 2)
                pushed = self._database.outbox.sweep(horizon, limit // 2, push, since=now - self._recent()).pushed
                outgoing.send()
            outgoing.allow(room - outgoing.tasks)
            self._database.outbox.sweep(horizon, limit - pushed, push)
            outgoing.send()
        seen = self._database.outbox.summary(_SUMMARY_ROWS)
        return DrainSummary(
            now,
            seen.pending,
            seen.retrying,
            seen.oldest_filed_at,
            seen.exact,
            outgoing.sent,
            backlog,
            seen.due,
            was_emptied,
        )

    def _room(self) -> tuple[int | None, int]:
        """How many tasks wait, and how many more may be sent: none while the broker does not say how many wait."""
        try:
            backlog = self._dispatcher.backlog()
        except BrokerUnavailable as exc:
            log.warning("The drain dispatches nothing: %s", exc)
            return None, 0
        return backlog, max(0, self._settings.sync.max_queue - (backlog or 0))

    def _was_emptied(self, now: int) -> bool:
        """Whether the broker lost its data since the last drain, as far as it can tell. The rows come due by themselves."""
        ask: Callable[[], str | None] | None = getattr(self._dispatcher, "mark", None)
        mark = None if ask is None else ask()
        if mark is None or not note_mark(self._database, mark, now):
            return False
        log.warning(
            "The broker has lost its data: tasks in flight were lost; the outbox sends them again within %g s",
            dispatch_lifetime(self._settings),
        )
        return True

    def _recent(self) -> int:
        """Microseconds: a minute, or some drains where they come less often, so that each row is met while it is recent."""
        return int(max(_RECENT, 3 * self._settings.celery.drain_interval) * SECOND)

    def _groups(self, entries: Sequence[Entry]) -> list[list[Entry]]:
        """One task each. Suspects go alone, so that they take no other with them."""
        suspects = [[entry] for entry in entries if is_suspect(entry)]
        others = [entry for entry in entries if not is_suspect(entry)]
        size = self._settings.publisher.batch_size
        return [others[start : start + size] for start in range(0, len(others), size)] + suspects

    def _pushed(self, entry: Entry) -> Bookkeeping:
        """The next attempt lies past the longest wait and run of this dispatch, which expires before that."""
        later = self._clock() + int(dispatch_lifetime(self._settings) * SECOND)
        return Bookkeeping(entry.intent.key, later, entry.attempts, entry.error, entry.first_failed_at)


class _Outgoing:
    """Groups of entries on their way to the broker, one task each.

    They are sent only when their push is stored: a push that comes later would overwrite the attempt that a fast worker
    has counted by then.
    """

    def __init__(self, dispatcher: Dispatcher, database: Database) -> None:
        self._dispatcher = dispatcher
        self._database = database
        self._room = 0
        self._is_stopped = False
        self._groups: list[list[Entry]] = []
        self.tasks = 0
        self.sent = 0

    def allow(self, room: int) -> None:
        """From now on so many tasks may be taken, unless the broker has stopped taking them."""
        self._room = 0 if self._is_stopped else room

    @property
    def is_full(self) -> bool:
        return self._room <= 0

    def take(self, groups: list[list[Entry]]) -> list[list[Entry]]:
        """Keeps as many as there is room for, and returns them."""
        taken = groups[: self._room]
        self._room -= len(taken)
        self._groups += taken
        return taken

    def send(self) -> None:
        """Sends what was taken. What the broker does not take is due again, and there is room for nothing more."""
        try:
            while self._groups:
                refs = [Ref(entry.intent, entry.attempts, again=True) for entry in self._groups[0]]
                self._dispatcher.send(refs, str(uuid.uuid4()))
                self.tasks += 1
                self.sent += len(self._groups.pop(0))
        except BrokerUnavailable as exc:
            log.warning("The drain stops, the broker does not take tasks: %s", exc)
            left = [entry for group in self._groups for entry in group]
            self._room, self._groups, self._is_stopped = 0, [], True
            self._database.outbox.update(
                [
                    Bookkeeping(
                        entry.intent.key, entry.next_attempt, entry.attempts, entry.error, entry.first_failed_at
                    )
                    for entry in left
                ]
            )


def dispatch_lifetime(settings: Settings) -> float:
    """Seconds after which a dispatched ref is dispatched again: as long in the queue as a run may take, and the run."""
    return 2 * settings.sync.time_limit


def is_suspect(entry: Entry) -> bool:
    """Whether it may have killed its worker (it was attempted and left neither outcome nor error) or held up its task."""
    return bool(entry.attempts and entry.error is None) or held_up(entry.error)


def _is_taken(entry: Entry, scope: Scope, now: int) -> bool:
    if entry.intent.kind is Kind.EXPIRY and entry.intent.key.due > now:
        return False
    is_new = entry.next_attempt == entry.intent.key.due and not entry.attempts
    return scope is Scope.ALL or entry.next_attempt <= now or (scope is Scope.NEW and is_new)
