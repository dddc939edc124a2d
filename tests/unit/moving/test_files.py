"""The file of an export: cut anywhere, it is gone on with behind its last whole line."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from scylla_store.errors import ValidationError
from scylla_store.file_locks import lock
from scylla_store.identity import ItemId
from scylla_store.moving import ExportFile, Header, read_lines

HEADER = Header(("docs",), None, 1_700_000_000_000_000)
LATER = Header(("docs",), None, 1_800_000_000_000_000)
KEYS = [f"k{number:02}" for number in range(40)]
LINES = [
    b'{"namespace":["docs"],"key":"%s","created_at":"2025-01-31T12:00:00+00:00","value":{}}\n' % key.encode()
    for key in KEYS
]
NAMES = ["docs.jsonl", "docs.ndjson", "docs.jsonl.gz"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a file has several."""
    monkeypatch.setattr("scylla_store.moving.files.BLOCK", 500)


def export(path: Path, header: Header = HEADER) -> int:
    """Writes all lines; returns how many were there already."""
    with ExportFile(path, header) as target:
        there = target.documents
        assert target.after == (ItemId(("docs",), KEYS[there - 1]) if there and not target.is_whole else None)
        for line in LINES[there:]:
            target.add(line)
        target.finish()
    return there


def content(path: Path) -> list[bytes]:
    return [line for line, _ in read_lines(path)]


@pytest.mark.parametrize("name", NAMES)
def test_cut_anywhere_it_is_gone_on_with_and_becomes_the_same(tmp_path: Path, name: str) -> None:
    # Given a whole file
    path = tmp_path / name
    export(path)
    whole, lines = path.read_bytes(), content(path)
    assert lines == [HEADER.to_line(), *LINES, b'{"documents":40}\n']
    assert not path.with_name(f"{name}.partial").exists()
    # When the export was killed after any number of bytes, and is called again
    resumed = set()
    for cut in range(0, len(whole) + 1, 11):
        path.unlink()
        path.with_name(f"{name}.partial").write_bytes(whole[:cut])
        resumed.add(export(path, LATER if cut > len(HEADER.to_line()) * 2 else HEADER))
        # Then the file is as if nothing had been
        assert content(path)[1:] == lines[1:]
    assert len(resumed) > 5


@pytest.mark.parametrize("name", NAMES)
def test_killed_before_it_got_its_name_it_only_gets_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    export(path)
    whole = path.read_bytes()
    path.rename(path.with_name(f"{name}.partial"))

    assert export(path) == len(KEYS)

    assert path.read_bytes() == whole


def test_of_a_torn_line_nothing_stays_when_less_follows(tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl.partial").write_bytes(HEADER.to_line() + LINES[0] + b"x" * 1000)

    with ExportFile(tmp_path / "docs.jsonl", HEADER) as target:
        target.finish()

    assert content(tmp_path / "docs.jsonl") == [HEADER.to_line(), LINES[0], b'{"documents":1}\n']


def test_no_more_than_a_block_is_held(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    with ExportFile(path, HEADER) as target:
        for number, line in enumerate(LINES, 1):
            target.add(line)
            written = path.with_name("docs.jsonl.partial").stat().st_size
            assert len(HEADER.to_line()) + len(line) * number - written < 500


def test_left_by_an_error_it_keeps_what_was_added(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl.gz"

    def fails() -> None:
        with ExportFile(path, HEADER) as target:
            target.add(LINES[0])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not path.exists()
    assert export(path) == 1


def test_a_file_that_is_there_is_replaced_only_when_asked_for_and_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text("precious")
    with pytest.raises(ValidationError, match="there already; --overwrite"):
        ExportFile(path, HEADER)
    with ExportFile(path, HEADER, replaces=True) as target:
        target.add(LINES[0])
        assert path.read_text() == "precious"
        target.finish()
    assert content(path)[1:-1] == LINES[:1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (Header(("docs",), {"a": 1}, 5).to_line(), "another prefix or filter; --restart begins anew"),
        (Header((), None, 5).to_line(), "another prefix or filter; --restart begins anew"),
        (Header(("docs",), {"a": True}, 5).to_line(), "another prefix or filter; --restart begins anew"),
        (b'{"key": "k"}\n', "no header.*--restart begins anew"),
        (HEADER.to_line() + b"nonsense\n", "not JSON.*--restart begins anew"),
    ],
)
def test_a_stopped_export_of_something_else_is_not_gone_on_with(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "docs.jsonl"
    partial = tmp_path / "docs.jsonl.partial"
    partial.write_bytes(text)
    with pytest.raises(ValidationError, match=said):
        ExportFile(path, HEADER)
    assert partial.read_bytes() == text

    with ExportFile(path, HEADER, restarts=True) as target:
        target.finish()
    assert content(path) == [HEADER.to_line(), b'{"documents":0}\n']


@pytest.mark.parametrize("name", ["docs.jsonl.zst", "docs.json.bz2", "docs", "docs.txt"])
def test_another_extension_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=r"must end with one of \.jsonl, \.ndjson, \.gz"):
        ExportFile(tmp_path / name, HEADER)
    assert list(tmp_path.iterdir()) == []


def test_a_torn_or_damaged_gzip_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "docs.gz"
    export(path)
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:-8] + bytes(4) + whole[-4:], b"plain text\n"):
        path.write_bytes(damaged)
        with pytest.raises(ValidationError, match="cut off or damaged"):
            content(path)


def test_members_of_other_programs_are_read_too_and_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "docs.gz"
    path.write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n"))

    assert list(read_lines(path)) == [(b"one\n", 4), (b"two\n", 8), (b"three\n", 14)]
    assert list(read_lines(path, 8)) == [(b"three\n", 14)]


@pytest.mark.parametrize("name", NAMES)
def test_two_exports_to_one_file_at_once_are_refused_and_the_first_one_becomes_whole(tmp_path: Path, name: str) -> None:
    # Given an export that has written some blocks
    path = tmp_path / name
    with ExportFile(path, HEADER) as first:
        for line in LINES[:20]:
            first.add(line)
        # When the same is asked for again, then it is refused, however
        for options in ({}, {"restarts": True}, {"replaces": True}):
            with pytest.raises(
                ValidationError, match="another export is writing it: wait for it, or name another file"
            ):
                ExportFile(path, HEADER, **options)
        # And the first one becomes what it would have become
        for line in LINES[20:]:
            first.add(line)
        first.finish()
    assert content(path) == [HEADER.to_line(), *LINES, b'{"documents":40}\n']
    with ExportFile(path, HEADER, replaces=True) as again:
        assert again.documents == 0


def test_an_export_that_was_refused_or_left_leaves_the_file_to_others(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    with ExportFile(path, HEADER) as left:
        left.add(LINES[0])
    with pytest.raises(ValidationError, match="another prefix or filter"):
        ExportFile(path, Header((), None, 5))

    assert export(path) == 1


@pytest.mark.parametrize("replaces", [False, True])
def test_an_export_that_ends_just_before_another_one_locks_its_file_is_not_written_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaces: bool
) -> None:
    # Given an export that becomes whole between the moments at which another one opens its file and locks it
    path = tmp_path / "docs.jsonl"
    first = ExportFile(path, HEADER)
    first.add(LINES[0])

    def ended_before(file: int) -> None:
        first.finish()
        lock(file)

    monkeypatch.setattr("scylla_store.moving.files.lock", ended_before)
    # Then the other one is refused, and the file is whole
    with pytest.raises(ValidationError, match="another export is writing it"):
        ExportFile(path, HEADER, restarts=True, replaces=replaces)
    assert content(path) == [HEADER.to_line(), LINES[0], b'{"documents":1}\n']


def test_an_export_that_ends_just_before_another_one_opens_its_file_is_not_replaced_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "docs.jsonl"

    def ended_before(file: int) -> None:
        path.write_text("precious")
        lock(file)

    monkeypatch.setattr("scylla_store.moving.files.lock", ended_before)
    with pytest.raises(ValidationError, match="there already; --overwrite"):
        ExportFile(path, HEADER)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_files_cannot_be_locked_an_export_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: int
) -> None:
    refuse_locks(monkeypatch, kind)
    assert export(tmp_path / "docs.jsonl") == 0
    assert content(tmp_path / "docs.jsonl")[-1] == b'{"documents":40}\n'
    assert "file system without locks" in caplog.text


def test_another_failure_of_a_lock_ends_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        ExportFile(tmp_path / "docs.jsonl", HEADER)


def refuse_locks(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    """As a file system does that has none."""

    def refused(file: int) -> None:
        raise OSError(kind, os.strerror(kind))

    monkeypatch.setattr("scylla_store.moving.files.lock", refused)
