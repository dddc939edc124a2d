"""`scylla-store export` and `load` on embedded stores."""

from __future__ import annotations

import gzip
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
from scylla_store.moving import Restorer

COUNT = 7


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stores are; the one called "source" has documents."""
    monkeypatch.setenv("SCYLLA_STORE_EMBEDDER__NAME", "hashing")
    monkeypatch.chdir(tmp_path)
    with ScyllaStore.from_settings(path="source") as store:
        for number in range(COUNT - 2):
            store.put(("docs",), f"k{number}", {"text": f"hot tea {number}", "number": number})
        store.put(("docs", "é"), "paths", {"title": "one", "text": "two"}, index=["title"], ttl=3600)
        store.put(("notes",), "hidden", {"text": "secret tea"}, index=False)
    return tmp_path


def run(store: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--path", store, *arguments])


def answer(store: str, *arguments: str) -> Any:
    result = run(store, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def body(file: str) -> list[bytes]:
    """Its lines but for the header."""
    raw = Path(file).read_bytes()
    return (gzip.decompress(raw) if file.endswith(".gz") else raw).splitlines()[1:]


def shown(store: str) -> list[tuple[Any, ...]]:
    """What a reader of the store sees but for versions, and what a search finds."""
    with ScyllaStore.from_settings(path=store) as opened:
        items = [(i.namespace, i.key, i.value, i.created_at, i.expires_at) for i in opened.list(()).items]
        opened.parts.open_index()
        hits = [(hit.item.key, hit.path, hit.text, hit.fresh) for hit in opened.search((), "tea one")]
        return [*items, *sorted(hits)]


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_what_was_exported_and_loaded_is_the_same_and_is_found_and_is_exported_the_same(name: str) -> None:
    exported = answer("source", "export", name)
    assert exported == {"file": name, "documents": COUNT, "resumed_at": 0, "skipped": 0}

    loaded = answer("target", "load", name)
    assert (loaded["stored"], loaded["kept"], loaded["pending"]) == (COUNT, 0, 0)

    answer("target", "export", f"again.{name}")
    assert body(f"again.{name}") == body(name)
    answer("source", "search", "/", "tea")  # indexes it
    assert shown("target") == shown("source")


def test_a_prefix_and_a_filter_choose() -> None:
    answer("source", "export", "some.jsonl", "--prefix", "docs", "--filter", '{"number": {"$gte": 3}}')

    assert [json.loads(line).get("key") for line in body("some.jsonl")] == ["k3", "k4", None]


def test_what_is_there_stays_unless_it_is_to_be_replaced() -> None:
    # Given a target that has newer documents
    answer("source", "export", "all.jsonl")
    answer("target", "put", "docs", "k0", '{"text": "newer"}')
    # When it is loaded, then they stay, and that is said
    result = run("target", "load", "all.jsonl")
    assert f"Loaded {COUNT - 1} documents" in result.stdout
    assert "1 were there already, and stay as they are; --overwrite replaces them." in result.stdout
    assert answer("target", "get", "docs", "k0")["value"] == {"text": "newer"}
    # And are replaced when that is asked for
    assert answer("target", "load", "all.jsonl", "--overwrite")["stored"] == COUNT
    assert answer("target", "get", "docs", "k0")["value"] == {"text": "hot tea 0", "number": 0}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_load_goes_on_and_revives_nothing_that_was_deleted_since(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    # Given a load that is killed beside its second batch
    answer("source", "export", "all.jsonl.gz")
    write, batches = Restorer.write, []

    def killed(self: Restorer, documents: Any) -> int:
        batches.append(documents)
        if len(batches) == 2 and moment == "before":
            raise Killed
        written = write(self, documents)
        if len(batches) == 2:
            raise Killed
        return written

    with monkeypatch.context() as patched:
        patched.setattr(Restorer, "write", killed)
        with pytest.raises(Killed):
            CliRunner().invoke(main, ["--path", "target", "load", "all.jsonl.gz", "--batch", "2"], catch_exceptions=False)
    # When a document of the first batch is deleted, and the command is given again
    assert run("target", "delete", "docs", "k0").exit_code == 0
    again = answer("target", "load", "all.jsonl.gz", "--batch", "2")
    # Then the rest is loaded
    there = 2 if moment == "after" else 0
    assert (again["resumed_at"], again["stored"], again["kept"]) == (3, COUNT - 2 - there, there)
    answer("target", "export", "again.jsonl.gz")
    assert body("again.jsonl.gz")[:-1] == body("all.jsonl.gz")[1:-1]
    # And everything only when that is asked for
    assert answer("target", "load", "all.jsonl.gz", "--restart")["stored"] == 1


def test_sigterm_ends_an_export_between_pages_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answer("source", "export", "whole.jsonl")
    keys, calls = SQLite.keys, []

    def signalled(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGTERM)
        return keys(*arguments, **options)

    monkeypatch.setattr("scylla_store.walks.PAGE", 2)
    monkeypatch.setattr(SQLite, "keys", signalled)
    stopped = run("source", "export", "all.jsonl")
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert "Stopped after 4 documents; the same command goes on from there." in stopped.stderr
    assert not Path("all.jsonl").exists()

    assert answer("source", "export", "all.jsonl")["resumed_at"] == 4
    assert body("all.jsonl") == body("whole.jsonl")


def test_a_bad_line_ends_a_load_or_is_left_out(folder: Path) -> None:
    answer("source", "export", "all.jsonl")
    lines = Path("all.jsonl").read_text().splitlines()
    lines[2] = lines[2].replace('"value"', '"valeu"')
    Path("all.jsonl").write_text("\n".join(lines) + "\n")

    stopped = run("target", "load", "all.jsonl")
    assert stopped.exit_code == USAGE
    assert "all.jsonl, line 3: field 'value' is missing (1 are stored" in stopped.stderr
    skipped = run("target", "load", "all.jsonl", "--on-error", "skip", "--json")
    assert json.loads(skipped.stdout)["skipped"] == 1
    assert (json.loads(skipped.stdout)["stored"], json.loads(skipped.stdout)["kept"]) == (COUNT - 2, 1)


@pytest.mark.parametrize("cut", [1, 2])
def test_a_file_that_was_cut_at_a_line_is_told(cut: int) -> None:
    answer("source", "export", "all.jsonl")
    lines = Path("all.jsonl").read_text().splitlines(keepends=True)
    Path("all.jsonl").write_text("".join(lines[:-cut]))

    result = run("target", "load", "all.jsonl")

    assert result.exit_code == USAGE
    assert f"the file is cut off: its last line does not count {COUNT + 1 - cut} documents" in result.stderr


def test_batches_are_bounded_by_bytes_also_of_a_compressed_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScyllaStore.from_settings(path="large") as store:
        for number in range(30):
            store.put(("docs",), f"{number:02}", {"text": "x" * 1000}, index=False)
    answer("large", "export", "large.jsonl.gz")
    monkeypatch.setattr("scylla_store.cli.loading._MOST_BYTES", 5000)
    write, sizes = Restorer.write, []

    def counted(self: Restorer, documents: Any) -> int:
        sizes.append(len(documents))
        return write(self, documents)

    monkeypatch.setattr(Restorer, "write", counted)
    answer("target", "load", "large.jsonl.gz")

    assert sizes == [5] * 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "all.jsonl.zst"), "must end with one of"),
        (("export", "source.jsonl", "--filter", "{"), "--filter"),
        (("export", "source.jsonl", "--filter", '{"$keys": 1}'), "$key"),
        (("load", "nowhere.jsonl"), "does not exist"),
        (("load", "lines.jsonl"), "lines.jsonl: it is no export of scylla-store"),
        (("load", "lines.txt"), "must end with one of"),
        (("load", "newer.jsonl"), "newer.jsonl: it is an export in format 2"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(arguments: tuple[str, ...], said: str) -> None:
    Path("lines.jsonl").write_text('{"key": "k", "value": {}}\n')
    Path("lines.txt").write_text("")
    Path("newer.jsonl").write_text('{"scylla_store_export": 2}\n')

    result = run("source", *arguments)

    assert (result.exit_code, len(result.stderr.splitlines())) == (USAGE, 1), result.output
    assert said in result.stderr
    assert not list(Path().glob("*.partial"))
