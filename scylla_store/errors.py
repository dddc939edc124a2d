"""Every failure of the library, in one tree.

    StoreError
    ├── TransientError            trying again may help
    │   ├── DatabaseUnavailable
    │   │   └── OutcomeUnknown    the write may or may not have happened
    │   ├── Contended             other writers of the item came first, again and again
    │   ├── PartialFailure        some writes of a batch failed; .receipts and .errors say which, .is_permanent whether all for good
    │   │   └── BatchFailed       the same of `store.batch`
    │   ├── Backlogged            a bulk write would add to a backlog that is too long
    │   ├── IndexUnavailable
    │   │   ├── IndexThrottled    429: come back later
    │   │   └── EmbeddedIndexBusy
    │   ├── EmbedderUnavailable
    │   │   ├── EmbedderBusy      other calls of this process took all turns for too long
    │   │   └── EmbedderTimeout   this very call did not end in time
    │   ├── BrokerUnavailable
    │   ├── ClockSkew             a clock is too far from the database's
    │   ├── EmbeddingOvertime     a reason in outbox and dead letters; nothing raises it
    │   ├── SyncTimeout
    │   └── LeaseLost
    ├── PermanentError            trying again cannot help
    │   ├── DeadLettered
    │   ├── DamagedRow
    │   │   └── NewerFormat       a newer version of the library wrote it; workers leave it to newer ones
    │   ├── BadVector
    │   ├── DocumentFailed        the embedder failed on this document again and again
    │   ├── TombstoneLimit
    │   ├── ScanLimitReached      an answer takes more rows than one call may look at
    │   ├── DatabaseRefused
    │   ├── IndexRefused
    │   └── StoreClosed
    ├── ValidationError           an argument is wrong; nothing was written
    └── ConfigurationError        a setting, a schema or a collection is wrong
        ├── SchemaMismatch
        └── CollectionMismatch

A docstring is the default message, written for whoever reads the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class StoreError(Exception):
    """Something went wrong in scylla_store."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class TransientError(StoreError):
    """This failed for now; trying again may help."""


class PermanentError(StoreError):
    """This failed and will fail again; trying again cannot help."""


class ValidationError(StoreError, ValueError):
    """An argument is wrong; nothing was written."""


class ConfigurationError(StoreError):
    """A setting is wrong."""


class DatabaseUnavailable(TransientError):
    """The database did not answer in time or refused the connection."""


class OutcomeUnknown(DatabaseUnavailable):
    """The database did not say whether the write happened: read before you retry a conditional write."""


class Contended(TransientError):
    """Other writers of this item came first in every attempt; nothing was written: call again later, or with more attempts."""


class PartialFailure(TransientError):
    """Some writes of the batch failed: `.receipts` has None, and `.errors` the reason, at their positions.

    `.before` counts the writes of the same call that were stored, and told to `on_progress`, before this batch.
    It is a TransientError whatever the reasons are; look at them before you try again: `.is_permanent` is true when none of them
    is a TransientError, so that trying again cannot help.
    """

    def __init__(self, receipts: Sequence[Any], errors: Sequence[StoreError | None], before: int = 0) -> None:
        failed = [error for error in errors if error is not None]
        others = f"the others and {before} before them are stored" if before else "the others are stored"
        self.is_permanent = not any(isinstance(error, TransientError) for error in failed)
        hopeless = "; trying again cannot help" if self.is_permanent else ""
        super().__init__(
            f"{len(failed)} of {len(errors)} writes failed, {others}; the first reason: {failed[0]}{hopeless}"
        )
        self.receipts = list(receipts)
        self.errors = list(errors)
        self.before = before

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.receipts, self.errors, self.before)


class Backlogged(TransientError):
    """Too many writes wait for the index, and a bulk write was not to add more: bulk.max_pending, bulk.patience."""


class BatchFailed(PartialFailure):
    """Some writes of `batch` failed; its reads and its other writes are done: `.results` and `.errors` are as long as the batch."""

    @property
    def results(self) -> list[Any]:
        """What `batch` would have returned, with None for a write that failed."""
        return self.receipts


class IndexUnavailable(TransientError):
    """The vector index did not answer in time or refused the connection."""


class IndexThrottled(IndexUnavailable):
    """The vector index asks to slow down (HTTP 429)."""


class EmbeddedIndexBusy(IndexUnavailable):
    """Another process owns the embedded index folder: search there, or set index.url to a Qdrant server that every process can reach."""


class EmbedderUnavailable(TransientError):
    """The embedder is not available; documents wait until it is back."""


class EmbedderBusy(EmbedderUnavailable):
    """The embedder is busy with other calls of this process: come back later, or raise embedder.concurrency."""


class EmbedderTimeout(EmbedderUnavailable):
    """The embedder did not answer this call in time."""


class EmbeddingOvertime(TransientError):
    """The texts of the document take longer to embed than one run may take: raise sync.time_limit, or use a faster embedder."""


class BrokerUnavailable(TransientError):
    """The Celery broker did not take the task; the outbox keeps it."""


class ClockSkew(TransientError):
    """The clock of this machine and the database's are too far apart; synchronise them (chrony, ntpd)."""


class SyncTimeout(TransientError):
    """The index does not hold this write yet; it stays in the outbox and will be indexed later."""


class LeaseLost(TransientError):
    """Another process holds the lease now."""


class DeadLettered(PermanentError):
    """The write is stored, but indexing it failed for good: see store.dead_letters."""


class DamagedRow(PermanentError):
    """A stored row cannot be decoded."""


class NewerFormat(DamagedRow):
    """A newer version of the library wrote this row: processes of that version can read it."""


class BadVector(PermanentError):
    """The embedder returned a vector of the wrong size or with values that are not finite."""


class DocumentFailed(PermanentError):
    """The document failed as often as sync.max_attempts allows."""


class TombstoneLimit(PermanentError):
    """The database met too many deleted rows in one partition; wait for gc_grace_seconds and compaction, or raise tombstone_failure_threshold."""

    namespace: tuple[str, ...] = ()
    token: int | None = None
    """Of the partition, where a scan met no row that says which namespace it is."""


class ScanLimitReached(PermanentError):
    """The answer takes looking at more rows than limits.max_scanned allows; narrow the prefix, or raise the limit."""


class DatabaseRefused(PermanentError):
    """The database refused the statement."""


class IndexRefused(PermanentError):
    """The vector index refused the request."""


class StoreClosed(PermanentError):
    """The store is closed."""


class SchemaMismatch(ConfigurationError):
    """The database schema is not the one that this version of the library needs."""


class CollectionMismatch(ConfigurationError):
    """The existing collection has another vector size, distance or model, or belongs to another store."""
