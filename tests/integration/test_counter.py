"""Threads of several processes increment one counter by `update`; one process is killed, and the sum is exact."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.waiting import poll
from tests.integration.counter import KEY, NS, store_of
from tests.integration.howto import ROOT, environment

PATIENCE = 300.0
PROCESSES, THREADS, TIMES = 4, 32, 2
ENDLESS = 1_000_000
pytestmark = pytest.mark.integration


def known(record: Path) -> Counter[str]:
    """How many increments each thread was sure of; a line that a kill cut says nothing."""
    found: Counter[str] = Counter()
    lines = record.read_text().splitlines(keepends=True) if record.exists() else []
    for line in lines:
        if line.endswith("\n"):
            name, count = line.split()
            found[name] = max(found[name], int(count))
    return found


def counters(folder: Path, where: list[str]) -> None:
    """Runs the processes; the first one would never end, and is killed in the middle of its work."""
    with ExitStack() as stack:
        processes = []
        for number in range(PROCESSES):
            times = TIMES if number else ENDLESS
            command = [sys.executable, "-m", "tests.integration.counter", str(number), "--threads", str(THREADS)]
            command += ["--times", str(times), "--record", str(folder / f"{number}.txt"), *where]
            process = subprocess.Popen(command, cwd=ROOT, env=environment())
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        victim, *others = processes
        assert poll(lambda: known(folder / "0.txt").total() >= THREADS, PATIENCE)
        victim.send_signal(signal.SIGKILL)
        assert [0 for _ in others] == [process.wait(PATIENCE) for process in others]


def check(folder: Path, path: str | None, cql: str | None, keyspace: str) -> None:
    """The counter holds every increment, each one once; of a killed thread also the one that it was just told about."""
    with store_of(path, cql, keyspace) as store:
        # An empty update settles what the dead may have left on its way.
        outcome = store.update(NS, KEY, {}, attempts=100)
    assert outcome.current is not None
    value = outcome.current.value
    by = value["by"]
    assert value["n"] == sum(by.values())
    for number in range(1, PROCESSES):
        assert [TIMES] * THREADS == [by[f"{number}-{thread}"] for thread in range(THREADS)]
    sure = known(folder / "0.txt")
    for thread in range(THREADS):
        name = f"0-{thread}"
        assert sure[name] <= by.get(name, 0) <= sure[name] + 1
    assert {name.split("-")[0] for name in by} == {str(number) for number in range(PROCESSES)}


def begin(path: str | None, cql: str | None, keyspace: str) -> None:
    """The counter, at zero."""
    with store_of(path, cql, keyspace) as store:
        store.parts.database.setup()
        assert store.put_if_not_exists(NS, KEY, {"n": 0, "by": {}}, index=False)


def test_the_sum_is_exact_on_sqlite_when_a_process_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    begin(path, None, "")

    counters(tmp_path, ["--path", path])

    check(tmp_path, path, None, "")


def test_the_sum_is_exact_on_a_cluster_when_a_process_is_killed(tmp_path: Path, cassandra: str) -> None:
    keyspace = f"counter_{uuid.uuid4().hex[:8]}"
    begin(None, cassandra, keyspace)

    counters(tmp_path, ["--cql", cassandra, "--keyspace", keyspace])

    check(tmp_path, None, cassandra, keyspace)


def test_a_cluster_of_one_node_is_not_waited_for_after_a_plain_write(cassandra: str) -> None:
    keyspace = f"counter_{uuid.uuid4().hex[:8]}"
    begin(None, cassandra, keyspace)

    with store_of(None, cassandra, keyspace) as store:
        reading = store.parts.database.clock()
        store.put(NS, KEY, {"n": 1, "by": {}}, index=False)
        outcome = store.update(NS, KEY, {"n": 2})

    assert reading is not None
    assert reading.has_one_clock
    assert outcome.current is not None
    assert outcome.current.value == {"n": 2, "by": {}}
