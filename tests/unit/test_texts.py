"""Which strings of a document are embedded, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scylla_store.paths import render
from scylla_store.rows import IndexSpec
from scylla_store.texts import Text, text_at, texts_of

DOCUMENT: dict[str, Any] = {
    "title": "Tea",
    "author": {"name": "Alice", "age": 40},
    "tags": ["green", "", 3, ["deep"], "hot"],
    "sections": [{"text": "First"}, {"other": "x"}, {"text": "Third"}, {"text": 4}, "loose"],
    "a.b": "dotted",
    "blank": " \n\t",
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(("title",), [Text("title", "Tea")], id="a name"),
        pytest.param(
            ("author.name", "title"), [Text("author.name", "Alice"), Text("title", "Tea")], id="in path order"
        ),
        pytest.param(
            ("sections[*].text",),
            [Text("sections[0].text", "First"), Text("sections[2].text", "Third")],
            id="all elements",
        ),
        pytest.param(("sections[2].text",), [Text("sections[2].text", "Third")], id="one element"),
        pytest.param(("tags",), [Text("tags[0]", "green"), Text("tags[4]", "hot")], id="the strings in a list"),
        pytest.param(
            ("tags[*]",), [Text("tags[0]", "green"), Text("tags[3][0]", "deep"), Text("tags[4]", "hot")], id="[*]"
        ),
        pytest.param(("tags[0]", "tags"), [Text("tags[0]", "green"), Text("tags[4]", "hot")], id="each text once"),
        pytest.param((r"a\.b",), [Text(r"a\.b", "dotted")], id="an escaped dot"),
        pytest.param(("blank",), [], id="blank text"),
        pytest.param(("author",), [], id="an object"),
        pytest.param(("author.age",), [], id="a number"),
        pytest.param(
            ("title.name", "title.Tea", "tags.green", "title[0]", "author[*]", "tags[9]", "missing"),
            [],
            id="paths that lead nowhere",
        ),
        pytest.param((), [], id="no paths"),
        pytest.param(False, [], id="not searchable"),
    ],
)
def test_the_texts_at_the_paths_of_a_write(spec: IndexSpec, expected: list[Text]) -> None:
    assert texts_of(DOCUMENT, spec, ("author.name",)) == expected


def test_a_write_without_paths_has_the_configured_ones() -> None:
    assert texts_of(DOCUMENT, None, ("author.name",)) == [Text("author.name", "Alice")]


def test_without_any_paths_all_strings_are_joined_in_document_order() -> None:
    assert texts_of(DOCUMENT, None) == [Text("$", "Tea\nAlice\ngreen\ndeep\nhot\nFirst\nx\nThird\nloose\ndotted")]


@pytest.mark.parametrize("value", [{}, {"n": 1}, {"a": [None, {"b": "  "}]}])
def test_a_document_without_text_has_no_texts(value: dict[str, Any]) -> None:
    assert texts_of(value, None) == []


def test_a_key_called_dollar_is_not_the_whole_document() -> None:
    assert texts_of({"$": "cash", "a": "b"}, (r"\$", "$")) == [Text(r"\$", "cash"), Text("$", "cash\nb")]


def test_a_very_deep_document_has_its_text() -> None:
    value: dict[str, Any] = {"a": "deep"}
    for _ in range(10_000):
        value = {"a": value}

    assert texts_of(value, None) == [Text("$", "deep")]


@pytest.mark.parametrize(
    "path", ["missing", "tags", "tags[1]", "tags[*]", "author", "author.age", "blank", "sections[1].text", "title.x"]
)
def test_there_is_no_text_where_no_string_stands(path: str) -> None:
    assert text_at(DOCUMENT, path) is None


JSON = some.recursive(
    some.none() | some.integers() | some.text(),
    lambda below: some.lists(below, max_size=4) | some.dictionaries(some.text(min_size=1), below, max_size=4),
)


@settings(deadline=None)
@given(some.dictionaries(some.text(min_size=1), JSON, min_size=1, max_size=5))
def test_every_text_is_found_again_at_its_path(value: dict[str, Any]) -> None:
    paths = tuple(render((name,)) for name in value) + tuple(render((name, None)) for name in value)

    for text in texts_of(value, paths) + texts_of(value, None):
        assert text_at(value, text.path) == text.text
