"""Vectors for the items of one batch: those that the index has already, and new ones as far as the time goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scylla_store.clock import SECOND, Clock
from scylla_store.embedders.base import Embedder, batches
from scylla_store.errors import EmbedderTimeout, EmbeddingOvertime
from scylla_store.failures import Failure
from scylla_store.hangs import Hangs
from scylla_store.index.base import Index, Vector
from scylla_store.jobs import Job, Run
from scylla_store.leftovers import Leftovers
from scylla_store.points import Recipe
from scylla_store.settings.options import Settings


class Embedding:
    """Brings vectors, by the hash of their text.

    A run embeds until it would be too late to send what it has; the items that are complete by then go on. So every run
    gets somewhere, however slow the embedder is, and an item that does not get its vectors though it had a run to itself
    has itself to blame.
    """

    def __init__(self, index: Index, embedder: Embedder, recipe: Recipe, settings: Settings, clock: Clock) -> None:
        self._index = index
        self._embedder = embedder
        self._recipe = recipe
        self._clock = clock
        self._limit = int(settings.sync.time_limit * SECOND)
        # A call may wait for its turn as long as for its answer.
        self._last_call = min(2 * int(settings.embedder.timeout * SECOND), self._limit // 2)
        self._hangs = Hangs()
        self._leftovers = Leftovers()

    def known(self, jobs: Iterable[Job]) -> dict[str, Vector]:
        """Vectors by text hash that points of the items have already; read before any point is deleted."""
        wanted = {draft.text_hash for job in jobs for draft in job.plan.upserts if draft.text is not None}
        known = {
            (point.id, point.fingerprint): str(point.payload["text_hash"])
            for job in jobs
            for point in job.seen
            if point.payload.get("model") == self._recipe.model and str(point.payload.get("text_hash")) in wanted
        }
        if not known:
            return {}
        texts = {ident: text for (ident, _), text in known.items()}
        return {texts[ident]: vector for ident, vector in self._index.vectors(list(known)).items()}

    def add(self, jobs: Sequence[Job], vectors: dict[str, Vector], run: Run) -> None:
        """Adds what the jobs lack, call by call: the shortest jobs first, and no call that may end too late, but one at least.

        What was made for jobs that do not get all of theirs, because the time is over or the embedder went away, is kept
        for the next run.
        """
        shortest_first = sorted((_lacking(job, vectors) for job in jobs), key=len)
        missing = {text_hash: text for lacking in shortest_first for text_hash, text in lacking.items()}
        vectors.update(self._leftovers.take(missing))
        made: dict[str, Vector] = {}
        try:
            self._make([pair for pair in missing.items() if pair[0] not in vectors], made, run, alone=len(jobs) == 1)
        finally:
            vectors.update(made)
            if any(text_hash not in vectors for text_hash in missing):
                self._leftovers.keep({text_hash: vectors[text_hash] for text_hash in missing if text_hash in vectors})
            elif made:
                self._hangs.answered()

    def _make(self, texts: list[tuple[str, str]], made: dict[str, Vector], run: Run, *, alone: bool) -> None:
        """A job alone may use the time to the end: if its last call ends too late, nobody else loses anything."""
        longest = 0
        for batch in batches(texts, self._embedder.max_batch_items, self._embedder.max_batch_bytes):
            began = self._clock()
            if run.has_embedded and began > run.deadline - (longest if alone else self._last_call):
                return
            run.has_embedded = True
            made.update(zip([key for key, _ in batch], self._embedder.embed([text for _, text in batch]), strict=True))
            run.outcome.embedded += len(batch)
            longest = max(longest, self._clock() - began)

    def late(self, jobs: Sequence[Job], vectors: dict[str, Vector], run: Run) -> list[Job]:
        """Those whose vectors are not there in time."""
        if self._clock() > run.deadline:
            return list(jobs)
        return [job for job in jobs if _lacking(job, vectors)]

    def overtime(self, job: Job, began: int) -> Failure | None:
        """The failure of a late job that had the run to itself; None when it was not its texts that took the time.

        Args:
            began: time in microseconds at which its embedding began; less than a quarter of `sync.time_limit` ago says
                that the rest went by elsewhere.
        """
        if job.restarts or 4 * (self._clock() - began) < self._limit:
            return None
        texts = len([draft for draft in job.target if draft.text is not None])
        return Failure.of(
            EmbeddingOvertime(
                f"Its {texts} texts take longer to embed than sync.time_limit = {self._limit / SECOND:g} s allows: raise it, "
                "or use a faster embedder"
            )
        )

    def is_to_blame(self, jobs: Sequence[Job], exc: Exception) -> bool:
        """Whether the one document is at fault when the embedder did not answer. Of several, each goes alone the next time."""
        return isinstance(exc, EmbedderTimeout) and self._hangs.is_to_blame([job.item for job in jobs])


def _lacking(job: Job, vectors: dict[str, Vector]) -> dict[str, str]:
    """Texts by hash that have no vector yet."""
    return {
        draft.text_hash: draft.text
        for draft in job.plan.upserts
        if draft.text is not None and draft.text_hash not in vectors
    }
