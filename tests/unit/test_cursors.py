"""Opaque cursors."""

from __future__ import annotations

import pytest

from scylla_store.cursors import from_cursor, to_cursor
from scylla_store.errors import ValidationError


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
