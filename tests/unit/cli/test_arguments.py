"""Namespaces, documents and options as a command line writes them."""

import io

import click
import pytest

from scylla_store.cli.arguments import parse_assignment, parse_document
from scylla_store.spelling import format_namespace, parse_namespace


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("docs", ("docs",)),
        ("docs/alice", ("docs", "alice")),
        (r"docs/either\/or", ("docs", "either/or")),
        (r"a\\/b", ("a\\", "b")),
        (r"\[x]", ("[x]",)),
        ('["docs", "either/or", "é"]', ("docs", "either/or", "é")),
        ("/", ()),
        ("", ()),
        ("[]", ()),
        (" a / b ", (" a ", " b ")),
    ],
)
def test_a_namespace_is_labels_with_slashes_or_a_json_list(text, labels):
    assert parse_namespace(text) == labels


@pytest.mark.parametrize(
    "text", ["docs//alice", "/docs", "docs/", "//", "docs\\", "[1]", '["a"', "[[]]", "[" * 100_000]
)
def test_a_namespace_that_is_unclear_is_refused(text):
    with pytest.raises(ValueError, match=r"label|backslash|JSON"):
        parse_namespace(text)


@pytest.mark.parametrize(
    "labels", [("docs", "alice"), ("a/b", "c\\"), ("[x]",), ("\\",), (), ("é", "\U0001f600"), ("/",), ("[", "]")]
)
def test_a_namespace_that_is_printed_can_be_typed_again(labels):
    assert parse_namespace(format_namespace(labels)) == labels


def test_a_document_is_json_or_a_file_or_standard_input(tmp_path, monkeypatch):
    file = tmp_path / "tea.json"
    file.write_text('{"from": "file"}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "stdin"}'))

    found = [parse_document(text) for text in ('{"from": "text"}', f"@{file}", "-")]

    assert found == [{"from": "text"}, {"from": "file"}, {"from": "stdin"}]


@pytest.mark.parametrize("text", ["tea", "{", "@/nowhere/tea.json", "@a\0b", '{"a":' * 100_000])
def test_a_document_that_cannot_be_read_says_so(text):
    with pytest.raises(click.BadParameter, match=r"not JSON|cannot be read"):
        parse_document(text)


def test_standard_input_that_is_no_text_says_so(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": "\xff"}'), encoding="utf-8"))

    with pytest.raises(click.BadParameter, match="standard input cannot be read"):
        parse_document("-")


def test_an_option_has_a_name_and_a_value():
    assert parse_assignment("database.keyspace = shop=1") == ("database__keyspace", "shop=1")
    with pytest.raises(click.BadParameter, match=r"section\.name=value"):
        parse_assignment("database.keyspace")
