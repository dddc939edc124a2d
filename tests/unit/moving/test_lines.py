"""The lines of an export."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scylla_store.errors import ValidationError
from scylla_store.identity import ItemId
from scylla_store.moving import Header, Stored, footer_count, from_line
from scylla_store.moving.lines import footer, to_line
from scylla_store.rows import Head, IndexSpec, Row, encode_body

CREATED = 1_700_000_000_000_001
HEADER = Header(("docs", "é"), {"year": {"$gt": 2000}}, CREATED)


def row(value: bytes, *, index: IndexSpec = None, expires_at: int | None = None) -> Row:
    head = Head(bytes(16), CREATED, index=index)
    return Row(ItemId(("a/b", "\u2028"), 'k"\n'), CREATED + 5, head, expires_at, encode_body(bytes(16), value), None)


@pytest.mark.parametrize("index", [None, False, ("title", "sections[*].text")])
@pytest.mark.parametrize("expires_at", [None, CREATED + 1, 253_402_300_799_999_999])
def test_a_line_brings_back_all_that_it_was_made_of(index: IndexSpec, expires_at: int | None) -> None:
    value = {"text": "line\nend\u2028 \U0001f600", "float": 1.0, "small": 1e-300, "large": 10**40, "none": None}
    raw = json.dumps(value, ensure_ascii=False).encode()

    line = to_line(row(raw, index=index, expires_at=expires_at))

    expected = list(index) if isinstance(index, tuple) else index
    assert from_line(line) == Stored(["a/b", "\u2028"], 'k"\n', value, expected, CREATED, expires_at)
    assert line.endswith(b'"value":' + raw + b"}\n")
    assert line.count(b"\n") == 1


def test_the_header_and_the_last_line_are_read_back() -> None:
    assert Header.from_line(HEADER.to_line()) == HEADER
    assert footer_count(footer(7)) == 7
    assert [footer_count(line) for line in (HEADER.to_line(), b'{"documents":1,"key":"k"}', b'{"documents":', b"")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": {"x": 1, "y": [2]}}, {"b": {"y": [2], "x": 1}, "a": 1}, True),
        (None, None, True),
        (None, {}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": {"$in": [0]}}, {"a": {"$in": [False]}}, False),
        ({"a": 1}, {"a": 2}, False),
    ],
)
def test_exports_are_of_the_same_when_their_filters_are_the_same_json(one: Any, other: Any, same: bool) -> None:
    asked = Header(("docs",), one, 1)

    assert Header.from_line(asked.to_line()).is_of_the_same(Header(("docs",), other, 2)) is same
    assert not asked.is_of_the_same(Header((), one, 1))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "its first line is no header"),
        (b"[1]", "its first line is no header"),
        (b'{"key": "k", "value": {}}', "scylla-store import loads other JSON lines"),
        (b'{"scylla_store_export": 2}', "in format 2, and this version of the library reads 1"),
        (b'{"scylla_store_export": 1}', "its header is damaged"),
    ],
)
def test_what_is_no_header_is_refused(line: bytes, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Header.from_line(line)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": ...}, "field 'key' is missing"),
        ({"created_at": ...}, "field 'created_at' is missing"),
        ({"ttl": 5}, "unknown field 'ttl'"),
        ({"created_at": "yesterday"}, "created_at must be a time with its zone"),
        ({"created_at": "2025-01-31T12:00:00"}, "created_at must be a time with its zone"),
        ({"expires_at": 5}, "expires_at must be a time with its zone"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(change: dict[str, object], said: str) -> None:
    document = {"namespace": ["a"], "key": "k", "created_at": "2025-01-31T12:00:00+00:00", "value": {}, **change}
    line = json.dumps({name: value for name, value in document.items() if value is not ...}).encode()

    with pytest.raises(ValidationError, match=said):
        from_line(line)


@pytest.mark.parametrize("line", [b"{", b"\xff", b"[1]", b"[" * 100_000])
def test_a_line_that_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValidationError, match=r"not JSON|a JSON object is needed"):
        from_line(line)
