"""Writes that are collected and stored together, with a report for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from scylla_store.arguments import checked_iterator
from scylla_store.database.base import SCAN_BYTES
from scylla_store.errors import PartialFailure, StoreError, ValidationError
from scylla_store.items import Put
from scylla_store.pressure import Pressure
from scylla_store.receipts import Receipt
from scylla_store.rows import IndexSpec
from scylla_store.ttls import DEFAULT_TTL, Ttl
from scylla_store.writes import CHUNK, Change, Writer


def outcomes(writer: Writer, changes: Sequence[Change]) -> tuple[list[Receipt | None], list[StoreError | None]]:
    """The receipt of each write, or why it failed."""
    try:
        return list(writer.write(changes)), [None] * len(changes)
    except PartialFailure as exc:
        return exc.receipts, exc.errors
    except StoreError as exc:
        return [None] * len(changes), [exc] * len(changes)


class Pipeline:
    """Collects puts and deletes, and stores them when `size` of them or 8 MB are together, and at the end of its block.

    Each is checked when it is collected, and what is wrong is not: the block may catch that and go on. When the block ends
    by an exception, what was not stored yet is dropped; `len(pipeline.receipts)` says how many were.

    Attributes:
        receipts: of what was stored, in order; None for a write that failed.
        errors: why; None for a write that was stored.

    Example:
        with store.pipeline() as pipeline:
            for row in rows:
                pipeline.put(("docs",), row.key, row.as_dict())
        print(len(pipeline.receipts))
    """

    def __init__(self, writer: Writer, pressure: Pressure, size: int) -> None:
        self._writer = writer
        self._pressure = pressure
        self._size = size
        self._changes: list[Change] = []
        self._bytes = 0
        self.receipts: list[Receipt | None] = []
        self.errors: list[StoreError | None] = []

    def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: dict[str, Any],
        *,
        index: IndexSpec | list[str] = None,
        ttl: Ttl = DEFAULT_TTL,
    ) -> None:
        """Collects a put; raises ValidationError. The value is taken as it is now."""
        self._collect(self._writer.check_put(Put(namespace, key, value, index, ttl)))

    def delete(self, namespace: Sequence[str], key: str) -> None:
        """Collects a delete; raises ValidationError."""
        self._collect(self._writer.check_delete(namespace, key))

    def flush(self) -> None:
        """Stores what was collected. Of several writes of one item the last one wins, and all of them get its receipt.

        Raises:
            Backlogged: as `bulk.max_pending` says; it is still collected.
        """
        if not self._changes:
            return
        self._pressure.admit(len(self._changes))
        changes, self._changes, self._bytes = self._changes, [], 0
        receipts, errors = outcomes(self._writer, changes)
        self.receipts += receipts
        self.errors += errors

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stores the rest. Raises PartialFailure, with the whole report, when a write has failed."""
        if kind is not None:
            return
        self.flush()
        if any(self.errors):
            raise PartialFailure(self.receipts, self.errors)

    def _collect(self, change: Change) -> None:
        self._changes.append(change)
        self._bytes += len(change.value or b"")
        if len(self._changes) >= self._size or self._bytes >= SCAN_BYTES:
            self.flush()


def put_stream(
    writer: Writer,
    pressure: Pressure,
    puts: Iterable[Put],
    on_progress: Callable[[int, list[Receipt]], None],
    wait: float | None,
) -> list[Receipt]:
    """See `ScyllaStore.put_many`: of any number of documents, a thousand or SCAN_BYTES are in memory."""
    if wait is not None:
        raise ValidationError("wait cannot be combined with on_progress: nobody keeps the receipts to wait for")
    if not callable(on_progress):
        raise ValidationError(f"on_progress must be a function, not {type(on_progress).__name__}")
    left, stored = writer.check_each(checked_iterator(puts, "puts", "Put")), 0
    while changes := list(_together(left)):
        pressure.admit(len(changes))
        receipts, errors = outcomes(writer, changes)
        if any(errors):
            raise PartialFailure(receipts, errors, before=stored)
        stored += len(changes)
        on_progress(stored, [receipt for receipt in receipts if receipt is not None])
    return []


def _together(changes: Iterator[Change]) -> Iterator[Change]:
    """The next ones that are stored at once: a thousand, or fewer when those are large."""
    size = 0
    for change in islice(changes, CHUNK):
        yield change
        size += len(change.value or b"")
        if size >= SCAN_BYTES:
            return
