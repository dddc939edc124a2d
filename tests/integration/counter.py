"""A process whose threads increment one counter, and say in a file what they were told.

    python -m tests.integration.counter NAME --threads 32 --times 3 --record FILE --path FOLDER
    python -m tests.integration.counter NAME --threads 32 --times 3 --record FILE --cql HOST:PORT --keyspace NAME

Each line of the file is a thread and how many of its increments it knows to be in the counter.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from scylla_store import Contended, DatabaseUnavailable, OutcomeUnknown, ScyllaStore, Settings
from scylla_store.intents import Ref
from scylla_store.settings.options import DatabaseSettings

NS, KEY = ("counters",), "visits"


class Unsent:
    """A dispatcher that leaves everything to the outbox: nobody indexes here."""

    def send(self, refs: Sequence[Ref], task_id: str) -> None: ...

    def backlog(self) -> int:
        return 0

    def close(self) -> None: ...


def store_of(path: str | None, cql: str | None, keyspace: str) -> ScyllaStore:
    """A store without an index."""
    database = DatabaseSettings() if cql is None else DatabaseSettings(contact_points=(cql,), keyspace=keyspace)
    return ScyllaStore(Settings(path=path or "unused", database=database), dispatcher=Unsent())


class Counter:
    """One thread's increments."""

    def __init__(self, store: ScyllaStore, name: str) -> None:
        self._store = store
        self._name = name
        self.unknown = 0

    def increment(self, known: int) -> None:
        """Adds one, for certain: what became of a lost answer is read by a write that changes nothing."""
        while True:
            try:
                self._store.update(NS, KEY, self._plus_one, attempts=1000)
            except OutcomeUnknown:
                self.unknown += 1
                if self._counted() == known:
                    continue
            except (Contended, DatabaseUnavailable):  # nothing was written
                continue
            return

    def _plus_one(self, value: dict[str, Any]) -> dict[str, Any]:
        return {"n": value["n"] + 1, "by": {**value["by"], self._name: value["by"].get(self._name, 0) + 1}}

    def _counted(self) -> int:
        while True:
            try:
                outcome = self._store.update(NS, KEY, {}, attempts=1000)
            except (OutcomeUnknown, Contended, DatabaseUnavailable):
                continue
            assert outcome.current is not None
            return int(outcome.current.value["by"].get(self._name, 0))


def run(store: ScyllaStore, name: str, threads: int, times: int, record: TextIO) -> int:
    """All threads of this process; returns how many answers were lost."""
    lock = threading.Lock()

    def count(number: int) -> int:
        counter = Counter(store, f"{name}-{number}")
        for done in range(times):
            counter.increment(done)
            with lock:
                record.write(f"{name}-{number} {done + 1}\n")
                record.flush()
        return counter.unknown

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(count, range(threads)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--times", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--path")
    parser.add_argument("--cql")
    parser.add_argument("--keyspace", default="scylla_store")
    given = parser.parse_args()
    with store_of(given.path, given.cql, given.keyspace) as store, given.record.open("a") as record:
        unknown = run(store, given.name, given.threads, given.times, record)
    print(f"{given.name}: {unknown} answers were lost")


if __name__ == "__main__":
    main()
