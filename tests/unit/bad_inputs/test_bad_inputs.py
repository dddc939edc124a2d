"""Wrong arguments at random, over all public calls: a ValidationError that names the argument, and nothing was written.

More of them: SCYLLA_STORE_TEST_BAD_INPUTS=100000, from the case SCYLLA_STORE_TEST_SEED on. With the first of them set no call may take
longer than 100 ms. `pytest -s` shows how many of each call there were.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ScyllaStore, ValidationError
from scylla_store.database.sqlite import SQLite
from scylla_store.testing import SettableClock, TestingStore
from tests.unit.bad_inputs.calls import CALLS, Case, case
from tests.unit.bad_inputs.watched import WatchedDatabase

CASES = int(os.environ.get("SCYLLA_STORE_TEST_BAD_INPUTS", "5000"))
FIRST = int(os.environ.get("SCYLLA_STORE_TEST_SEED", "0"))
IS_TIMED = "SCYLLA_STORE_TEST_BAD_INPUTS" in os.environ
LONGEST = 0.1
"""Seconds."""

DOCUMENTED = {
    "put", "put_many", "delete", "delete_many", "delete_namespace", "pipeline", "batch", "put_if_not_exists", "update_if_exists",
    "compare_and_set", "delete_if_exists", "delete_if_version", "update", "get", "get_many", "search", "search_many", "find", "list",
    "list_namespaces", "count", "status", "reconcile", "resync", "flush", "dead_letters",
}  # fmt: skip
WITHOUT_ARGUMENTS = {"after_fork", "close", "health", "parts", "settings", "setup", "from_settings"}
"""`from_settings` has its own tests: its errors are those of settings."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def watched(folder: Path, clock: SettableClock) -> Iterator[WatchedDatabase]:
    database = SQLite(folder, timeout=5.0, clock=clock)
    database.setup()
    yield WatchedDatabase(database)
    database.close()


@pytest.fixture
def store(folder: Path, watched: WatchedDatabase, clock: SettableClock) -> Iterator[TestingStore]:
    """A store with two documents that are indexed, of which one may live longer, and one that waits."""
    with TestingStore(folder, database=watched, clock=clock) as store:
        store.receipt = store.put(("docs",), "seed", {"text": "words"}, wait=0)  # type: ignore[attr-defined]
        store.put(("docs", "below", "it"), "k", {"text": "other words"}, ttl=3600, wait=0)
        store.put(("docs",), "waits", {"text": "words that wait"})
        clock.advance(60)
        assert store.search(("docs",), "words", filter={"text": "words"})
        yield store


def contents(folder: Path) -> list[str]:
    """All tables, the outbox included, as SQL."""
    file = folder / "store.sqlite3"
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_wrong_argument_is_refused_with_its_name_and_nothing_is_written(
    store: TestingStore, watched: WatchedDatabase, clock: SettableClock, folder: Path
) -> None:
    before = contents(folder)
    watched.writes.clear()
    counts: Counter[str] = Counter()
    longest: dict[str, tuple[float, int]] = {}
    failures: list[str] = []

    for seed in range(FIRST, FIRST + CASES):
        one = case(seed)
        clock.advance(0.001)  # a TTL that is granted again ends later
        problem, seconds = outcome(store, one)
        if problem is None and watched.writes:
            problem = f"wrote by {watched.writes}"
        if problem is not None:
            failures.append(f"case {seed}: {one.call}, wrong in {', '.join(one.names)}: {problem}")
        watched.writes.clear()
        counts[one.call] += 1
        longest[one.call] = max(longest.get(one.call, (0.0, 0)), (seconds, seed))

    report(counts, longest)
    assert failures == [], "\n".join(["", *failures[:20], f"and {max(0, len(failures) - 20)} more"])
    assert contents(folder) == before
    assert not IS_TIMED or slow(store, longest) == {}


def outcome(store: ScyllaStore, one: Case) -> tuple[str | None, float]:
    """What is wrong about the answer (None: nothing), and how many seconds it took."""
    began = time.perf_counter()
    try:
        one.run(store)
        problem: str | None = "it was taken"
    except ValidationError as exc:
        message = str(exc)
        problem = None if any(name in message for name in one.names) else f"no name in: {message[:200]}"
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is reported
        problem = f"{type(exc).__name__}: {str(exc)[:200]}"
    return problem, time.perf_counter() - began


def slow(store: ScyllaStore, longest: dict[str, tuple[float, int]]) -> dict[str, Any]:
    """Calls whose slowest case takes as long three times more: other processes slow everything down now and then."""
    again = {name: seed for name, (seconds, seed) in longest.items() if seconds > LONGEST}
    best = {name: (min(outcome(store, case(seed))[1] for _ in range(3)), seed) for name, seed in again.items()}
    return {name: found for name, found in best.items() if found[0] > LONGEST}


def report(counts: Counter[str], longest: dict[str, tuple[float, int]]) -> None:
    print(f"\n{counts.total()} wrong calls from case {FIRST} on; the longest of each:")
    for name, (seconds, seed) in sorted(longest.items(), key=lambda entry: -entry[1][0]):
        print(f"{name:22} {counts[name]:7} {1000 * seconds:8.1f} ms (case {seed})")


def test_every_public_call_is_among_them() -> None:
    public = {name for name in dir(ScyllaStore) if not name.startswith("_")}

    assert public == DOCUMENTED | WITHOUT_ARGUMENTS
    assert {call.name.split(".")[0] for call in CALLS} - {"receipt"} == DOCUMENTED


def test_what_a_wrong_call_would_write_is_seen(store: TestingStore, watched: WatchedDatabase, folder: Path) -> None:
    before = contents(folder)
    watched.writes.clear()

    store.put(("docs",), "seed", {"text": "new"})

    assert {"commit"} <= set(watched.writes)
    assert contents(folder) != before
