"""What surrounds the sync protocol: attempts, delays, dead letters. The same for a Celery task and the in-process executor."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from scylla_store.clock import SECOND, VersionClock
from scylla_store.database.base import Database
from scylla_store.dispatch import Dispatcher
from scylla_store.errors import BrokerUnavailable, DocumentFailed, TransientError
from scylla_store.failures import Failure
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Bookkeeping, Entry, Ref
from scylla_store.letters import DeadLetter
from scylla_store.retries import backoff, is_outage
from scylla_store.rows import Cells, unstamp
from scylla_store.settings.options import SyncSettings
from scylla_store.sync import Outcome, Sync

log = logging.getLogger(__name__)


@dataclass
class WorkReport:
    """What one task did. `retry` holds refs that a short retry may help; the outbox has them too."""

    acked: int = 0
    waiting: int = 0
    dead: int = 0
    embedded: int = 0
    retry: list[Ref] = field(default_factory=list)
    error: str | None = None
    postpone: int = field(default=0, repr=False)


class Worker:
    """Runs refs through the protocol and decides what their failures mean.

    An outage (index, embedder or database unavailable) is a delay of all refs and costs no attempt. Any other failure is
    an attempt of the document, written to its outbox row; a permanent one, or the last attempt, ends in a dead letter.
    """

    def __init__(
        self,
        sync: Sync,
        database: Database,
        clock: VersionClock,
        settings: SyncSettings,
        random: Callable[[], float],
    ) -> None:
        self._sync = sync
        self._database = database
        self._clock = clock
        self._settings = settings
        self._random = random

    def work(
        self,
        refs: Sequence[Ref],
        *,
        redelivered: bool = False,
        dispatcher: Dispatcher | None = None,
        postpone: float = 0.0,
    ) -> WorkReport:
        """Brings the refs to the index.

        Args:
            refs: what a task carries.
            redelivered: the broker delivered this task before, so it may have killed a worker.
            dispatcher: where the refs of a redelivered task are sent one by one, so that a document that kills its
                worker takes no other with it.
            postpone: seconds that the outbox waits at least before it tries again what failed, because the caller tries
                `report.retry` before that.
        """
        report = WorkReport(postpone=_micro(postpone))
        refs = list(refs)
        if redelivered and len(refs) > 1 and dispatcher is not None:
            self._send_alone(refs, dispatcher)
            report.waiting = len(refs)
            return report
        refs = self._count_attempts(refs, redelivered, report)
        if not refs:
            return report
        try:
            outcome = self._sync.run(refs)
        except Exception as exc:
            if not is_outage(exc):
                raise
            self._delay(refs, exc, report)
            return report
        report.acked += len(outcome.acked)
        report.waiting += len(outcome.waiting)
        report.embedded += outcome.embedded
        self._judge(refs, outcome, report)
        return report

    def _send_alone(self, refs: list[Ref], dispatcher: Dispatcher) -> None:
        for ref in refs:
            try:
                dispatcher.send([replace(ref, again=True)], str(uuid.uuid4()))
            except BrokerUnavailable as exc:
                log.warning("A redelivered task could not be split, its documents wait in the outbox: %s", exc)
                return

    def _count_attempts(self, refs: list[Ref], redelivered: bool, report: WorkReport) -> list[Ref]:
        """Counts an attempt before it is made, for whatever is delivered again; leaves out what was acknowledged meanwhile."""
        counted = [ref for ref in refs if ref.again or redelivered]
        if not counted:
            return refs
        entries = self._database.outbox.get([ref.intent.key for ref in counted])
        counted = [
            replace(ref, attempts=entries[ref.intent.key].attempts, again=True)
            for ref in counted
            if ref.intent.key in entries
        ]
        spent = [ref for ref in counted if ref.attempts >= self._settings.max_attempts]
        for ref in spent:
            known = entries[ref.intent.key].error
            reason = known or "its worker died every time, without an error"
            failure = Failure.of(DocumentFailed(f"Given up after {ref.attempts} attempts: {reason}"))
            self._bury(ref.intent.item, [ref], failure, report, ref.attempts)
        counted = [replace(ref, attempts=ref.attempts + 1) for ref in counted if ref not in spent]
        self._database.outbox.update([self._attempting(ref, entries[ref.intent.key]) for ref in counted])
        return [ref for ref in refs if not (ref.again or redelivered)] + counted

    def _attempting(self, ref: Ref, entry: Entry) -> Bookkeeping:
        """No error: an entry with attempts and without error died in a worker's hands, and goes alone the next time."""
        pushed = max(entry.next_attempt, self._clock.now() + _micro(self._settings.time_limit))
        return Bookkeeping(ref.intent.key, pushed, ref.attempts, None, entry.first_failed_at)

    def _delay(self, refs: list[Ref], exc: Exception, report: WorkReport) -> None:
        """An outage: tried again later, and the attempt that was counted is given back."""
        log.warning("Indexing of %d refs is delayed: %s", len(refs), exc)
        report.error = Failure.of(exc).message
        report.waiting += len(refs)
        report.retry += [replace(ref, attempts=max(0, ref.attempts - 1) if ref.again else ref.attempts) for ref in refs]
        delay = _micro(self._settings.outage_delay * (0.5 + self._random()))
        later = self._clock.now() + max(delay, report.postpone)
        try:
            self._database.outbox.update(self._failed(report.retry, later, report.error, first_failed_at=None))
        except TransientError as also:
            log.warning("The outbox could not be told either, so the drain comes back on its own: %s", also)

    def _judge(self, refs: list[Ref], outcome: Outcome, report: WorkReport) -> None:
        """Each failure: a dead letter, or another attempt later."""
        now = self._clock.now()
        updates = []
        for item, failure in outcome.failures.items():
            own = [ref for ref in refs if ref.intent.item == item]
            attempts = max(ref.attempts if ref.again else ref.attempts + 1 for ref in own)
            report.error = failure.message
            log.warning("Indexing item %s failed, attempt %d: %s", item_digest(item), attempts, failure.message)
            if failure.is_permanent or attempts >= self._settings.max_attempts:
                self._bury(item, own, failure, report, attempts)
                continue
            delay = _micro(backoff(attempts, self._settings.backoff, self._settings.backoff_most, self._random))
            own = [replace(ref, attempts=attempts, again=True) for ref in own]
            report.retry += own
            updates += self._failed(own, now + max(delay, report.postpone), report.error, first_failed_at=now)
        if updates:
            self._database.outbox.update(updates)

    def _failed(self, refs: list[Ref], later: int, error: str, *, first_failed_at: int | None) -> list[Bookkeeping]:
        entries = self._database.outbox.get([ref.intent.key for ref in refs])
        return [
            Bookkeeping(ref.intent.key, later, ref.attempts, error, entry.first_failed_at or first_failed_at)
            for ref in refs
            if (entry := entries.get(ref.intent.key)) is not None
        ]

    def _bury(self, item: ItemId, refs: list[Ref], failure: Failure, report: WorkReport, attempts: int) -> None:
        """An anchor instead of the points (so that `count` sees the item), the letter, and only then the acknowledgement."""
        try:
            anchored = self._sync.run(refs, anchor_only=True, ack=False)
        except Exception as also:
            if not is_outage(also):
                raise
            self._delay(refs, also, report)
            return
        if anchored.waiting:
            report.waiting += len(refs)
            return
        before = self._database.read([item], body=False).get(item)
        letter = self._letter(item, refs, failure, before, attempts)
        self._database.bury(letter)
        after = self._database.read([item], body=False).get(item)
        if _write_id(before) != _write_id(after):
            # A newer write came meanwhile and may have been indexed before it could see this letter.
            self._database.exhume([(item, letter.timestamp)])
        self._database.outbox.ack([ref.intent.key for ref in refs])
        report.dead += 1
        log.error("Item %s is a dead letter now: %s", letter.id, letter.message)

    def _letter(
        self, item: ItemId, refs: list[Ref], failure: Failure, cells: Cells | None, attempts: int
    ) -> DeadLetter:
        now = self._clock.version()
        entries = self._database.outbox.get([ref.intent.key for ref in refs])
        previous = 0 if cells is None or cells.letter is None else unstamp(cells.letter, item)[1]
        return DeadLetter(
            id=item_digest(item),
            item=item,
            write_id=_write_id(cells) or refs[0].intent.write_id,
            version=None if cells is None or cells.head is None else cells.version,
            reason=failure.reason,
            message=failure.message,
            attempts=attempts,
            first_failed_at=min((entry.first_failed_at or now for entry in entries.values()), default=now),
            last_failed_at=now,
            timestamp=max(now, previous + 1),
        )


def _write_id(cells: Cells | None) -> bytes | None:
    """The head's write id, without decoding the rest: a damaged row has a letter too."""
    return None if cells is None or cells.head is None else cells.head[:16]


def _micro(seconds: float) -> int:
    return int(seconds * SECOND)
