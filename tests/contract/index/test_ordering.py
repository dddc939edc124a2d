"""First points of items: by id, and along a number of their payload."""

from __future__ import annotations

import random
from typing import Any

import pytest

from scylla_store.conditions import OneOf, no
from scylla_store.identity import namespace_digest
from scylla_store.index.base import Along, Index
from tests.contract.index.points import NOW, point


def first(index: Index, *, prefix: str | None = None, now: int = NOW, limit: int = 100, **options: Any) -> list[str]:
    """Keys of the first points."""
    found = index.first_points(prefix=prefix, now=now, limit=limit, **options)
    return [seen.payload["key"] for seen in found]


def test_each_item_comes_once_by_id(index: Index) -> None:
    # Given items of several points and one without text
    points = [point(str(number), part) for number in range(40) for part in range(3)] + [point("anchor", vector=None)]
    index.upsert(points, at_most=NOW)
    firsts = sorted((one for one in points if one.payload["ordinal"] == 0), key=lambda one: one.id)
    # When they are read in pages
    pages, after = [], None
    while True:
        page = index.first_points(prefix=None, now=NOW, limit=15, after=after)
        pages.append(page)
        if len(page) < 15:
            break
        after = page[-1].id
    # Then each comes once, and says whose it is
    assert [len(page) for page in pages] == [15, 15, 11]
    assert [seen.id for page in pages for seen in page] == [one.id for one in firsts]
    assert [(seen.item, seen.version) for seen in pages[0]] == [(one.payload["item"], NOW) for one in firsts[:15]]
    assert [(seen.payload["namespace"], seen.payload["key"]) for seen in pages[0]] == [
        (one.payload["namespace"], one.payload["key"]) for one in firsts[:15]
    ]


@pytest.mark.parametrize(
    ("field", "first_number"), [("version", NOW - 40), ("created_at", NOW - 40), ("rank_1_3", 2**48 - 41)]
)
def test_numbers_are_followed_both_ways_from_any_start(index: Index, field: str, first_number: int) -> None:
    # Given items with numbers that follow each other, written in any order
    points = [point(str(number), **{field: first_number + number}) for number in range(40)]
    random.Random(1).shuffle(points)
    index.upsert(points, at_most=NOW)
    names = [str(number) for number in range(40)]
    for descending in (False, True):
        order = names[::-1] if descending else names
        # Then they come in their order, from the start on and not before it
        assert first(index, along=Along(field, descending)) == order
        assert first(index, along=Along(field, descending), limit=7) == order[:7]
        for position in (0, 1, 20, 39):
            start = first_number + int(order[position])
            assert first(index, along=Along(field, descending, start), limit=9) == order[position : position + 9]
    assert first(index, along=Along(field, start=first_number + 40)) == []
    assert first(index, along=Along(field, True, first_number - 1)) == []


def test_the_fields_that_were_asked_for_come_along(index: Index) -> None:
    index.upsert([point("a", rank_0_0=5, rank_0_1=6)], at_most=NOW)

    (seen,) = index.first_points(
        prefix=None, now=NOW, limit=1, along=Along("rank_0_0"), fields=["rank_0_0", "rank_0_1"]
    )

    assert (seen.payload["rank_0_0"], seen.payload["rank_0_1"]) == (5, 6)


def test_equal_numbers_all_come_when_the_limit_holds_them(index: Index) -> None:
    index.upsert([point(str(number), rank_0_0=number // 20) for number in range(60)], at_most=NOW)

    assert set(first(index, along=Along("rank_0_0", start=1), limit=40)) == {str(number) for number in range(20, 60)}
    assert set(first(index, along=Along("rank_0_0", True, 0))) == {str(number) for number in range(20)}


def test_what_lacks_the_number_is_left_out(index: Index) -> None:
    index.upsert([point("a", rank_0_0=5), point("b")], at_most=NOW)

    assert first(index, along=Along("rank_0_0")) == ["a"]
    assert set(first(index)) == {"a", "b"}


def test_prefix_expiry_and_conditions_hold_along_a_number_too(index: Index) -> None:
    # Given items of which some have expired, some lie elsewhere, and some are not asked for
    index.upsert(
        [
            point("a", facts="f", rank_0_0=1),
            point("gone", facts="f", rank_0_0=2, expires_at=NOW),
            point("b", facts="f", rank_0_0=3, expires_at=NOW + 1),
            point("other", facts="g", rank_0_0=4),
            point("elsewhere", facts="f", namespace=("docs2",), rank_0_0=5),
        ],
        at_most=NOW,
    )
    options: dict[str, Any] = {"prefix": namespace_digest(("docs",)), "where": OneOf("facts", ("f",))}
    # Then those alone come, in order or by id
    assert first(index, along=Along("rank_0_0"), **options) == ["a", "b"]
    assert first(index, along=Along("rank_0_0", True), **options) == ["b", "a"]
    assert set(first(index, **options)) == {"a", "b"}
    assert first(index, along=Along("rank_0_0", start=2), where=no(OneOf("facts", ("f",)))) == ["other"]


def test_a_number_that_changes_moves_its_point(index: Index) -> None:
    index.upsert([point(key, version=NOW - 5 + at) for at, key in enumerate("abc")], at_most=NOW)

    index.upsert([point("a", version=NOW)], at_most=NOW)

    assert first(index, along=Along("version")) == ["b", "c", "a"]


def test_an_empty_index_has_no_first_points(index: Index) -> None:
    assert first(index) == []
    assert first(index, along=Along("version", True, NOW)) == []
