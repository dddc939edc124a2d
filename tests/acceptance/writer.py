"""A process that writes through the public API and says in its own file what it was about to do and what it was told.

    python -m tests.acceptance.writer --seed 1 --documents 5000 --record FILE [--rate 50]

Started again with the same arguments it goes on where it was killed. Settings come from the environment.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scylla_store import Put, ScyllaStore
from scylla_store.errors import PartialFailure, TransientError
from tests.acceptance.operations import Document, Operation, Plan
from tests.acceptance.record import Record, progress

_KEYS_PER_DOCUMENT = 0.25


class Writer:
    """Performs the operations of one plan until enough documents were sent."""

    def __init__(self, store: ScyllaStore, plan: Plan, path: Path) -> None:
        self._store = store
        self._plan = plan
        at = progress(path)
        self._next = at.next_operation
        self.documents = at.documents
        self._record = Record(path)

    def step(self) -> None:
        """Performs the next operation; a failure that may pass is recorded, any other ends the process."""
        number, self._next = self._next, self._next + 1
        operation = self._plan.operation(number)
        self._record.intend(number, operation.as_writes())
        self.documents += len(operation.documents)
        try:
            receipts: Sequence[Any] = perform(self._store, operation)
        except PartialFailure as exc:
            self._record.fail(number, exc)
            receipts = exc.receipts
        except TransientError as exc:
            self._record.fail(number, exc)
            return
        self._record.acknowledge(number, [None if receipt is None else receipt.version for receipt in receipts])


def perform(store: ScyllaStore, operation: Operation) -> Sequence[Any]:
    """Calls the store; returns the receipts in the order of `operation.as_writes()`."""
    if operation.name == "put":
        (one,) = operation.documents
        return [store.put(one.namespace, one.key, one.value, ttl=one.ttl, index=_index(one))]
    if operation.name == "put_many":
        puts = [Put(one.namespace, one.key, one.value, ttl=one.ttl, index=_index(one)) for one in operation.documents]
        return store.put_many(puts)
    if operation.name == "delete":
        return [store.delete(*operation.doomed[0])]
    return store.delete_many(list(operation.doomed))


def _index(document: Document) -> Any:
    """Paths, or not searchable at all."""
    return ["title", "text"] if document.indexed else False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--documents", type=int, required=True, help="how many documents to send in all")
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--until", type=Path, help="goes on, beyond --documents, until this file exists")
    parser.add_argument("--rate", type=float, default=0.0, help="documents a second; 0: as fast as possible")
    options = parser.parse_args()
    plan = Plan(options.seed, keys=max(4, int(options.documents * _KEYS_PER_DOCUMENT)))
    with ScyllaStore.from_settings() as store:
        writer = Writer(store, plan, options.record)
        began, first = time.monotonic(), writer.documents
        while writer.documents < options.documents or (options.until and not options.until.exists()):
            writer.step()
            if options.rate:
                # A pace, so that a run lasts long enough for everything to be killed in it.
                ahead = (writer.documents - first) / options.rate - (time.monotonic() - began)
                time.sleep(max(0.0, ahead))


if __name__ == "__main__":
    main()
