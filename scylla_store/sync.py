"""The sync protocol: brings a batch of items to the index, in any order, any number of times, with anybody else at work.

Steps are numbered as in docs/architecture.md, "The life of one put"; each is one request for all items of the batch.
Nothing here counts attempts or decides about failures: worker.py does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scylla_store import planning
from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Database, Mutation
from scylla_store.embedders.base import Embedder
from scylla_store.errors import StoreError
from scylla_store.failures import Failure
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import Index, Point, SeenPoint, Vector
from scylla_store.intents import IntentKey, Kind, Ref, new_intent
from scylla_store.points import Draft, Recipe, drafts, fingerprint
from scylla_store.retries import is_outage
from scylla_store.rows import Cells, Head, Row, decode, unstamp
from scylla_store.settings.options import Settings

log = logging.getLogger(__name__)

DELETED_TTL = 3600
"""Seconds that a deleted head stays: longer than clock skew and the longest run, or versions could go backwards."""

T = TypeVar("T")


@dataclass(eq=False)
class Job:
    """One item on its way through the protocol."""

    item: ItemId
    refs: list[Ref]
    anchor_only: bool = False
    digest: str = ""
    row: Row | None = None
    live: bool = False
    letter: bytes | None = None
    mark: str = ""
    target: list[Draft] = field(default_factory=list)
    seen: list[SeenPoint] = field(default_factory=list)
    plan: planning.Plan = field(default_factory=planning.Plan)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.digest = item_digest(self.item)

    @property
    def version(self) -> int:
        return 0 if self.row is None else self.row.version


@dataclass
class Outcome:
    """What became of the refs of one run. Those in neither list nor `failures` were left to the outbox."""

    acked: list[Ref] = field(default_factory=list)
    waiting: list[Ref] = field(default_factory=list)
    failures: dict[ItemId, Failure] = field(default_factory=dict)
    embedded: int = 0


class Sync:
    """Runs the protocol. Shared by Celery tasks, the in-process executor and the tests.

    Args:
        database, index, embedder: the collaborators; the embedder should be guarded (deadline, checked vectors).
        recipe: what points are made of.
        settings: the margins and bounds.
        clock: time in microseconds.
    """

    def __init__(
        self, database: Database, index: Index, embedder: Embedder, recipe: Recipe, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._index = index
        self._embedder = embedder
        self._recipe = recipe
        self._clock = clock
        self._margin = int(settings.sync.margin * SECOND)
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        self._backoff = int(settings.sync.backoff * SECOND)
        self._time_limit = int(settings.sync.time_limit * SECOND)
        self._restarts = settings.sync.restarts

    def run(self, refs: Iterable[Ref], *, anchor_only: bool = False, ack: bool = True) -> Outcome:
        """Brings the items of the refs to the index.

        Args:
            refs: any set, of any items.
            anchor_only: index the items by an anchor without vector, because their text cannot be embedded.
            ack: whether the intents are acknowledged at the end.

        Raises:
            TransientError: an outage of the database, the index or the embedder; nothing wrong was left behind, what
                was not acknowledged comes again.
        """
        deadline = self._clock() + self._time_limit
        jobs: dict[ItemId, Job] = {}
        for ref in refs:
            jobs.setdefault(ref.intent.item, Job(ref.intent.item, [], anchor_only)).refs.append(ref)
        outcome = Outcome()
        active = list(jobs.values())
        while active:
            active = self._pass(active, outcome, deadline, ack)
        return outcome

    def _pass(self, jobs: list[Job], outcome: Outcome, deadline: int, ack: bool) -> list[Job]:
        """Steps 0 to 9 for all jobs; returns those that have to start again."""
        t0 = self._clock()
        jobs = self._load(jobs, t0, outcome)
        jobs = self._look(jobs, t0, outcome)
        jobs = self._aim(jobs, outcome)
        done = [job for job in jobs if planning.is_indexed(job.seen, job.target)]
        todo = [job for job in jobs if job not in done]
        if todo and self._clock() > deadline:
            log.warning("A sync ran into its time limit; %d items are left to the outbox.", len(todo))
            todo = []
        again: list[Job] = []
        if todo:
            todo = self._apply(todo, outcome, deadline)
            verified, again = self._verify(todo, t0, outcome)
            done += verified
        self._clean_up(done, t0)
        self._finish(done, t0, outcome, ack)
        return self._may_restart(again)

    # -- steps 1 to 3: the row, then the points, then the row again when points look newer

    def _load(self, jobs: list[Job], t0: int, outcome: Outcome) -> list[Job]:
        """Step 1. Leaves out jobs whose write may still be on its way, and rows that cannot be decoded."""
        jobs = self._read_rows(jobs, t0, outcome)
        jobs = self._leave_young(jobs, t0, outcome)
        unsettled = [job for job in jobs if planning.needs_serial(job.refs, job.row)]
        if unsettled:
            settled = {id(job) for job in self._read_rows(unsettled, t0, outcome, serial=True)}
            jobs = [job for job in jobs if job not in unsettled or id(job) in settled]
        return jobs

    def _read_rows(self, jobs: list[Job], t0: int, outcome: Outcome, *, serial: bool = False) -> list[Job]:
        cells = self._database.read([job.item for job in jobs], serial=serial) if jobs else {}
        return [job for job in jobs if self._set_row(job, cells.get(job.item), t0, outcome)]

    def _set_row(self, job: Job, cells: Cells | None, t0: int, outcome: Outcome) -> bool:
        try:
            row = decode(cells)
            job.letter = None if cells is None else cells.letter
            job.row, job.live = row, row is not None and row.is_live(t0)
            job.mark = "" if row is None else fingerprint(row, self._recipe, anchor_only=job.anchor_only)
        except StoreError as exc:
            outcome.failures[job.item] = Failure.of(exc)
            return False
        return True

    def _leave_young(self, jobs: list[Job], t0: int, outcome: Outcome) -> list[Job]:
        kept = []
        for job in jobs:
            if planning.is_young(job.refs, job.row, t0=t0, margin=self._margin):
                outcome.waiting += job.refs
            else:
                kept.append(job)
        return kept

    def _look(self, jobs: list[Job], t0: int, outcome: Outcome) -> list[Job]:
        """Steps 2 and 3. Reads points until no row changed between its own read and that of its points."""
        ready: list[Job] = []
        while jobs:
            seen = self._index.points_of([job.digest for job in jobs])
            suspects: list[Job] = []
            for job in jobs:
                job.seen = seen.get(job.digest, [])
                looks_newer = planning.needs_another_look(job.seen, job.row, job.mark)
                (suspects if looks_newer else ready).append(job)
            before = {job.item: job.row for job in suspects}
            suspects = self._leave_young(self._read_rows(suspects, t0, outcome), t0, outcome)
            moved = [job for job in suspects if planning.changed(before[job.item], job.row, t0)]
            ready += [job for job in suspects if job not in moved]
            jobs = self._may_restart(moved)
        return ready

    # -- steps 4 to 7: the target, deletes, vectors, upserts, surplus

    def _aim(self, jobs: list[Job], outcome: Outcome) -> list[Job]:
        """Step 4."""
        kept = []
        for job in jobs:
            try:
                job.target = []
                if job.row is not None and job.live:
                    job.target = drafts(job.row, self._recipe, anchor_only=job.anchor_only)
                kept.append(job)
            except StoreError as exc:
                outcome.failures[job.item] = Failure.of(exc)
        return kept

    def _apply(self, jobs: list[Job], outcome: Outcome, deadline: int) -> list[Job]:
        """Steps 6 and 7; returns the jobs whose requests were all sent."""
        for job in jobs:
            job.plan = planning.plan(job.seen, job.target, version=job.version, live=job.live)
        self._delete(found for job in jobs for found in job.plan.deletes)
        vectors = self._vectors(jobs, outcome)
        jobs = [job for job in jobs if job.item not in outcome.failures]
        if self._clock() > deadline:
            log.warning("A sync ran into its time limit while it embedded; %d items are left to the outbox.", len(jobs))
            return []
        jobs = self._bisect(jobs, lambda some: self._upsert(some, vectors), outcome)
        self._delete(found for job in jobs for found in job.plan.surplus)
        return jobs

    def _delete(self, points: Iterable[tuple[str, str]]) -> None:
        doomed = list(points)
        if doomed:
            self._index.delete(doomed)

    def _vectors(self, jobs: list[Job], outcome: Outcome) -> dict[str, Vector]:
        """Vectors by text hash: those that the items' points have already, and new ones for the rest."""
        wanted = {draft.text_hash: draft.text for job in jobs for draft in job.plan.upserts if draft.text is not None}
        known = {
            point.id: str(point.payload["text_hash"])
            for job in jobs
            for point in job.seen
            if point.payload.get("model") == self._recipe.model and point.payload.get("text_hash") in wanted
        }
        doomed = {ident for job in jobs for ident, _ in job.plan.deletes}
        reusable = [ident for ident in known if ident not in doomed]
        vectors: dict[str, Vector] = {}
        if reusable:
            vectors = {known[ident]: vector for ident, vector in self._index.vectors(reusable).items()}
        self._bisect(jobs, lambda some: self._embed(some, vectors, outcome), outcome)
        return vectors

    def _embed(self, jobs: list[Job], vectors: dict[str, Vector], outcome: Outcome) -> None:
        missing = {
            draft.text_hash: draft.text
            for job in jobs
            for draft in job.plan.upserts
            if draft.text is not None and draft.text_hash not in vectors
        }
        if missing:
            vectors.update(zip(missing, self._embedder.embed(list(missing.values())), strict=True))
            outcome.embedded += len(missing)

    def _upsert(self, jobs: list[Job], vectors: dict[str, Vector]) -> None:
        """Step 7. One request with one bound, the smallest version; points seen above it go in requests of their own."""
        jobs = [job for job in jobs if job.plan.upserts]
        if not jobs:
            return
        bound = min(job.version for job in jobs)
        together: list[Point] = []
        for job in jobs:
            stored = {point.id: point.version for point in job.seen}
            alone: list[Point] = []
            for draft in job.plan.upserts:
                point = Point(draft.id, None if draft.text is None else vectors[draft.text_hash], draft.payload)
                (together if stored.get(draft.id, 0) <= bound else alone).append(point)
            if alone:
                self._index.upsert(alone, at_most=job.version)
        if together:
            self._index.upsert(together, at_most=bound)

    def _bisect(self, jobs: list[Job], action: Callable[[list[Job]], Any], outcome: Outcome) -> list[Job]:
        """Runs the action on all, or on ever smaller parts when it fails, so that one bad document blocks no other.

        Returns the jobs it worked for; the others are in `outcome.failures`. An outage is raised: nobody's fault.
        """
        if not jobs:
            return []
        try:
            action(jobs)
        except Exception as exc:
            if is_outage(exc):
                raise
            if len(jobs) == 1:
                texts = [draft.text for draft in jobs[0].target if draft.text is not None]
                outcome.failures[jobs[0].item] = Failure.of(exc, texts)
                return []
            half = len(jobs) // 2
            return self._bisect(jobs[:half], action, outcome) + self._bisect(jobs[half:], action, outcome)
        return jobs

    # -- steps 8 and 9: verify, clean up, acknowledge

    def _verify(self, jobs: list[Job], t0: int, outcome: Outcome) -> tuple[list[Job], list[Job]]:
        """Step 8: the row must still be the one that the points were made of, and as live as it was."""
        before = {job.item: job.row for job in jobs}
        jobs = self._read_rows(jobs, t0, outcome)
        again = [job for job in jobs if planning.changed(before[job.item], job.row, t0)]
        return [job for job in jobs if job not in again], again

    def _may_restart(self, jobs: list[Job]) -> list[Job]:
        """Those that may start again; the others get a fresh intent, because somebody else may have acked the shared one."""
        kept = []
        for job in jobs:
            job.restarts += 1
            if job.restarts <= self._restarts:
                kept.append(job)
                continue
            write_id = job.refs[0].intent.write_id if job.row is None else job.row.head.write_id
            now = self._clock()
            self._database.outbox.file(
                [new_intent(job.item, write_id, job.version, Kind.AGAIN, now=now, due=now + self._backoff)]
            )
            log.info("Item %s changes faster than it can be indexed; it was filed again.", job.digest)
        return kept

    def _clean_up(self, jobs: Sequence[Job], t0: int) -> None:
        """Turns expired rows into deleted heads at their own version: a put that comes later always wins over that."""
        mutations = [
            _deleted(job.row)
            for job in jobs
            if job.row is not None
            and not job.row.head.deleted
            and job.row.expires_at is not None
            and job.row.expires_at + self._skew <= t0
        ]
        if not mutations:
            return
        with self._database.writing([mutation.id for mutation in mutations]) as writing:
            for error in writing.commit(mutations):
                if error is not None:
                    raise error

    def _finish(self, jobs: Sequence[Job], t0: int, outcome: Outcome, ack: bool) -> None:
        """Step 9: acknowledges exactly the refs of these jobs, by intent; letters of older failures go."""
        refs = [ref for job in jobs for ref in job.refs if not _expires_later(ref, t0)]
        outcome.waiting += [ref for job in jobs for ref in job.refs if _expires_later(ref, t0)]
        if not ack:
            outcome.acked += refs
            return
        letters = [(job.item, unstamp(job.letter, job.item)[1]) for job in jobs if job.letter is not None]
        if letters:
            self._database.exhume(letters)
        keys: list[IntentKey] = [ref.intent.key for ref in refs]
        if keys:
            self._database.outbox.ack(keys)
        outcome.acked += refs


def _expires_later(ref: Ref, t0: int) -> bool:
    """An expiry intent is acknowledged only by a worker whose own clock is past it, or expired points would stay."""
    return ref.intent.kind is Kind.EXPIRY and ref.intent.key.due > t0


def _deleted(row: Row) -> Mutation:
    head = Head(
        write_id=row.head.write_id, created_at=row.head.created_at, deleted=True, conditional=row.head.conditional
    )
    return Mutation(row.id, row.version, head.encode(), None, ttl=DELETED_TTL)
