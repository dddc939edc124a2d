"""The embedded store survives kill -9 of its only process at any moment."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from pathlib import Path

import pytest

from scylla_store import ScyllaStore
from tests.acceptance.cluster import as_environment
from tests.acceptance.judge import judged
from tests.acceptance.processes import Child
from tests.acceptance.sources import database_file, embedded_outbox
from tests.acceptance.waiting import poll, wait_until_calm

KILLS = int(os.environ.get("SCYLLA_STORE_TEST_KILLS", "30"))
SEED = int(os.environ.get("SCYLLA_STORE_TEST_SEED", "1"))
DOCUMENTS = 3000
PATIENCE = 180.0
SETTINGS = {
    "sync__margin": 1.0,
    "sync__backoff": 0.5,
    "sync__outage_delay": 1.0,
    "clock__max_clock_skew": 2.0,
    "sync__max_attempts": 40,
}

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def test_a_writer_killed_thirty_times_leaves_an_index_that_equals_its_documents(tmp_path: Path) -> None:
    # Given a process with an embedded store that writes, indexes and records what it was told
    dice = random.Random(SEED)
    folder, record, stop = tmp_path / "store", tmp_path / "writer.log", tmp_path / "stop"
    goal = ["--seed", "7", "--documents", str(DOCUMENTS), "--rate", "200", "--until", str(stop)]
    settings = {**SETTINGS, "path": str(folder)}
    arguments = ["-m", "tests.acceptance.writer", *goal, "--record", str(record)]
    writer = Child("writer", arguments, as_environment(settings), tmp_path)
    try:
        # When it is killed at random moments, most of them while it writes, and started again
        for _ in range(KILLS):
            size = size_of(record)
            writer.start()
            assert poll(lambda size=size: size_of(record) > size + 10 or not writer.is_running, PATIENCE, every=0.02)  # type: ignore[misc]
            poll(lambda: False, dice.uniform(0.0, 2.0), every=0.5)
            assert writer.is_running, writer.tail()
            writer.kill()
        # And ends in peace at last
        stop.touch()
        writer.start()
        assert writer.wait(PATIENCE) == 0, writer.tail()
    finally:
        writer.kill()
    # Then the next process indexes what is left
    with ScyllaStore.from_settings(**settings) as store:
        connection = sqlite3.connect(database_file(folder))
        calm = wait_until_calm(lambda: embedded_outbox(connection), PATIENCE)
        connection.close()
        assert store.status(exact=True).pending == 0
    # And a judge from outside finds nothing wrong
    verdict = judged("--records", tmp_path, "--folder", folder)
    print(json.dumps({"seconds_until_calm": round(calm, 1), **verdict}, indent=2))
    assert verdict["found"] == {}
    assert verdict["counts"]["acknowledged"] >= DOCUMENTS * 0.9


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
