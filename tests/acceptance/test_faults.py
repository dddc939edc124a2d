"""The fault campaign in short: a few of its faults, few operations. `tox -e faults` runs all of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.campaign.faults import faults
from tests.campaign.pages import line
from tests.campaign.run import Run, is_right, reconcile, warm_up
from tests.campaign.site import installed

SHORT = ("one worker: SIGKILL", "one Cassandra node: SIGKILL", "Qdrant works, its answers are lost")
OPERATIONS = int(os.environ.get("SCYLLA_STORE_TEST_OPERATIONS", "300"))
RATE = 10.0

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


def test_after_each_fault_nothing_is_lost_and_the_index_equals_the_documents_and_it_was_seen(
    cassandra: str, redis_server: str, qdrant: str, tmp_path: Path
) -> None:
    known = {fault.name: fault for fault in faults()}
    # Given three Cassandra nodes, Redis, Qdrant, writers, workers and beats
    with installed(tmp_path / "site") as site:
        warm_up(site, 10.0)
        # When one thing after another breaks while they work
        runs = [
            Run(site, known[name], f"r{n}", operations=OPERATIONS, rate=RATE, commit="") for n, name in enumerate(SHORT)
        ]
        for run in runs:
            run.run()
        reconcile(site, runs)
    for run, name in zip(runs, SHORT, strict=True):
        print(line(json.loads(run.result.as_line)))
        # Then the judge finds nothing, before reconcile and after it, and somebody could have seen the fault
        assert is_right(run.result, known[name]) == []
        assert run.result.acknowledged >= OPERATIONS / 2
