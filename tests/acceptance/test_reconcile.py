"""Reconciliation on real servers: planted defects are counted exactly and repaired, kills cost nothing, a busy system shows none.

More of each: SCYLLA_STORE_TEST_DOCUMENTS, SCYLLA_STORE_TEST_DEFECTS, SCYLLA_STORE_TEST_KILLS, SCYLLA_STORE_TEST_BUSY_SECONDS.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from scylla_store import Put, ScyllaStore
from scylla_store.identity import ItemId
from scylla_store.reconcile import Drift
from tests.acceptance.drifting import Planter
from tests.acceptance.waiting import poll

DOCUMENTS = int(os.environ.get("SCYLLA_STORE_TEST_DOCUMENTS", "2000"))
DEFECTS = int(os.environ.get("SCYLLA_STORE_TEST_DEFECTS", "160"))
KILLS = int(os.environ.get("SCYLLA_STORE_TEST_KILLS", "2"))
BUSY = float(os.environ.get("SCYLLA_STORE_TEST_BUSY_SECONDS", "15"))
PATIENCE = 300.0 + DOCUMENTS / 100
NONE = dict.fromkeys((kind.value for kind in Drift), 0)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]


@pytest.fixture
def options(cassandra: str, qdrant: str) -> dict[str, str]:
    """A store on real servers, indexed by the process that uses it."""
    name = f"reconcile_{uuid.uuid4().hex[:12]}"
    return {
        "database__contact_points": cassandra,
        "database__keyspace": name,
        "index__url": qdrant,
        "index__collection": name,
        "index__timeout": "30",
        "embedder__name": "hashing",
        "chunking__size": "8",
        "chunking__overlap": "0",
        "reconcile__interval": "86400",
        "reconcile__grace": "2",
    }


@pytest.fixture
def store(options: dict[str, str]) -> Iterator[ScyllaStore]:
    with ScyllaStore.from_settings(**options) as store:
        store.setup()
        yield store


def item(number: int) -> ItemId:
    return ItemId(("docs", f"user {number % 40}"), f"k{number}")


def put(number: int, word: str = "tea") -> Put:
    return Put(
        *item(number), {"text": f"{word} number {number}, which is made of so many words that it has several chunks"}
    )


def fill(store: ScyllaStore) -> None:
    for start in range(0, DOCUMENTS, 500):
        store.put_many([put(number) for number in range(start, min(DOCUMENTS, start + 500))])
    assert is_calm(store)


def is_calm(store: ScyllaStore) -> bool:
    return poll(lambda: store.status(exact=True).pending == 0, PATIENCE, every=0.5)


def command(options: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """`scylla-store reconcile` in a process of its own."""
    given = [f"--option={name.replace('__', '.')}={value}" for name, value in options.items()]
    line = [sys.executable, "-m", "scylla_store.cli", *given, "reconcile", "--no-wait", "--json", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def kinds(found: dict[str, object]) -> dict[str, object]:
    return {kind: found[kind] for kind in NONE}


def test_planted_defects_are_counted_exactly_repaired_and_gone_whoever_is_killed(
    store: ScyllaStore, options: dict[str, str]
) -> None:
    # Given documents whose points are right and not just written, and defects of every kind
    options["reconcile__grace"] = "0.1"
    fill(store)
    chosen = random.Random(1).sample(range(DOCUMENTS), DEFECTS)
    with httpx.Client(base_url=f"{options['index__url']}/collections/{options['index__collection']}/points") as client:
        planted = Planter(client, store.parts.database).plant([item(number) for number in chosen])
    # Then a dry run counts them, and changes nothing
    assert kinds(report(command(options, "--dry-run"))) == planted
    assert store.status(exact=True).pending == 0
    # When a reconciliation is killed in the middle again and again
    rate = f"--max-rate={DOCUMENTS / 5}"
    for kill in range(KILLS):
        process = command(options, rate)
        began = store.parts.database.state("reconcile.call")
        assert poll(lambda began=began: store.parts.database.state("reconcile.call") != began, PATIENCE, every=0.05), (
            kill
        )
        process.kill()
        process.communicate()
    # Then the next one goes on, and counts each of them once
    found = report(command(options))
    assert kinds(found) == planted
    assert found["repaired"] == DEFECTS
    assert found["resumed"] == KILLS
    # And when the repairs are done, nothing differs
    assert is_calm(store)
    again = report(command(options, "--full"))
    print(json.dumps({"first": found, "again": again}, indent=2))
    assert kinds(again) == NONE
    assert store.status().last_reconcile is not None


def test_a_busy_system_shows_no_drift(store: ScyllaStore) -> None:
    # Given writers who never stop
    fill(store)
    stop = threading.Event()
    errors: list[BaseException] = []

    def write(seed: int) -> None:
        choose = random.Random(seed)
        try:
            while not stop.is_set():
                number = choose.randrange(DOCUMENTS)
                if choose.random() < 0.1:
                    store.delete(*item(number))
                else:
                    store.put_many([put(number, choose.choice(("tea", "coffee"))), put(choose.randrange(DOCUMENTS))])
                stop.wait(0.02)
        except BaseException as exc:
            errors.append(exc)
            raise

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(2)]
    for writer in writers:
        writer.start()
    # When it is compared again and again meanwhile
    reports = []
    end = time.monotonic() + BUSY
    while time.monotonic() < end:
        reports.append(store.reconcile())
    stop.set()
    for writer in writers:
        writer.join()
    # Then nothing is ever found, although much was in flight
    print(json.dumps({"reports": len(reports), "in_flight": sum(report.in_flight for report in reports)}))
    assert errors == []
    assert [report.kinds() for report in reports if report.drift] == []
