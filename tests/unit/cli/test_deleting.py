"""`scylla-store delete-namespace` on an embedded store."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scylla_store import ScyllaStore
from scylla_store.cli import main
from scylla_store.cli.program import USAGE
from scylla_store.database.sqlite import SQLite


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with documents that are indexed, named by the environment."""
    monkeypatch.setenv("SCYLLA_STORE_PATH", str(tmp_path))
    monkeypatch.setenv("SCYLLA_STORE_EMBEDDER__NAME", "hashing")
    with ScyllaStore.from_settings() as store:
        for namespace in (("docs", "a"), ("docs", "b"), ("other",)):
            store.put(namespace, "k", {"text": "hot tea"}, wait=30)


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["delete-namespace", *arguments], input=stdin)


def left() -> list[str]:
    """First labels of the namespaces that have documents, as the index and as the database have them."""
    with ScyllaStore.from_settings() as store:
        found = [item.namespace[0] for item in store.list(()).items]
        assert store.count(()) == len(found)
        return found


def test_with_yes_nothing_is_asked_and_the_index_forgets_too() -> None:
    result = run("docs", "--yes", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"prefix": ["docs"], "deleted": 2, "pending": 0}
    assert left() == ["other"]


def test_it_asks_and_no_is_no() -> None:
    refused = run("docs", stdin="n\n")
    assert refused.exit_code == 1
    assert "Delete every document under docs? [y/N]" in refused.stderr
    assert "Nothing was deleted." in refused.stderr
    assert len(left()) == 3

    agreed = run("docs/a", stdin="y\n")
    assert agreed.stdout == "Deleted 1 documents under docs/a.\n"
    assert left() == ["docs", "other"]


def test_sigterm_ends_it_after_a_page_and_the_same_command_deletes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a signal that comes while the first of two pages is read
    keys = SQLite.keys

    def signalled(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(SQLite, "keys", keys)
        signal.raise_signal(signal.SIGTERM)
        return keys(*arguments, **options)

    monkeypatch.setattr("scylla_store.walks.PAGE", 1)
    monkeypatch.setattr(SQLite, "keys", signalled)
    # Then it ends between them
    stopped = run("docs", "--yes")
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert "Stopped, 1 deleted by this run; the same command deletes the rest." in stopped.stderr
    # And the rest goes with the next call
    assert run("docs", "--yes").exit_code == 0
    assert left() == ["other"]


@pytest.mark.parametrize(("arguments", "said"), [(("docs",), "--yes"), (("/", "--yes"), "at least one label")])
def test_where_nobody_can_be_asked_and_for_everything_it_is_a_wrong_use(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == USAGE
    assert said in result.stderr
    assert len(left()) == 3
