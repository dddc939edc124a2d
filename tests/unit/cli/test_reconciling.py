"""`scylla-store reconcile` on an embedded store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scylla_store import ScyllaStore
from scylla_store.cli import main
from scylla_store.cli.program import USAGE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents that are indexed, named by the environment."""
    folder = tmp_path / "store"
    monkeypatch.setenv("SCYLLA_STORE_PATH", str(folder))
    monkeypatch.setenv("SCYLLA_STORE_EMBEDDER__NAME", "hashing")
    monkeypatch.setenv("SCYLLA_STORE_RECONCILE__GRACE", "0.1")
    with ScyllaStore.from_settings() as store:
        for number in range(5):
            store.put(("docs",), f"k{number}", {"text": f"tea {number}"}, wait=30)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["reconcile", *arguments])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_where_nothing_differs_it_says_how_much_it_compared(folder: Path) -> None:
    result = run()

    assert result.exit_code == 0
    assert "Compared 5 documents and 5 points" in result.stdout
    assert "0 differences" in result.stdout


def test_a_deleted_index_is_rebuilt_in_one_command_and_a_second_one_finds_nothing(folder: Path) -> None:
    shutil.rmtree(folder / "index")

    assert document(run("--dry-run", "--json"))["missing"] == 5
    first = document(run("--full", "--json"))
    assert (first["missing"], first["repaired"], first["pending"], first["full"]) == (5, 5, 0, True)
    second = document(run("--json"))
    assert (second["drift"], second["scanned"], second["points"]) == (0, 5, 5)


def test_people_read_which_kinds_of_differences_there_are(folder: Path) -> None:
    shutil.rmtree(folder / "index")

    dry = run("--dry-run").stdout
    assert "missing  5  documents without points" in dry
    assert "Nothing was changed" in dry
    assert "5 repairs are filed, and done." in run("--max-rate", "1000000").stdout


def test_a_rate_of_nothing_is_refused(folder: Path) -> None:
    assert run("--max-rate", "0").exit_code == USAGE
