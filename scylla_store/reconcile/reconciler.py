"""Reconciliation: compares all points with the rows and all rows with their points, and files what has to be repaired.

It writes neither points nor rows: a repair is an intent, and the sync protocol carries it out as it does every other.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from scylla_store.clock import SECOND, VersionClock
from scylla_store.database.base import Database
from scylla_store.errors import LeaseLost, StoreError
from scylla_store.forks import follow
from scylla_store.index.base import Index
from scylla_store.monitoring import Metrics
from scylla_store.points import Recipe
from scylla_store.reconcile.announcing import announce
from scylla_store.reconcile.balance import Balance
from scylla_store.reconcile.collector import sparing_collector
from scylla_store.reconcile.looks import Looks
from scylla_store.reconcile.pace import Pace
from scylla_store.reconcile.progress import Progress, teller
from scylla_store.reconcile.rebuild import Rebuild
from scylla_store.reconcile.repairs import file_repairs
from scylla_store.reconcile.rounds import END, ReconcileReport, Reports, Round
from scylla_store.reconcile.steps import Steps
from scylla_store.registry import Registry
from scylla_store.settings.options import Settings

log = logging.getLogger(__name__)

LEASE = "reconcile"
LEASE_TIME = 20.0
"""Seconds. It is prolonged at every step, and a killed reconciliation is taken over after this time."""

RESUME_WITHIN = 3600 * SECOND
"""An interrupted reconciliation is gone on with when its last step is not older; else it says too little about now."""

_INTERVALS = 2.5
"""Beat's goes on for as many intervals as well, if that is longer: one of its pieces may be lost."""

_AGING = 60 * SECOND
"""So old a round that waits is stored anew: an embedded store asks all the time whether it may go on."""

_POLL = 0.5


class Reconciler:
    """Runs rounds: whole ones for whoever asks, and piece by piece for beat.

    Args:
        sleep, monotonic: for the pace, and for waiting until another one is through.
        reads_ahead: the next pages are read in other threads while one is compared.
        metrics: told what each round found; None: nobody is.
    """

    def __init__(
        self,
        database: Database,
        index: Index,
        recipe: Recipe,
        registry: Registry,
        settings: Settings,
        clock: VersionClock,
        check_clock: Callable[[], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        reads_ahead: bool = True,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._index = index
        self._registry = registry
        self._settings = settings.reconcile
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        self._clock = clock.now
        self._check_clock = check_clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._reads_ahead = reads_ahead
        self._metrics = metrics
        self._looks = Looks(database, index, recipe, settings, self._clock)
        self._rebuild = Rebuild(database, self._clock, monotonic)
        self._reports = Reports(database, self._settings.reports)
        self._name = f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}"
        self.after_fork()
        follow(self)

    def after_fork(self) -> None:
        """Begins without a round: one that is under way is the parent's, and so is its lease."""
        self._held_until = 0.0
        self._balance: Balance | None = None
        self._busy = threading.Lock()

    def run(
        self,
        *,
        full: bool = False,
        dry_run: bool = False,
        max_rate: float | None = None,
        patience: float = 2 * LEASE_TIME,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> ReconcileReport:
        """One whole round, or the rest of an interrupted one that was asked for in the same way.

        Args:
            full: chunks and tokens are worked out anew too, and nothing slows it down but `max_rate`.
            dry_run: nothing is changed anywhere: no repairs, no position, no report.
            max_rate: items a second; None: that of the settings, for a full one none.
            patience: seconds to wait while another reconciliation is at work.
            on_progress: told after every step.

        Raises:
            LeaseLost: another reconciliation is at work.
            TransientError: a dependency is not available; the next call goes on where this one stopped.
        """
        rate = max_rate if max_rate is not None or full else self._settings.max_rate
        told = teller(on_progress, self._reports)
        if dry_run:
            return self._compared(full, rate, told)
        self._wait_for_lease(patience)
        with self._released(), sparing_collector():
            walk = self._resumed("call", full=full)
            with closing(self._steps(walk, rate, self._balance_of(walk))) as steps:
                while walk.phase != END:
                    self._take(walk, steps)
                    told(walk)
            return self._end(walk)

    def _compared(self, full: bool, rate: float | None, told: Callable[[Round], None]) -> ReconcileReport:
        """A round that leaves no trace."""
        walk = Round.new(by="call", full=full, dry_run=True, now=self._clock())
        with closing(self._steps(walk, rate, Balance(walk))) as steps, sparing_collector():
            while walk.phase != END:
                steps.take()
                told(walk)
        return walk.report(self._clock())

    def go_on(self, seconds: float) -> ReconcileReport | None:
        """Beat's piece: at most about so many seconds of the round at hand; its report when it has ended by then.

        Nothing happens while another reconciliation is at work, or while so much waits in the outbox that most of what
        differs is only late. To wait makes a round no older: it is gone on with afterwards.
        """
        if self._database.outbox.summary(self._settings.max_pending).pending >= self._settings.max_pending:
            log.info("The reconciliation waits: %d or more writes are pending.", self._settings.max_pending)
            self._keep("beat")
            return None
        if not self._begin():
            return None
        with self._released(), sparing_collector():
            end = self._monotonic() + seconds
            walk = self._resumed("beat", full=False)
            with closing(self._steps(walk, self._settings.max_rate, self._balance_of(walk))) as steps:
                while walk.phase != END:
                    self._take(walk, steps)
                    if self._monotonic() >= end:
                        break
            return self._end(walk) if walk.phase == END else None

    # -- a round and its lease

    @property
    def _owner(self) -> str:
        """Who holds the lease; a forked child is somebody else."""
        return f"{self._name}/{os.getpid()}"

    def _wait_for_lease(self, patience: float) -> None:
        deadline = self._monotonic() + patience
        while not self._begin():
            if self._monotonic() >= deadline:
                raise LeaseLost("Another reconciliation is at work; try again when it has ended")
            self._sleep(_POLL)

    def _begin(self) -> bool:
        """Whether nobody else is at it: no other thread of this process, no other process."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            taken = self._hold()
        except BaseException:
            self._busy.release()
            raise
        if not taken:
            self._busy.release()
        return taken

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Gives back what `_begin` took. A lease that cannot be given back ends by itself."""
        try:
            yield
        finally:
            self._held_until = 0.0
            try:
                self._database.release(LEASE, self._owner)
            except StoreError as exc:
                log.warning("The lease of the reconciliation was not given back, it ends in %s s: %s", LEASE_TIME, exc)
            finally:
                self._busy.release()  # not before: another thread would take the lease, and lose it here

    def _hold(self) -> bool:
        """Takes or prolongs the lease, when a third of it is gone."""
        now = self._monotonic()
        if now < self._held_until - LEASE_TIME * 2 / 3:
            return True
        if not self._database.lease(LEASE, self._owner, LEASE_TIME):
            return False
        self._held_until = now + LEASE_TIME
        return True

    def _resumed(self, by: str, *, full: bool) -> Round:
        """The stored round when it is of the same kind, of the index as it was made last, and under way; else a new one."""
        making, walk = self._rebuild.making(), self._under_way(by)
        if walk is None or (walk.full, walk.making) != (full, making):
            return Round.new(by=by, full=full, dry_run=False, now=self._clock(), making=making)
        walk.counts["resumed"] += by != "beat"
        self._file(walk)
        return walk

    def _under_way(self, by: str) -> Round | None:
        """The stored round if it is unfinished and recent; one of a clock that was ahead would be recent until that time has come."""
        stored = self._database.state(_name(by))
        walk = None if not stored else Round.from_json(stored)
        if walk is None or walk.phase == END:
            return None
        within = max(RESUME_WITHIN, _INTERVALS * self._settings.interval * SECOND) if by == "beat" else RESUME_WITHIN
        return walk if -2 * self._skew <= self._clock() - walk.updated_at <= within else None

    def _keep(self, by: str) -> None:
        """Stores a round that is under way as it is, once a minute; not while another reconciliation is at work."""
        if self._aging(by) is not None and self._begin():
            with self._released():
                self._check_clock()
                walk = self._aging(by)
                if walk is not None:
                    self._store(walk)

    def _aging(self, by: str) -> Round | None:
        walk = self._under_way(by)
        return walk if walk is not None and self._clock() - walk.updated_at >= _AGING else None

    def _balance_of(self, walk: Round) -> Balance | None:
        """Kept from one piece of a round to the next; held by whoever has the lease."""
        self._balance = Balance.of(walk, self._balance)
        return self._balance

    def _steps(self, walk: Round, rate: float | None, balance: Balance | None) -> Steps:
        pace = Pace(rate, self._sleep, self._monotonic)
        return Steps(
            walk, pace, self._database, self._index, self._registry, self._looks, self._clock, balance, reads_ahead=self._reads_ahead
        )  # fmt: skip

    def _take(self, walk: Round, steps: Steps) -> None:
        """One step, then its position with the repairs that are due, then the repairs: after a kill the step is repeated, or what was noted is filed."""
        if not self._hold():
            raise LeaseLost("Another reconciliation took over; this one stops")
        self._check_clock()
        steps.take()
        if walk.phase != END:  # the end is stored after the report; its step files nothing
            self._store(walk)
            self._file(walk)

    def _store(self, walk: Round) -> None:
        walk.updated_at = self._clock()
        self._database.set_state(_name(walk.by), walk.to_json())

    def _end(self, walk: Round) -> ReconcileReport:
        """Stores the report, then that the round is over: a kill in between tells it twice, never not at all."""
        report = walk.report(self._clock())
        self._reports.add(report)
        if not walk.counts["young"] and not report.is_partial:
            self._rebuild.compared(walk.started_at)
        self._store(walk)
        announce(report, self._metrics, threshold=self._settings.drift_threshold)
        return report

    def _file(self, walk: Round) -> None:
        """Files the repairs that were noted."""
        if walk.filing:
            file_repairs(self._database, walk.filing, self._clock())
            walk.filing = []


def _name(by: str) -> str:
    return f"reconcile.{by}"
