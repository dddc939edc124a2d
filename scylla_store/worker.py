"""What surrounds the sync protocol: attempts, delays, dead letters. The same for a Celery task and the in-process executor."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scylla_store.clock import SECOND, VersionClock
from scylla_store.database.base import Database
from scylla_store.dispatch import Dispatcher
from scylla_store.drain import is_suspect
from scylla_store.errors import (
    BrokerUnavailable,
    DamagedRow,
    DocumentFailed,
    EmbedderTimeout,
    EmbeddingOvertime,
    TransientError,
)
from scylla_store.failures import Failure
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Bookkeeping, Entry, IntentKey, Kind, Ref, new_intent
from scylla_store.jobs import NO_WRITE, Failed, Outcome, write_id_of
from scylla_store.letters import DeadLetter
from scylla_store.monitoring import tagged
from scylla_store.retries import backoff, is_outage
from scylla_store.rows import Cells, unstamp
from scylla_store.settings.options import SyncSettings
from scylla_store.sync import Sync

log = logging.getLogger(__name__)

_MAY_BE_RENAMED = (Kind.REPAIR, Kind.REPLAY, Kind.AGAIN)
"""What is filed beside the write of the row, which has intents of its own until it is indexed."""

_LATE = Failure.of(EmbeddingOvertime("There was no time left for it beside others: it goes alone the next time"))


@dataclass
class WorkReport:
    """What one task did. `retry` holds refs that a short retry may help; the outbox has them too.

    `found` has the errors that the outbox had, `kept` those among them and of this task that no wait overwrites.
    """

    acked: int = 0
    waiting: int = 0
    dead: int = 0
    embedded: int = 0
    retry: list[Ref] = field(default_factory=list)
    error: str | None = None
    postpone: int = field(default=0, repr=False)
    deadline: int = field(default=0, repr=False)
    found: dict[IntentKey, str | None] = field(default_factory=dict, repr=False)
    kept: dict[IntentKey, str | None] = field(default_factory=dict, repr=False)

    def error_of_wait(self, key: IntentKey, error: str | None) -> str | None:
        """What the outbox says of a ref that waits because of `error`: what was there before, when that says more."""
        return self.kept.get(key, error or self.found.get(key))


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
        check_clock: Callable[[], None],
    ) -> None:
        self._sync = sync
        self._database = database
        self._clock = clock
        self._settings = settings
        self._random = random
        self._check_clock = check_clock

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

        Nothing is done while this machine's clock is too far off to say what has expired: `report.error` says so.
        """
        report = WorkReport(postpone=_micro(postpone), deadline=self._clock.now() + _micro(self._settings.time_limit))
        refs = list(refs)
        if redelivered and len(refs) > 1 and dispatcher is not None:
            self._send_alone(refs, dispatcher)
            report.waiting = len(refs)
            return report
        try:
            self._check_clock()
            refs = self._count_attempts(refs, redelivered, report)
        except Exception as exc:
            if not is_outage(exc):
                raise
            self._leave(refs, exc, report)
            return report
        try:
            outcome = self._sync.run(refs, deadline=report.deadline)
        except Exception as exc:
            if not is_outage(exc):
                raise
            self._delay(refs, exc, report)
            return report
        report.acked += len(outcome.acked)
        report.waiting += len(outcome.waiting)
        report.embedded += outcome.embedded
        self._give_back(refs, outcome, report)
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
        first = [ref for ref in refs if not (ref.again or redelivered)]
        counted = [ref for ref in refs if ref.again or redelivered]
        if not counted:
            return refs
        entries = self._database.outbox.get([ref.intent.key for ref in counted])
        report.found = {key: entry.error for key, entry in entries.items()}
        report.kept = {key: entry.error for key, entry in entries.items() if self._is_kept(entry)}
        counted = [
            replace(ref, attempts=entries[ref.intent.key].attempts, again=True)
            for ref in counted
            if ref.intent.key in entries
        ]
        spent = [ref for ref in counted if ref.attempts >= self._settings.max_attempts]
        for ref in spent:
            reason = entries[ref.intent.key].error or "its worker died every time, without an error"
            failure = Failure.of(DocumentFailed(f"Given up after {ref.attempts} attempts: {reason}"))
            spent_ref = replace(ref, attempts=ref.attempts + 1)  # which an outage takes back
            self._bury(ref.intent.item, [spent_ref], Failed(failure, ref.intent.write_id), report, ref.attempts)
        counted = [ref for ref in counted if ref not in spent]
        if redelivered:
            counted = self._put_off(counted, entries, report)
        counted = [replace(ref, attempts=ref.attempts + 1) for ref in counted]
        if counted:
            self._database.outbox.update([self._attempting(ref, entries[ref.intent.key]) for ref in counted])
        return first + counted

    def _is_kept(self, entry: Entry) -> bool:
        """Whether its error says more than that of a wait that comes now: why it goes alone, or why it is given up."""
        return is_suspect(entry) or entry.attempts >= self._settings.max_attempts

    def _put_off(self, refs: list[Ref], entries: Mapping[IntentKey, Entry], report: WorkReport) -> list[Ref]:
        """What killed a worker alone waits as after any failure, or it would kill one after another; returns the others."""
        deadly = [ref for ref in refs if ref.attempts and entries[ref.intent.key].error is None]
        now = self._clock.now()
        for ref in deadly:
            delay = _micro(backoff(ref.attempts, self._settings.backoff, self._settings.backoff_most, self._random))
            log.warning(
                "Item %s seems to have killed its worker, attempt %d.", item_digest(ref.intent.item), ref.attempts
            )
            self._note([ref], now + delay, None, report, first_failed_at=now)
        report.waiting += len(deadly)
        return [ref for ref in refs if ref not in deadly]

    def _attempting(self, ref: Ref, entry: Entry) -> Bookkeeping:
        """Again when this run must have ended, should it die. No error: an entry with attempts and without error died in
        a worker's hands, and goes alone the next time."""
        pushed = self._clock.now() + _micro(self._settings.time_limit)
        return Bookkeeping(ref.intent.key, pushed, ref.attempts, None, entry.first_failed_at)

    def _leave(self, refs: list[Ref], exc: Exception, report: WorkReport) -> None:
        """Nothing was begun and nothing is noted: the caller's short retry or the drain comes back."""
        log.warning("Indexing of %d refs did not begin: %s", len(refs), exc)
        report.error = Failure.of(exc).message
        report.waiting += len(refs)
        report.retry += refs

    def _delay(self, refs: list[Ref], exc: Exception, report: WorkReport) -> None:
        """An outage: tried again later, and the attempt that was counted is given back."""
        log.warning("Indexing of %d refs is delayed: %s", len(refs), exc)
        report.error = Failure.of(exc).message
        report.waiting += len(refs)
        own = [replace(ref, attempts=max(0, ref.attempts - 1) if ref.again else ref.attempts) for ref in refs]
        delay = _micro(self._settings.outage_delay * (0.5 + self._random()))
        self._try_later(own, delay, report, first_failed_at=None, at_once=not isinstance(exc, EmbedderTimeout))

    def _give_back(self, refs: list[Ref], outcome: Outcome, report: WorkReport) -> None:
        """What could not be decided yet comes back soon, and was no attempt; left as it is, it would look like a death."""
        done = {ref.intent.key for ref in outcome.acked}
        left = [ref for ref in refs if ref.intent.key not in done and ref.intent.item not in outcome.failures]
        left = [replace(ref, attempts=ref.attempts - 1) if ref.again else ref for ref in left]
        late = [ref for ref in left if ref.intent.item in outcome.late]
        others = [ref for ref in left if ref.again and ref.intent.item not in outcome.late]
        later = self._clock.now() + _micro(self._settings.backoff)
        if late:
            report.error = _LATE.message
            self._note(late, later, report.error, report, first_failed_at=None)
        if others:
            self._note(others, later, None, report, first_failed_at=None)

    def _judge(self, refs: list[Ref], outcome: Outcome, report: WorkReport) -> None:
        """Each failure: a dead letter, or another attempt later."""
        now = self._clock.now()
        for item, failed in outcome.failures.items():
            own = [ref for ref in refs if ref.intent.item == item]
            attempts = max(ref.attempts if ref.again else ref.attempts + 1 for ref in own)
            message = report.error = failed.failure.message
            log.warning("Indexing item %s failed, attempt %d: %s", item_digest(item), attempts, message)
            own = [replace(ref, attempts=attempts, again=True) for ref in own]
            report.kept |= {ref.intent.key: message for ref in own}
            if failed.failure.is_permanent or attempts >= self._settings.max_attempts:
                self._bury(item, own, failed, report, attempts)
                continue
            delay = _micro(backoff(attempts, self._settings.backoff, self._settings.backoff_most, self._random))
            self._try_later(own, delay, report, first_failed_at=now)

    def _try_later(
        self, refs: list[Ref], delay: int, report: WorkReport, *, first_failed_at: int | None, at_once: bool = True
    ) -> None:
        """Hands the refs to the caller's short retry, and tells the outbox when to try again and why.

        Not `at_once`: they were in a call of the embedder that did not end; the drain will send each alone.
        When the outbox cannot be told, the drain comes back on its own.
        """
        report.retry += refs if at_once else []
        later = self._clock.now() + max(delay, report.postpone if at_once else 0)
        self._note(refs, later, report.error, report, first_failed_at=first_failed_at)

    def _note(
        self, refs: list[Ref], later: int, error: str | None, report: WorkReport, *, first_failed_at: int | None
    ) -> None:
        """Without `first_failed_at` it is a wait, which overwrites nothing that is to be kept."""
        try:
            entries = self._database.outbox.get([ref.intent.key for ref in refs])
            self._database.outbox.update(
                [
                    Bookkeeping(
                        ref.intent.key,
                        later,
                        ref.attempts,
                        error if first_failed_at is not None else report.error_of_wait(ref.intent.key, error),
                        entry.first_failed_at or first_failed_at,
                    )
                    for ref in refs
                    if (entry := entries.get(ref.intent.key)) is not None
                ]
            )
        except TransientError as exc:
            log.warning(
                "The outbox could not be told of %d refs, so the drain comes back on its own: %s", len(refs), exc
            )

    def _bury(self, item: ItemId, refs: list[Ref], failed: Failed, report: WorkReport, attempts: int) -> None:
        """An anchor instead of the points (so that `count` sees the item), the letter, and only then the acknowledgement.

        All of it is for the write that failed. When a newer one has come, its attempts are counted anew.
        """
        try:
            outcome = self._sync.run(refs, deadline=report.deadline, dead=failed.write_id)
            report.acked += len(outcome.acked)
            if outcome.acked:
                return  # it has expired meanwhile: there was nothing to embed
            cells = self._database.read([item], body=False).get(item)
            if write_id_of(cells) != failed.write_id:
                self._begin_anew(refs, cells, report)
            elif item in outcome.anchored or item in outcome.failures:
                self._write_letter(item, refs, failed, cells, report, attempts)
            else:
                report.waiting += len(refs)
                refs = [replace(ref, attempts=attempts) for ref in refs]
                self._try_later(refs, _micro(self._settings.backoff), report, first_failed_at=None)
        except Exception as exc:
            if not is_outage(exc):
                raise
            self._delay(refs, exc, report)

    def _begin_anew(self, refs: list[Ref], cells: Cells | None, report: WorkReport) -> None:
        report.error = None
        for ref in refs:
            report.found.pop(ref.intent.key, None)
            report.kept.pop(ref.intent.key, None)
        refs = [replace(self._named(ref, cells), attempts=0, again=True) for ref in refs]
        self._try_later(refs, _micro(self._settings.backoff), report, first_failed_at=None)

    def _named(self, ref: Ref, cells: Cells | None) -> Ref:
        """The ref, under an intent that names the write that is there now.

        A repair names none, so what it brings could kill one worker after another and never be the write that is given up.
        """
        kind, write_id = ref.intent.kind, write_id_of(cells)
        if cells is None or write_id in (NO_WRITE, ref.intent.write_id) or kind not in _MAY_BE_RENAMED:
            return ref
        now = self._clock.now()
        due = now + _micro(self._settings.backoff)
        intent = new_intent(cells.id, write_id, cells.version, kind, now=now, due=due, shard=ref.intent.key.shard)
        self._database.outbox.file([intent])
        self._database.outbox.ack([ref.intent.key])
        return Ref(intent)

    def _write_letter(
        self, item: ItemId, refs: list[Ref], failed: Failed, cells: Cells | None, report: WorkReport, attempts: int
    ) -> None:
        letter = self._letter(item, refs, failed, cells, attempts)
        self._database.bury(letter)
        after = self._database.read([item], body=False).get(item)
        if write_id_of(after) != failed.write_id:
            # A newer write came meanwhile and may have been indexed before it could see this letter.
            self._database.exhume([(item, letter.timestamp)])
        self._database.outbox.ack([ref.intent.key for ref in refs])
        report.dead += 1
        with tagged(reason=letter.reason, item=letter.id, attempts=letter.attempts):
            log.error("Item %s is a dead letter now: %s", letter.id, letter.message)

    def _letter(self, item: ItemId, refs: list[Ref], failed: Failed, cells: Cells | None, attempts: int) -> DeadLetter:
        """Goes on where an earlier letter of the same write ended: a replay that fails neither hides when it began, nor
        undoes that somebody gave it up."""
        now = self._clock.version()
        entries = self._database.outbox.get([ref.intent.key for ref in refs])
        write_id = failed.write_id or refs[0].intent.write_id
        earlier = self._database.letter(item_digest(item))
        if earlier is not None and earlier.write_id != write_id:
            earlier = None
        failures = [entry.first_failed_at or now for entry in entries.values()]
        return DeadLetter(
            id=item_digest(item),
            item=item,
            write_id=write_id,
            version=None if cells is None or cells.head is None else cells.version,
            reason=failed.failure.reason,
            message=failed.failure.message,
            attempts=attempts + (earlier.attempts if earlier else 0),
            first_failed_at=earlier.first_failed_at if earlier else min(failures, default=now),
            last_failed_at=now,
            timestamp=max(now, _timestamp_of_letter(cells) + 1),
            discarded=earlier is not None and earlier.discarded,
        )


def _timestamp_of_letter(cells: Cells | None) -> int:
    """When the item's earlier letter was written; 0 when there is none, or only what cannot be decoded."""
    if cells is None or cells.letter is None:
        return 0
    try:
        return unstamp(cells.letter, cells.id)[1]
    except DamagedRow:
        return 0


def _micro(seconds: float) -> int:
    return int(seconds * SECOND)
