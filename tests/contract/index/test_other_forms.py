"""Payloads in forms that we do not write: what is believed of a point is what the engine's conditions make of it."""

from __future__ import annotations

from typing import Any

import pytest

from scylla_store.identity import SLICES, item_slice
from scylla_store.index.base import Index
from tests.contract.index.points import NOW, digest, point, stored

FORMS: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"version": [5]}, (5, "f")),
    ({"version": [5, 9, "x", None, 5.5]}, (9, "f")),
    ({"version": [-3, 4]}, (4, "f")),
    ({"version": 5.0}, (5, "f")),
    ({"version": [7.0]}, (7, "f")),
    ({"version": 1e18}, (10**18, "f")),
    ({"version": [2**52]}, (2**52, "f")),
    ({"version": 2**63 - 1}, (2**63 - 1, "f")),
    ({"version": 2.0**63}, (2**63 - 1, "f")),
    ({"version": 2.0**64}, (0, "")),
    ({"version": 1e300}, (0, "")),
    ({"version": []}, (0, "")),
    ({"version": [[5]]}, (0, "")),
    ({"version": True}, (0, "")),
    ({"version": {"a": 5}}, (0, "")),
    ({"version": [5.5, "5", -1]}, (0, "")),
    ({"fingerprint": ["g"]}, (NOW, "g")),
    ({"fingerprint": ["", 5, "g", "h"]}, (NOW, "g")),
    ({"fingerprint": []}, (0, "")),
    ({"fingerprint": [["g"]]}, (0, "")),
    ({"fingerprint": {"g": "g"}}, (0, "")),
    ({"item": [digest(), "x"]}, (NOW, "f")),
    ({"item": ["", 7, digest()]}, (NOW, "f")),
    ({"item": [digest()], "version": None}, (0, "")),
]


@pytest.mark.parametrize(("payload", "expected"), FORMS, ids=[str(payload) for payload, _ in FORMS])
def test_a_point_in_another_form_is_replaced_and_deleted_as_it_is_seen(
    index: Index, payload: dict[str, Any], expected: tuple[int, str]
) -> None:
    # Given a point whose payload has another form
    odd = point(**payload)
    index.upsert([odd], at_most=2**62)
    # When it is read
    version, mark = expected
    # Then it is taken for this
    assert stored(index) == {odd.id: expected}
    # When it is written up to a version well below that one, or deleted as something else, then it stays
    if version >= NOW:
        index.upsert([point(version=1)], at_most=version - version // 1000)
    index.delete([(odd.id, "something else"), *([(odd.id, "")] if mark else [])])
    assert stored(index) == {odd.id: expected}
    # When it is deleted as it was seen, then it goes
    index.delete([(odd.id, mark)])
    assert stored(index) == {}
    # And where it is written up to its version, it is replaced
    index.upsert([odd], at_most=2**62)
    index.upsert([point(version=1)], at_most=version)
    assert stored(index) == {odd.id: (1, "f")}


@pytest.mark.parametrize("mark", ["g", "h"])
def test_a_vector_is_lent_by_a_point_with_this_fingerprint_among_others(index: Index, mark: str) -> None:
    odd = point(fingerprint=["", "g", "h"])  # type: ignore[arg-type]
    index.upsert([odd], at_most=NOW)

    assert list(index.vectors([(odd.id, mark)])) == [odd.id]
    assert index.vectors([(odd.id, "i")]) == {}


@pytest.mark.parametrize(
    ("said", "met"),
    [
        (3, 3), (3.0, 3), ([3], 3), ([-1, 3, "x"], 3), ([0, 3], 3), (0.0, 0),
        (2**53, SLICES), (2**60, SLICES), (1e18, SLICES), (2**63 - 1, SLICES), (2.0**63, SLICES), ([3, 2**60], SLICES),
        (3.5, None), (-1, None), (True, None), ("3", None), ([], None), ([[3]], None), (1e300, None), (2.0**64, None),
    ],
)  # fmt: skip
def test_a_point_is_met_in_one_place_whatever_it_says_of_its_slice(index: Index, said: Any, met: int | None) -> None:
    # Given a point that says something odd of its slice
    odd = point(slice=said)
    index.upsert([odd], at_most=NOW)
    # When all slices are walked, the last ones without an end, and what is in none
    walks = {start: range(start, start + 1) for start in (0, 2, 3, 4)}
    walks |= {SLICES: range(SLICES, 2**64)}
    found = [start for start, which in walks.items() if index.slices(which, after=None, limit=10)[0]]
    in_none = index.slices(None, after=None, limit=10)[0]
    # Then it is met once
    assert (found, len(in_none)) == (([] if met is None else [met]), int(met is None))
    assert item_slice(digest()) not in range(5), "no slice that is walked here is its own"
