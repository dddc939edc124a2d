"""The sync protocol: brings a batch of items to the index, in any order, any number of times, with anybody else at work.

Steps are numbered as in docs/architecture.md, "The life of one put"; each is one request for all items of the batch.
Nothing here counts attempts or decides about failures: worker.py does.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from scylla_store import planning
from scylla_store.clock import SECOND, Clock, past_for_all
from scylla_store.database.base import Database, Mutation
from scylla_store.embedders.base import Embedder
from scylla_store.embedding import Embedding
from scylla_store.errors import NewerFormat, StoreError
from scylla_store.failures import Failure
from scylla_store.identity import ItemId
from scylla_store.index.base import Index, Point, Vector
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.jobs import Failed, Job, Outcome, Run, View, jobs_of
from scylla_store.points import Recipe, drafts
from scylla_store.retries import is_outage
from scylla_store.rows import Head, Row
from scylla_store.settings.options import Settings
from scylla_store.vectorless import as_without_text

log = logging.getLogger(__name__)

DELETED_TTL = 3600
"""Seconds that a deleted head stays: longer than clock skew and the longest run, or versions could go backwards."""


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
        self._embedding = Embedding(index, embedder, recipe, settings, clock)
        self._recipe = recipe
        self._clock = clock
        self._margin = int(settings.sync.margin * SECOND)
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        self._backoff = int(settings.sync.backoff * SECOND)
        self._restarts = settings.sync.restarts

    def run(self, refs: Iterable[Ref], *, deadline: int, dead: bytes | None = None) -> Outcome:
        """Brings the items of the refs to the index.

        Args:
            refs: any set, of any items.
            deadline: time in microseconds after which no more index requests are sent.
            dead: the write that is given up, of one item: as long as its row has that write id, an anchor without vector
                takes the place of its points (`outcome.anchored`). It is acknowledged only when it is not live any more.

        Raises:
            TransientError: an outage of the database, the index or the embedder; nothing wrong was left behind, what
                was not acknowledged comes again.
        """
        run = Run(Outcome(), deadline, dead)
        jobs = jobs_of(refs)
        try:
            self._bisect(jobs, lambda some: self._bring(some, run), run, is_final=False)
        except Exception:
            self._settle(jobs, run)
            raise
        self._settle(jobs, run)
        return run.outcome

    def _bring(self, jobs: list[Job], run: Run) -> None:
        while jobs := [job for job in jobs if not job.ended]:
            jobs = self._pass(jobs, run)

    def _pass(self, jobs: list[Job], run: Run) -> list[Job]:
        """Steps 0 to 9 for all jobs; returns those that have to start again."""
        run.t0 = self._clock()
        jobs = self._aim(self._look(self._load(jobs, run), run), run)
        done = [job for job in jobs if planning.is_indexed(job.seen, job.target)]
        todo = _without(jobs, done)
        again: list[Job] = []
        if todo and not self._is_over(run, todo):
            sent = self._apply(todo, run)
            steady, again = self._verify(todo, run)
            done += [job for job in sent if job in steady]
        self._clean_up(done, run.t0)
        self._finish(done, run)
        return self._may_restart(again, run)

    # -- steps 1 to 3: the row, then the points, then the row again when points look newer

    def _load(self, jobs: list[Job], run: Run) -> list[Job]:
        """Step 1. Leaves out jobs whose write may still be on its way, and rows that cannot be decoded."""
        jobs = self._leave_young(self._read(jobs, run), run)
        unsettled = [job for job in jobs if planning.needs_serial(job.refs, job.view.row)]
        return _without(jobs, unsettled) + self._read(unsettled, run, serial=True)

    def _read(self, jobs: list[Job], run: Run, *, serial: bool = False) -> list[Job]:
        """Gives the jobs their rows; ends those whose row cannot be decoded or is not the dead one that is looked for."""
        views = self._views(jobs, run, run.t0, serial=serial)
        for job in jobs:
            job.view = views[job.item]
            if run.dead is not None and job.view.write_id != run.dead:
                job.ended = True
            elif isinstance(job.view.damage, NewerFormat):
                log.warning("Item %s is left to a newer worker: %s", job.digest, job.view.damage)
                job.ended = True
                run.outcome.waiting += job.refs
            elif job.view.damage is not None:
                _fail(job, Failure.of(job.view.damage), run)
        return [job for job in jobs if not job.ended]

    def _views(self, jobs: list[Job], run: Run, now: int, *, serial: bool = False) -> dict[ItemId, View]:
        """Rows as they are, as live as they are at `now`."""
        cells = self._database.read([job.item for job in jobs], serial=serial) if jobs else {}
        return {
            job.item: View.of(
                cells.get(job.item),
                self._recipe,
                now=now,
                anchor_only=run.dead is not None,
                asked=functools.partial(self._is_asked_for, job),
            )
            for job in jobs
        }

    def _is_asked_for(self, job: Job, timestamp: int) -> bool:
        """Whether somebody wants a dead letter to be tried, and nobody gave it up since: a discard makes it newer, as does
        an earlier try that failed."""
        asked_at = job.asked_at
        if asked_at is None or timestamp <= asked_at:
            return asked_at is not None
        letter = self._database.letter(job.digest)
        return letter is None or not letter.discarded

    def _leave_young(self, jobs: list[Job], run: Run) -> list[Job]:
        young = [job for job in jobs if planning.is_young(job.refs, job.view.row, t0=run.t0, margin=self._margin)]
        for job in young:
            job.ended = True
            run.outcome.waiting += job.refs
        return _without(jobs, young)

    def _look(self, jobs: list[Job], run: Run) -> list[Job]:
        """Steps 2 and 3. Reads points until no row changed between its own read and that of its points."""
        ready: list[Job] = []
        while jobs:
            seen = self._index.points_of([job.digest for job in jobs])
            seen = as_without_text(self._index, seen, {job.digest for job in jobs if job.is_repair})
            suspects: list[Job] = []
            for job in jobs:
                job.seen = seen.get(job.digest, [])
                looks_newer = planning.needs_another_look(job.seen, job.view.row, job.view.mark)
                (suspects if looks_newer else ready).append(job)
            before = {job.item: job.view for job in suspects}
            suspects = self._leave_young(self._read(suspects, run), run)
            moved = [job for job in suspects if job.view.differs(before[job.item])]
            ready += _without(suspects, moved)
            jobs = self._may_restart(moved, run)
        return ready

    # -- steps 4 to 7: the target, vectors, deletes, upserts, surplus

    def _aim(self, jobs: list[Job], run: Run) -> list[Job]:
        """Step 4."""
        for job in jobs:
            try:
                job.target = []
                if job.view.row is not None and job.view.live:
                    job.target = drafts(job.view.row, self._recipe, anchor_only=job.view.anchor_only)
            except StoreError as exc:
                _fail(job, Failure.of(exc), run)
        return [job for job in jobs if not job.ended]

    def _apply(self, jobs: list[Job], run: Run) -> list[Job]:
        """Steps 6 and 7; returns the jobs whose requests were all sent."""
        for job in jobs:
            job.plan = planning.plan(job.seen, job.target, version=job.view.version, live=job.view.live)
        self._make_room([job for job in jobs if job.is_repair])
        vectors = self._embedding.known(jobs)
        self._delete(jobs, lambda job: job.plan.deletes)
        jobs = self._embed(jobs, vectors, run)
        jobs = self._bisect(jobs, lambda some: self._upsert(some, vectors), run)
        if self._is_over(run, jobs):
            return []
        self._delete(jobs, lambda job: job.plan.surplus)
        return jobs

    def _embed(self, jobs: list[Job], vectors: dict[str, Vector], run: Run) -> list[Job]:
        """The first half of step 7. Returns the jobs that have their vectors in time."""
        began = self._clock()
        is_alone, embedded = len(jobs) == 1, run.outcome.embedded
        try:
            jobs = self._bisect(jobs, lambda some: self._embedding.add(some, vectors, run), run)
        except Exception as exc:
            if is_alone or not is_outage(exc) or run.outcome.embedded == embedded:
                raise
            log.warning("The embedder went away in the middle of a run, which goes on with what it has: %s", exc)
            jobs = [job for job in jobs if not job.ended]
        late = self._embedding.late(jobs, vectors, run)
        failure = self._embedding.overtime(late[0], began) if late and is_alone else None
        if failure is not None:
            _fail(late[0], failure, run)
        elif late:
            log.warning("Embedding took too long; %d items are left to the outbox.", len(late))
            run.outcome.late.update(job.item for job in late)
        return _without(jobs, late)

    def _make_room(self, jobs: list[Job]) -> None:
        """A point that says it is of another item would refuse the upsert of the item whose place it takes, for ever: it is newer, or as
        new, and the bound of an upsert is that of the oldest item in the batch.

        No other item has points at that place, whose id is made of the item's digest; so it may go whatever its version is.
        """
        places: dict[str, Job] = {}
        for job in jobs:
            known = {point.id for point in job.seen}
            places.update((draft.id, job) for draft in job.plan.upserts if draft.id not in known)
        for place, point in self._index.at(list(places)).items() if places else ():
            job = places[place]
            if point.item != job.digest:
                job.plan.deletes.append((place, point.fingerprint))

    def _is_over(self, run: Run, jobs: Sequence[Job]) -> bool:
        """Whether the time is over: then the jobs are left to the outbox."""
        if not jobs or self._clock() <= run.deadline:
            return False
        log.warning("A sync ran into its time limit; %d items are left to the outbox.", len(jobs))
        if len(jobs) > 1:
            run.outcome.late.update(job.item for job in jobs)
        return True

    def _delete(self, jobs: Iterable[Job], which: Callable[[Job], list[tuple[str, str]]]) -> None:
        doomed: list[tuple[str, str]] = []
        for job in jobs:
            points = which(job)
            if points:
                job.touch()
                doomed += points
        if doomed:
            self._index.delete(doomed)

    def _upsert(self, jobs: list[Job], vectors: dict[str, Vector]) -> None:
        """Step 7. One request with one bound, the smallest version; points seen above it go in requests of their own."""
        jobs = [job for job in jobs if job.plan.upserts]
        if not jobs:
            return
        bound = min(job.view.version for job in jobs)
        together: list[Point] = []
        for job in jobs:
            job.touch()
            stored = {point.id: point.version for point in job.seen}
            alone: list[Point] = []
            for draft in job.plan.upserts:
                point = Point(draft.id, None if draft.text is None else vectors[draft.text_hash], draft.payload)
                (together if stored.get(draft.id, 0) <= bound else alone).append(point)
            if alone:
                self._index.upsert(alone, at_most=job.view.version)
        if together:
            self._index.upsert(together, at_most=bound)

    def _bisect(
        self, jobs: list[Job], action: Callable[[list[Job]], Any], run: Run, *, is_final: bool = True
    ) -> list[Job]:
        """Runs the action on all, or on ever smaller parts when it fails, so that one bad document blocks no other.

        Returns the jobs it worked for; the others are in `outcome.failures`, as permanent only when the error says so and
        `is_final`: a refusal that is not about the text is tried again. An outage is raised: nobody's fault. Past the time
        limit, when Celery interrupts whatever is under way, there is no time for parts: each goes alone the next time.
        """
        jobs = [job for job in jobs if not job.ended]
        if not jobs:
            return []
        try:
            action(jobs)
        except Exception as exc:
            if is_outage(exc) and not self._embedding.is_to_blame(jobs, exc):
                raise
            if len(jobs) > 1 and self._clock() > run.deadline:
                log.warning("A sync was interrupted past its time limit; %d items are left to the outbox.", len(jobs))
                run.outcome.late.update(job.item for job in jobs)
                return []
            if len(jobs) == 1:
                texts = [draft.text for draft in jobs[0].target if draft.text is not None]
                failure = Failure.of(exc, texts)
                _fail(jobs[0], replace(failure, is_permanent=failure.is_permanent and is_final), run)
                return []
            half = len(jobs) // 2
            return [
                job for part in (jobs[:half], jobs[half:]) for job in self._bisect(part, action, run, is_final=is_final)
            ]
        return jobs

    # -- steps 8 and 9: verify, clean up, acknowledge

    def _verify(self, jobs: list[Job], run: Run) -> tuple[list[Job], list[Job]]:
        """Step 8: the row must still be the one that the points were made of, and as live as it was.

        Liveness is judged anew: expiry does not change the write id, and whoever found the row expired may be done by
        now. A document that failed is verified too: when it was replaced meanwhile, its failure is nobody's.
        """
        now = max(run.t0, self._clock())
        views = self._views(jobs, run, now)
        again = [job for job in jobs if job.view.differs(views[job.item])]
        steady = _without(jobs, again)
        for job in steady:
            job.unverified = None
        for job in again:
            job.ended = False
            run.outcome.failures.pop(job.item, None)
        return steady, again

    def _may_restart(self, jobs: list[Job], run: Run) -> list[Job]:
        """Those that may start again; the others are left to the outbox, and to `_settle` when something was sent for them."""
        kept = []
        for job in jobs:
            job.restarts += 1
            if job.restarts <= self._restarts and self._clock() <= run.deadline:
                kept.append(job)
            else:
                log.info("Item %s changes faster than it can be indexed; it is left to the outbox.", job.digest)
                job.ended = True
        return kept

    def _settle(self, jobs: list[Job], run: Run) -> None:
        """Jobs that failed or gave up before a verify: what was sent may be stale, and somebody may have acked their intents.

        Those whose row is still the one that the requests were made of are right, or will be; the others get a fresh intent.
        """
        doubtful = [job for job in jobs if job.unverified is not None]
        try:
            for job in self._moved(doubtful, run):
                self._file_again(job)
        except StoreError as exc:
            log.warning("%d items could not be filed again after a sync that failed: %s", len(doubtful), exc)

    def _moved(self, jobs: list[Job], run: Run) -> list[Job]:
        """Those whose row is not the one any more that index requests were made of, as far as that can be read."""
        try:
            views = self._views(jobs, run, self._clock())
        except StoreError:
            return jobs
        return [job for job in jobs if job.unverified is not None and views[job.item].differs(job.unverified)]

    def _file_again(self, job: Job) -> None:
        now = self._clock()
        write_id = job.view.write_id or job.refs[0].intent.write_id
        again = new_intent(job.item, write_id, job.view.version, Kind.AGAIN, now=now, due=now + self._backoff)
        self._database.outbox.file([again])
        job.unverified = None

    def _clean_up(self, jobs: Sequence[Job], t0: int) -> None:
        """Turns expired rows into deleted heads at their own version: a put that comes later always wins over that."""
        mutations = [
            _deleted(row)
            for row in (job.view.row for job in jobs)
            if row is not None
            and not row.head.deleted
            and row.expires_at is not None
            and past_for_all(row.expires_at, self._skew) <= t0
        ]
        if not mutations:
            return
        with self._database.writing([mutation.id for mutation in mutations]) as writing:
            for error in writing.commit(mutations):
                if error is not None:
                    raise error

    def _finish(self, jobs: Sequence[Job], run: Run) -> None:
        """Step 9: acknowledges exactly the refs of these jobs, by intent; letters of older failures go."""
        anchored = {job.item for job in jobs if job.view.anchor_only and job.view.live}
        run.outcome.anchored |= anchored
        self._acknowledge([job for job in jobs if run.dead is None or not job.view.live], anchored, run)
        for job in jobs:
            job.ended = True

    def _acknowledge(self, jobs: Sequence[Job], anchored: set[ItemId], run: Run) -> None:
        letters = [
            (job.item, job.view.letter[1]) for job in jobs if job.view.letter is not None and job.item not in anchored
        ]
        if letters:
            self._database.exhume(letters)
        refs = [ref for job in jobs for ref in job.refs if not _expires_later(ref, run.t0)]
        if refs:
            self._database.outbox.ack([ref.intent.key for ref in refs])
        run.outcome.acked += refs
        run.outcome.waiting += [ref for job in jobs for ref in job.refs if _expires_later(ref, run.t0)]


def _expires_later(ref: Ref, t0: int) -> bool:
    """An expiry intent is acknowledged only by a worker whose own clock is past it, or expired points would stay."""
    return ref.intent.kind is Kind.EXPIRY and ref.intent.key.due > t0


def _fail(job: Job, failure: Failure, run: Run) -> None:
    job.ended = True
    run.outcome.failures[job.item] = Failed(failure, job.view.write_id)


def _without(jobs: Iterable[Job], others: Iterable[Job]) -> list[Job]:
    left_out = set(others)
    return [job for job in jobs if job not in left_out]


def _deleted(row: Row) -> Mutation:
    head = Head(
        write_id=row.head.write_id, created_at=row.head.created_at, deleted=True, conditional=row.head.conditional
    )
    return Mutation(row.id, row.version, head.encode(), None, ttl=DELETED_TTL)
