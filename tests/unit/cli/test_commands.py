"""The commands, on an embedded store in a folder of the test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scylla_store import ScyllaStore
from scylla_store.cli import main
from scylla_store.cli.program import NOT_FOUND, UNAVAILABLE, USAGE
from scylla_store.cli.reference import reference

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the store of the test."""
    monkeypatch.setenv("SCYLLA_STORE_PATH", str(tmp_path / "store"))
    monkeypatch.setenv("SCYLLA_STORE_EMBEDDER__NAME", "hashing")

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=stdin)

    return run


def answer(result: Result, code: int = 0) -> Any:
    """The JSON document that a command printed."""
    assert code == result.exit_code, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_what_was_put_can_be_got_listed_searched_and_deleted(run: Run) -> None:
    # Given a document
    stored = answer(run("put", "docs/alice", "tea", '{"text": "boiling water over the leaves"}', "--json"))
    assert (stored["namespace"], stored["key"], stored["created"]) == (["docs", "alice"], "tea", True)
    # Then every way to read finds it
    assert answer(run("get", "docs/alice", "tea", "--json"))["value"] == {"text": "boiling water over the leaves"}
    assert [item["key"] for item in answer(run("list", "docs", "--json"))["items"]] == ["tea"]
    assert answer(run("list", "--namespaces", "--json"))["namespaces"] == [["docs", "alice"]]
    found = answer(run("search", "docs", "boiling water", "--json"))
    assert [(hit["item"]["key"], hit["fresh"]) for hit in found["hits"]] == [("tea", True)]
    assert found["pending"] == 0
    # When it is deleted
    assert answer(run("delete", "docs/alice", "tea", "--json"))["existed"] is True
    # Then nothing finds it
    assert answer(run("search", "docs", "boiling water", "--json"))["hits"] == []
    assert run("get", "docs/alice", "tea").exit_code == NOT_FOUND
    assert run("delete", "docs/alice", "tea").exit_code == NOT_FOUND


def test_a_listing_takes_a_filter(run: Run, tmp_path: Path) -> None:
    # Given two documents
    for key, year in (("old", 1990), ("new", 2020)):
        answer(run("put", "docs", key, json.dumps({"year": year}), "--json"))
    asked = '{"year": {"$gt": 2000}}'
    (tmp_path / "filter.json").write_text(asked)
    # Then the filter is JSON, a file or standard input
    for call in (("list", "docs", "--filter", asked), ("list", "docs", "--filter", f"@{tmp_path / 'filter.json'}")):
        assert [item["key"] for item in answer(run(*call, "--json"))["items"]] == ["new"]
    piped = run("list", "docs", "--filter", "-", "--json", stdin=asked)
    assert [item["key"] for item in answer(piped)["items"]] == ["new"]
    # And a short page says that there is more
    page = run("-o", "limits.max_scanned=1", "list", "docs", "--filter", '{"year": 1990}', "--json")
    assert answer(page) == {"items": [], "cursor": answer(page)["cursor"]}
    following = run("list", "docs", "--filter", '{"year": 1990}', "--cursor", answer(page)["cursor"], "--json")
    assert [item["key"] for item in answer(following)["items"]] == ["old"]


def test_a_search_takes_a_filter_and_says_when_it_gave_up(run: Run) -> None:
    # Given three documents with the same text
    for number in range(3):
        answer(run("put", "docs", str(number), json.dumps({"text": "tea", "at": [number, 9]}), "--json"))
    # Then the filter decides
    found = answer(run("search", "docs", "tea", "--filter", '{"at[0]": {"$ne": 1}}', "--json"))
    assert (sorted(hit["item"]["key"] for hit in found["hits"]), found["is_partial"]) == (["0", "2"], False)
    # And a search that looked at too few points says so
    result = run("-o", "limits.max_scanned=2", "search", "docs", "tea", "--filter", '{"at[0]": 9}')
    assert (result.exit_code, "There may be more" in result.output) == (0, True)


def test_a_search_without_a_filter_that_gave_up_speaks_of_none(run: Run) -> None:
    # Given a document whose chunks are the nearest points, and another one
    chunks = ("-o", "chunking.unit=characters", "-o", "chunking.size=12", "-o", "chunking.overlap=0")
    for key, text in (("long", "tea and tea " * 8), ("short", "coffee")):
        answer(run(*chunks, "put", "docs", key, json.dumps({"text": text}), "--json"))
    # When a search for two documents looks at no more points than the first one has
    result = run(*chunks, "-o", "limits.max_scanned=1", "search", "docs", "tea", "--limit", "2")
    # Then it says why there may be more
    assert (result.exit_code, "docs long" in result.stdout, "docs short" in result.stdout) == (0, True, False)
    assert "There may be more: a search looks at a bounded number of points (limits.max_scanned)." in result.stderr


def test_documents_are_found_in_an_order_page_by_page(run: Run) -> None:
    # Given three documents
    for key, year in (("a", 2), ("b", 3), ("c", 1)):
        answer(run("put", "docs", key, json.dumps({"text": "tea", "year": year}), "--json"))
    declared = ("-o", "index.range_fields=year")
    # Then what changed last comes first, or what is asked for
    assert [item["key"] for item in answer(run("find", "docs", "--json"))["items"]] == ["c", "b", "a"]
    first = answer(run(*declared, "find", "docs", "--order-by", "-year", "--limit", "2", "--json"))
    assert ([item["key"] for item in first["items"]], first["pending"], first["is_rebuilding"]) == (["b", "a"], 0, False)
    # And a page says where the next one begins
    result = run(*declared, "find", "docs", "--order-by", "-year", "--cursor", first["cursor"], "--filter", "{}")
    assert (result.exit_code, "cursor belongs to another call" in result.stderr) == (USAGE, True)
    result = run(*declared, "find", "docs", "--order-by", "-year", "--cursor", first["cursor"])
    assert [line.split("  ")[0] for line in result.stdout.splitlines()] == ["docs c"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("find", "docs", "--filter", "{"), "--filter"),
        (("find", "docs", "--order-by", "year"), "index.range_fields"),
        (("list", "docs", "--filter", "{"), "--filter"),
        (("search", "docs", "tea", "--filter", "{"), "--filter"),
        (("search", "docs", "tea", "--filter", '{"year": {"$gt": 5}}'), "index.range_fields"),
        (("list", "docs", "--filter", '{"a": {"$gtr": 1}}'), "filter.a.$gtr is no operator; did you mean $gt"),
        (("list", "docs", "--filter", "{}", "--namespaces"), "--filter and --namespaces exclude each other"),
    ],
)
def test_a_wrong_filter_is_a_wrong_use(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == USAGE
    assert said in result.output


def test_people_read_lines(run: Run) -> None:
    assert "Stored docs tea (new" in run("put", "docs", "tea", '{"text": "hot"}').stdout
    assert "Stored docs tea (replaced" in run("put", "docs", "tea", '{"text": "hotter"}').stdout
    assert '"text": "hotter"' in run("get", "docs", "tea").stdout
    assert "docs tea" in run("search", "/", "hotter").stdout
    assert "pending" in run("status").stdout
    assert "Deleted docs tea" in run("delete", "docs", "tea").stdout


def test_put_waits_when_asked(run: Run) -> None:
    assert answer(run("put", "docs", "k", '{"text": "words"}', "--wait", "--json"))["status"] == "synced"
    assert answer(run("delete", "docs", "k", "--wait", "--json"))["status"] == "synced"


def test_put_reads_files_and_standard_input(run: Run, tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    document.write_text('{"title": "from a file"}')

    run("put", "docs", "file", f"@{document}")
    run("put", "docs", "stdin", "-", stdin='{"title": "from stdin"}')

    assert answer(run("get", "docs", "file", "--json"))["value"] == {"title": "from a file"}
    assert answer(run("get", "docs", "stdin", "--json"))["value"] == {"title": "from stdin"}


def test_options_of_a_write_are_kept(run: Run) -> None:
    run("put", "docs", "hidden", '{"text": "secret words"}', "--no-index")
    run("put", "docs", "title", '{"title": "words", "text": "other"}', "--index", "title", "--ttl", "3600")

    assert answer(run("get", "docs", "title", "--json"))["expires_at"] is not None
    hits = answer(run("search", "docs", "words", "--json"))["hits"]
    assert [(hit["item"]["key"], hit["path"], hit["text"]) for hit in hits] == [("title", "title", "words")]


def test_a_ttl_is_that_of_the_command_or_of_the_settings_or_none(run: Run) -> None:
    defaults = ("-o", "ttl.defaults=docs=60")
    run("put", "docs", "default", '{"text": "words"}', *defaults)
    run("put", "docs", "never", '{"text": "words"}', "--ttl", "never", *defaults)
    run("put", "other", "default", '{"text": "words"}', *defaults)

    ends = [answer(run("get", *of, "--json"))["expires_at"] for of in (("docs", "default"), ("docs", "never"), ("other", "default"))]
    [refreshed] = answer(run("search", "docs", "words", "--filter", '{"$key": "default"}', "--refresh-ttl", "--json"))["hits"]

    assert [end is None for end in ends] == [False, True, True]
    assert refreshed["item"]["expires_at"] > ends[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["put", "docs", "k", "no json"], "is not JSON"),
        (["put", "docs", "k", "[1]"], "value must be"),
        (["put", "docs", "k" * 1025, "{}"], "key has 1025 bytes"),
        (["put", "docs//x", "k", "{}"], "empty label"),
        (["put", "docs", "k", "{}", "--ttl", "-1"], "ttl"),
        (["put", "docs", "k", "{}", "--ttl", "soon"], "neither a number of seconds nor never"),
        (["put", "docs", "k", "{}", "-o", "ttl.defaults=docs"], "prefix=seconds"),
        (["put", "docs", "k", "{}", "--index", "a", "--no-index"], "exclude each other"),
        (["list", "docs", "--limit", "0"], "limit must be"),
        (["list", "docs", "--cursor", "nonsense"], "cursor is damaged"),
        (["search", "docs", " "], "query must be"),
        (["get", "docs"], "Missing argument"),
        (["get", "docs", "k", "-o", "paht=x"], "did you mean path"),
        (["dead-letters", "replay"], "--all"),
        (["dead-letters", "discard", "ID", "--reason", "ValueError"], "or --reason and --prefix, or --all"),
        (["dead-letters", "replay", "--all", "--prefix", "docs"], "or --reason and --prefix, or --all"),
        (["import", "nowhere.jsonl"], "neither a file nor a folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    result = run(*arguments)

    assert result.exit_code == USAGE, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_errors_are_json_when_asked_for(run: Run) -> None:
    result = run("get", "docs", "nothing", "--json")

    error = json.loads(result.stderr)
    assert (error["error"], error["exit_code"], result.exit_code) == ("NotFound", NOT_FOUND, NOT_FOUND)


def test_a_database_that_is_away_is_exit_code_4_and_named(run: Run) -> None:
    result = run("get", "docs", "k", "-o", "database.contact_points=127.0.0.1:1", "-o", "database.connect_timeout=1")

    assert result.exit_code == UNAVAILABLE, result.output
    assert "127.0.0.1:1" in result.stderr.replace(" ", "")


def test_what_the_driver_logs_does_not_stand_beside_the_one_line() -> None:
    command = [
        sys.executable,
        "-m",
        "scylla_store.cli",
        "get",
        "docs",
        "k",
        "-o",
        "database.contact_points=127.0.0.1:1",
    ]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == UNAVAILABLE
    assert [line.partition(" ")[0] for line in ended.stderr.splitlines()] == ["Error:"]


def test_setup_can_be_repeated(run: Run) -> None:
    assert answer(run("setup", "--json")) == answer(run("setup", "--json"))


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300", "0", "often"])
def test_status_is_not_watched_at_times_that_never_come(run: Run, seconds: str) -> None:
    result = run("status", "--watch", seconds)

    assert (USAGE, "") == (result.exit_code, result.stdout)
    assert "--watch" in result.stderr


def test_status_and_health_answer(run: Run) -> None:
    run("put", "docs", "k", '{"text": "words"}')

    assert answer(run("status", "--exact", "--json"))["pending"] == 1
    assert {line["state"] for line in answer(run("health", "--json")).values()} == {"ok"}


def test_dead_letters_are_listed_shown_replayed_and_discarded(run: Run, tmp_path: Path) -> None:
    # Given a document that an embedder refuses, until it is repaired
    broken = ["-o", "embedder.name=tests.unit.cli.broken:embed", "-o", "sync.max_attempts=1"]
    result = run("put", "docs", "k", '{"text": "words"}', "--wait", *broken)
    assert result.exit_code == 5, result.output
    # Then its letter is there
    (letter,) = answer(run("dead-letters", "list", "--json"))["dead_letters"]
    assert (letter["key"], letter["reason"], letter["discarded"]) == ("k", "RuntimeError", False)
    assert answer(run("dead-letters", "show", letter["id"], "--json")) == letter
    assert run("dead-letters", "show", "unknown").exit_code == NOT_FOUND
    assert answer(run("dead-letters", "list", "--reason", "ValueError", "--json"))["dead_letters"] == []
    assert answer(run("dead-letters", "list", "--prefix", "docs", "--json"))["dead_letters"] == [letter]
    assert answer(run("dead-letters", "replay", "--reason", "RuntimeError", "--json", *broken)) == {"replayed": 1}
    counts = answer(run("dead-letters", "counts", "--json"))
    assert counts == {"dead": {"RuntimeError": 1}, "discarded": {}, "exact": True}
    # When it is discarded, and asked for again by name
    assert answer(run("dead-letters", "discard", "--prefix", "notes", "--json")) == {"discarded": 0}
    assert answer(run("dead-letters", "discard", "--reason", "RuntimeError", "--json")) == {"discarded": 1}
    assert answer(run("dead-letters", "replay", "--all", "--json")) == {"replayed": 0}
    assert answer(run("dead-letters", "replay", letter["id"], "--json")) == {"replayed": 1}
    assert run("dead-letters", "replay", "unknown").exit_code == NOT_FOUND


def test_import_reads_json_lines_and_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    lines = tmp_path / "documents.jsonl"
    good = [{"namespace": ["docs"], "key": str(number), "value": {"text": f"text {number}"}} for number in range(20)]
    lines.write_text("\n".join([*map(json.dumps, good), "no json"]) + "\n")

    stopped = run("import", str(lines))
    assert stopped.exit_code == USAGE
    assert "line 21" in stopped.stderr
    skipped = answer(run("import", str(lines), "--on-error", "skip", "--restart", "--json"))

    assert (skipped["stored"], skipped["skipped"], skipped["pending"]) == (20, 1, 0)
    with ScyllaStore.from_settings() as store:
        assert store.count(("docs",), exact=True) == 20
        assert store.count(("docs",)) == 20


def test_import_reads_a_folder(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.txt").write_text("plain words")
    (folder / "sub" / "two.md").write_text("# A title\n\nmarked words")
    (folder / "three.bin").write_bytes(b"\xff\x00")

    summary = answer(run("import", str(folder), "--namespace", "texts", "--json"))

    assert summary["stored"] == 2
    assert [item["key"] for item in answer(run("list", "texts", "--json"))["items"]] == ["one.txt", "sub/two.md"]


def test_settings_shows_values_origins_and_no_secrets(run: Run) -> None:
    shown = answer(
        run(
            "settings",
            "-o",
            "database.username=ann",
            "-o",
            "database.password=geheim",
            "-o",
            "sync.margin=12",
            "--json",
        )
    )

    assert "geheim" not in json.dumps(shown)
    rows = {row["name"]: row for row in shown["settings"]}
    assert (rows["sync.margin"]["value"], rows["embedder.name"]["value"]) == ("12.0", "'hashing'")
    assert rows["embedder.name"]["origin"] == "SCYLLA_STORE_EMBEDDER__NAME"
    assert rows["sync.backoff"]["origin"] == "default"


def test_worker_and_beat_need_a_broker(run: Run) -> None:
    for role in ("worker", "beat"):
        result = run(role)
        assert result.exit_code == USAGE
        assert "celery.broker_url" in result.stderr


def test_the_reference_page_is_made_of_the_commands() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"

    assert page.read_text(encoding="utf-8") == reference()
