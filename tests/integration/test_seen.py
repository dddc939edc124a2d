"""What status and health show of real worker processes, over Redis, Qdrant and SQLite."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ScyllaStore
from tests.acceptance.waiting import poll
from tests.contract.index.points import fresh_name

PATIENCE = 90.0
pytestmark = pytest.mark.integration


@pytest.fixture
def settings(redis_server: str, qdrant: str, tmp_path: Path) -> dict[str, Any]:
    """Of a store with workers."""
    name = fresh_name()
    return {
        "path": str(tmp_path / "store"),
        "celery__broker_url": redis_server,
        "celery__queue": name,
        "celery__maintenance_queue": f"{name}.maintenance",
        "celery__drain_interval": 1.0,
        "index__url": qdrant,
        "index__collection": name,
        "embedder__name": "hashing",
    }


@contextmanager
def process(settings: dict[str, Any], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker or beat in a session of its own."""
    environment = {f"SCYLLA_STORE_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "scylla_store.cli", *arguments, "--loglevel", "error"]
    with subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def test_workers_that_live_die_and_end_are_seen_and_so_is_a_beat_that_is_gone(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    with ScyllaStore.from_settings(**settings) as store:
        store.setup()
        assert store.status().workers == 0
        assert {name: line.state for name, line in store.health().items() if line.state != "ok"} == {
            "broker": "degraded", "workers": "degraded", "drain": "degraded",
        }  # fmt: skip
        with process(settings, "beat", "--schedule", str(tmp_path / "beat")) as beat:
            # Given a worker of two processes, and one of threads
            with process(settings, "worker", "--concurrency", "2") as prefork:
                with process(
                    settings, "worker", "--concurrency", "2", "--pool", "threads", "-n", "threads@%h"
                ) as threads:
                    assert poll(lambda: store.status().workers == 3, PATIENCE)
                    assert {line.state for line in store.health().values()} == {"ok"}
                    # When documents are put, then it is seen how many are brought to the index
                    for number in range(30):
                        store.put(("docs",), str(number), {"text": f"number {number}"})
                    assert poll(lambda: store.status().pending == 0 and (store.status().rate or 0) > 0, PATIENCE)
                    # When a worker ends, it is off the list at once
                    threads.terminate()
                    threads.wait(PATIENCE)
                    assert poll(lambda: store.status().workers == 2, 15.0)
                # When the other one is killed, nobody is there to notice but whoever looks
                os.killpg(prefork.pid, signal.SIGKILL)
                prefork.wait(PATIENCE)
                assert poll(lambda: store.health()["workers"].state == "degraded", 40.0)
                assert poll(lambda: store.health()["drain"].state == "degraded", 15.0)
            assert beat.poll() is None
