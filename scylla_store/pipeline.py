"""Writes that are collected and stored together, with a report for each."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from scylla_store.errors import PartialFailure, StoreError
from scylla_store.items import Put
from scylla_store.receipts import Receipt
from scylla_store.rows import IndexSpec
from scylla_store.writes import Change, Writer


class Pipeline:
    """Collects puts and deletes, and stores them when `size` are together and at the end of its block.

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

    def __init__(self, writer: Writer, size: int) -> None:
        self._writer = writer
        self._size = size
        self._changes: list[Change] = []
        self.receipts: list[Receipt | None] = []
        self.errors: list[StoreError | None] = []

    def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: dict[str, Any],
        *,
        index: IndexSpec | list[str] = None,
        ttl: float | None = None,
    ) -> None:
        """Collects a put; raises ValidationError. The value is taken as it is now."""
        self._collect(self._writer.check_put(Put(namespace, key, value, index, ttl)))

    def delete(self, namespace: Sequence[str], key: str) -> None:
        """Collects a delete; raises ValidationError."""
        self._collect(self._writer.check_delete(namespace, key))

    def flush(self) -> None:
        """Stores what was collected. Of several writes of one item the last one wins, and all of them get its receipt."""
        changes, self._changes = self._changes, []
        if not changes:
            return
        try:
            self.receipts += self._writer.write(changes)
            self.errors += [None] * len(changes)
        except PartialFailure as exc:
            self.receipts += exc.receipts
            self.errors += exc.errors
        except StoreError as exc:
            self.receipts += [None] * len(changes)
            self.errors += [exc] * len(changes)

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
        if len(self._changes) >= self._size:
            self.flush()
