"""`scylla-store reconcile` on an embedded store."""

from __future__ import annotations

import json
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scylla_store import ScyllaStore
from scylla_store.cli import main
from scylla_store.cli.program import USAGE
from scylla_store.database.sqlite import SQLite
from scylla_store.index.edge import QdrantEdge
from scylla_store.reconcile.reconciler import LEASE


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


def test_a_signal_ends_it_while_it_waits_for_another_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given another reconciliation at work
    asked: list[str] = []
    real = SQLite.lease

    def others(database: SQLite, name: str, owner: str, seconds: float) -> bool:
        if name != LEASE:
            return real(database, name, owner, seconds)
        asked.append(name)
        if len(asked) == 1:
            signal.raise_signal(signal.SIGTERM)
        return False

    monkeypatch.setattr(SQLite, "lease", others)
    # When the signal comes, then it does not wait any longer
    result = run()
    assert (result.exit_code, asked) == (128 + signal.SIGTERM, [LEASE])
    assert "Stopped" in result.stderr


@pytest.mark.parametrize("lost", [(), (SystemExit,)])
def test_a_signal_ends_it_within_a_request_that_hangs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lost: tuple[type[BaseException], ...]
) -> None:
    # Given an index that does not answer; what a handler raises is lost where nobody could catch it, as in __del__
    went_on: list[bool] = []
    real = QdrantEdge.slices

    def hang(index: QdrantEdge, *arguments: Any, **options: Any) -> Any:
        with suppress(*lost):
            if not went_on:
                signal.raise_signal(signal.SIGTERM)
        went_on.append(True)
        return real(index, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(QdrantEdge, "slices", hang)
        # When the signal comes
        result = run()
    # Then it ends there, or after the step at the latest
    assert (result.exit_code, bool(went_on)) == (128 + signal.SIGTERM, bool(lost))
    # And the next one does not wait for the lease of this one
    with ScyllaStore.from_settings() as store:
        assert store.parts.database.lease(LEASE, "another", 1.0)
