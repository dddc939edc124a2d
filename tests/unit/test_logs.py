"""Logs as JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import logging, sys
from scylla_store.contrib.celery import make_app
from scylla_store.settings import load
app = make_app(load())
app.conf.task_always_eager = True

@app.task(name="shop.task")
def task():
    logging.getLogger("scylla_store.shop").error("%d documents wait, \\u00e4", 3)

app.log.setup(loglevel="INFO")
task.apply(task_id="id-1")
try:
    raise RuntimeError("planted")
except RuntimeError:
    logging.getLogger("scylla_store.shop").exception("It failed")
"""


def run(*command: str, **environment: str) -> list[str]:
    """Lines on stderr of a program."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, *command], env={**known, **environment}, capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()


def test_a_worker_writes_one_object_a_line_that_names_the_task() -> None:
    lines = run(
        "-c", SCRIPT,
        SCYLLA_STORE_CELERY__BROKER_URL="memory://", SCYLLA_STORE_MONITORING__LOG_FORMAT="json",
    )  # fmt: skip

    ours = [record for record in map(json.loads, lines) if record["logger"] == "scylla_store.shop"]
    assert [record["message"] for record in ours] == ["3 documents wait, ä", "It failed"]
    first, second = ours
    assert (first["level"], first["task"], first["task_id"]) == ("ERROR", "shop.task", "id-1")
    assert first["time"].endswith("Z")
    assert "RuntimeError: planted" in second["exc_info"]
    assert "task" not in second


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_command_line_writes_its_log_as_it_is_told(tmp_path: Path, form: str) -> None:
    # When a document becomes a dead letter, which is an error in the log
    lines = run(
        "-m", "scylla_store.cli", "put", "docs", "k", '{"text": "cannot be embedded"}', "--wait",
        SCYLLA_STORE_PATH=str(tmp_path), SCYLLA_STORE_MONITORING__LOG_FORMAT=form, PYTHONPATH=str(ROOT),
        SCYLLA_STORE_SYNC__MAX_ATTEMPTS="1", SCYLLA_STORE_EMBEDDER__NAME="tests.integration.embedders:Troubled",
    )  # fmt: skip
    # Then it is one line
    (line,) = [line for line in lines if "is a dead letter now" in line]
    if form == "text":
        assert line.startswith("ERROR scylla_store.worker: Item ")
    else:
        record = json.loads(line)
        assert (record["level"], record["logger"]) == ("ERROR", "scylla_store.worker")
        assert record["message"].startswith("Item ")
