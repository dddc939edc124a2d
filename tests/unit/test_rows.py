"""Bodies of rows: what is decoded, and what is damage."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from scylla_store.clock import LAST_MOMENT
from scylla_store.errors import DamagedRow
from scylla_store.identity import ItemId
from scylla_store.items import Item
from scylla_store.rows import Cells, Head, Row, decode, stamp

WRITE = bytes(range(16))


def row(body: bytes | None) -> Row:
    return Row(ItemId(("docs",), "k"), 2, Head(WRITE, 1), None, body, None)


@pytest.mark.parametrize("value", [{}, {"a": [1, "é", None, 1.5]}, {"n": 10**400}])
def test_a_body_is_the_document_behind_its_write_id(value: dict[str, object]) -> None:
    assert row(WRITE + json.dumps(value, ensure_ascii=False).encode()).value() == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "missing or belongs to another write"),
        (b"", "missing or belongs to another write"),
        (bytes(16) + b"{}", "missing or belongs to another write"),
        (WRITE, "is not JSON"),
        (WRITE + b"\xff", "is not JSON"),
        (WRITE + b'{"a": 1', "is not JSON"),
        (WRITE + b'{"a": 1}{', "is not JSON: something follows it"),
        (WRITE + b"[1]", "is not a JSON object"),
    ],
)
def test_what_is_no_document_is_damage(body: bytes | None, message: str) -> None:
    with pytest.raises(DamagedRow, match=message):
        row(body).value()


@pytest.mark.parametrize(("created_at", "expires_at"), [(-1, None), (2**62, None), (1, -2), (1, LAST_MOMENT + 1)])
def test_a_head_with_a_time_that_no_datetime_tells_is_damage(created_at: int, expires_at: int | None) -> None:
    cells = Cells(ItemId(("docs",), "k"), 2, Head(WRITE, created_at, expires_at).encode(), WRITE + b"{}")

    with pytest.raises(DamagedRow, match="has times that are none"):
        decode(cells)


@pytest.mark.parametrize("granted", [-1, LAST_MOMENT + 1, 2**62])
def test_a_refresh_that_grants_a_time_that_no_datetime_tells_is_damage(granted: int) -> None:
    head = Head(WRITE, 1, 5).encode()

    with pytest.raises(DamagedRow, match="has a time that is none"):
        decode(Cells(ItemId(("docs",), "k"), 2, head, WRITE + b"{}", stamp(WRITE, granted)))


def test_an_item_of_a_row_is_one_like_any_other() -> None:
    found = Item.of(row(WRITE + b'{"a": 1}'))
    made = Item(
        found.namespace, found.key, found.value, found.version, found.created_at, found.updated_at, found.expires_at
    )

    assert (found, repr(found)) == (made, repr(made))
    assert (replace(found, version=5).version, pickle.loads(pickle.dumps(found))) == (5, found)
    with pytest.raises(FrozenInstanceError):
        found.version = 5  # type: ignore[misc]
