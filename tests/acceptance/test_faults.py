"""The fault campaign in short: a few of its faults, few operations. `tox -e faults` runs all of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.campaign.faults import faults
from tests.campaign.pages import line
from tests.campaign.run import Run, is_right, reconcile, warm_up
from tests.campaign.site import Site, installed
from tests.servers import Missing

SHORT = ("one worker: SIGKILL", "one Cassandra node: SIGKILL", "Qdrant works, its answers are lost")
OPERATIONS = int(os.environ.get("SCYLLA_STORE_TEST_OPERATIONS", "300"))
RATE = 10.0

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Three Cassandra nodes, Redis, Qdrant, writers, workers and beats; skipped without the servers, but not in CI."""
    with ExitStack() as stack:
        try:
            installation = stack.enter_context(installed(tmp_path / "site"))
        except Missing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(str(missing))
            pytest.skip(str(missing))
        yield installation


def test_after_each_fault_nothing_is_lost_and_the_index_equals_the_documents_and_it_was_seen(site: Site) -> None:
    # Given an installation at work
    warm_up(site, 10.0)
    known = {fault.name: fault for fault in faults()}
    runs = [
        Run(site, known[name], f"r{n}", operations=OPERATIONS, rate=RATE, commit="") for n, name in enumerate(SHORT)
    ]
    # When one thing after another breaks
    for run in runs:
        run.run()
    reconcile(site, runs)
    # Then the judge finds nothing, before reconcile and after it, and somebody could have seen each of them
    for run, name in zip(runs, SHORT, strict=True):
        print(line(json.loads(run.result.as_line)))
        assert is_right(run.result, known[name]) == []
        assert run.result.acknowledged >= OPERATIONS / 2
