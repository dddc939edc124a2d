"""Opaque cursors."""

from __future__ import annotations

import base64
import string
import zlib

import pytest

from scylla_store.cursors import from_cursor, item_at, namespaces_at, to_cursor
from scylla_store.errors import ValidationError

_ALPHABET = f"{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}-_"


def test_a_cursor_gives_its_position_back_to_the_call_it_was_made_for() -> None:
    cursor = to_cursor(["list", ["a", "ü\0"]], [["a"], "key/ü"])

    assert [["a"], "key/ü"] == from_cursor(cursor, ["list", ["a", "ü\0"]])
    assert from_cursor(None, ["list"]) is None


def test_a_cursor_of_another_call_is_refused() -> None:
    cursor = to_cursor(["list", ["a"]], ["k"])

    with pytest.raises(ValidationError, match="another call"):
        from_cursor(cursor, ["list", ["b"]])


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-3], lambda c: "x" + c[1:], lambda c: "", lambda c: "ü", lambda c: c[:8] + "!" + c[9:]]
)
def test_a_damaged_cursor_is_refused(damage) -> None:  # type: ignore[no-untyped-def]
    cursor = to_cursor(["list", ["a"]], ["k"])

    with pytest.raises(ValidationError, match="damaged"):
        from_cursor(damage(cursor), ["list", ["a"]])


@pytest.mark.parametrize("cursor", [5, b"abc", True, [], object()], ids=lambda cursor: type(cursor).__name__)
def test_what_is_no_string_is_no_cursor(cursor: object) -> None:
    with pytest.raises(ValidationError, match="cursor must be a string"):
        from_cursor(cursor, ["list"])  # type: ignore[arg-type]


def test_a_cursor_that_nests_without_end_or_is_longer_than_any_is_damaged() -> None:
    body = b"[" * 100_000
    nested = base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")

    for cursor in (nested, "A" * 10_000_000):
        with pytest.raises(ValidationError, match="cursor is damaged"):
            from_cursor(cursor, ["list"])


def test_the_longest_cursor_is_taken() -> None:
    # Given labels of characters that take six in JSON
    namespace = ["\x01" * 512] * 16
    call = ["list_namespaces", namespace, namespace, None]

    cursor = to_cursor(call, [namespace, namespace])

    assert namespaces_at(from_cursor(cursor, call) or []) == (tuple(namespace), tuple(namespace))


@pytest.mark.parametrize(
    "position", [[], [["a"]], [["a"], 5], [["a"], None], [[], "k"], ["a", "k"], [["a"], "\ud800"], [["a"], "k", 1]]
)
def test_a_position_that_is_no_item_is_damaged(position: list[object]) -> None:
    with pytest.raises(ValidationError, match="cursor is damaged"):
        item_at(position)


@pytest.mark.parametrize("position", [[], [["a"]], ["a", None], [["a"], []], [[1], None], [["a"], "b"]])
def test_a_position_that_is_no_namespace_is_damaged(position: list[object]) -> None:
    with pytest.raises(ValidationError, match="cursor is damaged"):
        namespaces_at(position)


def test_a_position_is_an_item_or_namespaces() -> None:
    assert item_at([["a", "b"], "k"]) == (("a", "b"), "k")
    assert item_at([["a", "b"], ""]) == (("a", "b"), "")
    assert namespaces_at([[], None]) == ((), None)


def test_a_cursor_is_taken_in_one_spelling_only() -> None:
    # Given a cursor whose last character has bits that say nothing
    cursor = next(found for size in range(3) if len(found := to_cursor(["list"], ["k" * size])) % 4)
    last = _ALPHABET[_ALPHABET.index(cursor[-1]) + 1]

    for changed in (cursor[:-1] + last, f"{cursor}=", f"{cursor}{'=' * (-len(cursor) % 4)}"):
        with pytest.raises(ValidationError, match="cursor is damaged"):
            from_cursor(changed, ["list"])
