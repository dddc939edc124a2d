"""Loading a source into a store: in batches, with a remembered position, until the end or a signal."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scylla_store.cli.invocation import wait_for_index
from scylla_store.cli.output import Output
from scylla_store.cli.progress import Progress
from scylla_store.cli.sources import Position, Record, Source
from scylla_store.cli.stopping import Signalled, Stop
from scylla_store.errors import PartialFailure, ValidationError
from scylla_store.store import ScyllaStore

_INDEX_PATIENCE = 24 * 3600.0
_MOST_BYTES = 4_000_000


@dataclass
class Summary:
    """What a run did."""

    stored: int = 0
    skipped: int = 0
    seconds: float = 0.0
    resumed_at: int = 0
    pending: int = 0


class Loader:
    """Writes the records of a source.

    Args:
        write: writes what some records are, and returns how many documents it stored.
        batch: documents of one call.
        stops: whether a bad record ends the run; else it is reported and left out.
        options: what else decides which documents come out of the source; part of the position's name.
    """

    def __init__(
        self,
        store: ScyllaStore,
        source: Source,
        output: Output,
        *,
        write: Callable[[list[Any]], int],
        batch: int,
        stops: bool,
        options: Sequence[Any],
    ) -> None:
        self._store = store
        self._database = store.parts.database
        self._source = source
        self._output = output
        self._write = write
        self._batch = batch
        self._stops = stops
        digest = source.digest()
        self._name = None if digest is None else _state_name(digest, options)
        self._summary = Summary()

    def run(self, *, restart: bool, waits: bool) -> Summary:
        """Loads until the end; raises SystemExit (128 + signal) when a signal came, with the position kept."""
        started = time.monotonic()
        stop = Stop()
        start = Position() if restart else self._remembered()
        self._summary.resumed_at = start.count
        if start.count:
            self._output.note(f"Going on after {start.count:,} of {self._source.name}; --restart begins anew.")
        with stop.watching():
            self._store.parts.pressure.sleep = stop.sleep
            with Progress(self._output, "Storing", self._source.size, start.offset) as progress:
                position = self._load(start, stop, progress)
            self._summary.seconds = time.monotonic() - started
            if stop:
                self._leave(stop, position)
            self._remember(Position())
            if waits:
                self._wait(stop)
        return self._summary

    def _load(self, start: Position, stop: Stop, progress: Progress) -> Position:
        position = start
        batches = self._batches(start)
        while (records := stop.read(batches)) is not None:
            try:
                self._store_batch(records)
            except Signalled:
                break  # back-pressure was waited for
            position = records[-1].after
            self._remember(position)
            progress.update(position.offset, self._summary.stored)
        return position

    def _batches(self, start: Position) -> Iterator[list[Record]]:
        batch: list[Record] = []
        begun = start.offset
        for record in self._source.records(start):
            batch.append(record)
            if len(batch) >= self._batch or record.after.offset - begun >= _MOST_BYTES:
                yield batch
                batch, begun = [], record.after.offset
        if batch:
            yield batch

    def _store_batch(self, records: list[Record]) -> None:
        """All at once; one by one when one of them is refused, to tell which."""
        good: list[Record] = []
        for record in records:
            if record.put is None:
                self._flush(good)
                good = []
                self._refuse(record, record.error or "it is wrong")
            else:
                good.append(record)
        self._flush(good)

    def _flush(self, records: list[Record]) -> None:
        documents = [record.put for record in records if record.put is not None]
        if not documents:
            return
        try:
            self._store_all(documents)
        except ValidationError as exc:
            if len(records) == 1:
                self._refuse(records[0], str(exc))
                return
            half = len(records) // 2
            self._flush(records[:half])
            self._flush(records[half:])

    def _store_all(self, documents: list[Any]) -> None:
        try:
            self._summary.stored += self._write(documents)
        except PartialFailure as exc:
            self._summary.stored += sum(receipt is not None for receipt in exc.receipts)
            raise

    def _refuse(self, record: Record, reason: str) -> None:
        reason = f"{self._source.name}, {record.name}: {reason.removeprefix('puts[0].')}"
        if self._stops:
            stored = self._summary.stored
            raise ValidationError(f"{reason} ({stored:,} are stored; correct it, or go on past it by --on-error skip)")
        self._summary.skipped += 1
        self._output.warn(reason)

    def _wait(self, stop: Stop) -> None:
        pending = self._store.status().pending
        if not pending:
            return
        with Progress(self._output, "Indexing", pending, 0) as progress:

            def report(left: int) -> None:
                progress.update(max(0, pending - left), max(0, pending - left))
                if stop:
                    raise Signalled

            try:
                self._summary.pending = wait_for_index(self._store, _INDEX_PATIENCE, report)
            except Signalled:
                self._leave_unindexed(stop)

    def _leave(self, stop: Stop, position: Position) -> None:
        self._output.warn(
            f"Stopped after {position.count:,} of {self._source.name}, {self._summary.stored:,} stored by this run; "
            + ("the same command goes on from there." if self._name else "standard input cannot be resumed.")
        )
        raise SystemExit(stop.exit_code)

    def _leave_unindexed(self, stop: Stop) -> None:
        self._output.warn(
            f"Stopped while the index catches up: all of {self._source.name} is stored, {self._store.status().pending:,} writes "
            "are not searchable yet and wait in the outbox."
        )
        raise SystemExit(stop.exit_code)

    def _remembered(self) -> Position:
        stored = None if self._name is None else self._database.state(self._name)
        return Position() if stored is None else Position(**json.loads(stored))

    def _remember(self, position: Position) -> None:
        if self._name is not None:
            document = {"count": position.count, "offset": position.offset}
            self._database.set_state(self._name, json.dumps(document).encode())


def _state_name(digest: str, options: Sequence[Any]) -> str:
    own = hashlib.blake2b(json.dumps([digest, *options]).encode(), digest_size=16)
    return f"import.{own.hexdigest()}"
