"""The walk in a total order: every item once, whatever is equal, at a bounded number of requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scylla_store.conditions import ALWAYS, Within
from scylla_store.index.base import IndexSpecification, Point, SeenPoint
from scylla_store.index.memory import MemoryIndex
from scylla_store.ordered_walk import OrderedWalk
from scylla_store.orders import Order, Place, parse_order
from tests.contract.index.points import NOW, point

FIELDS = parse_order("n", ("n",)).fields


class CountingIndex(MemoryIndex):
    """Keeps how many points each request brought."""

    def __init__(self, points: list[Point]) -> None:
        super().__init__()
        self.setup(IndexSpecification(4, "m"))
        self.upsert(points, at_most=2**60)
        self.brought: list[int] = []

    def first_points(self, **options: Any) -> list[SeenPoint]:
        found = super().first_points(**options)
        self.brought.append(len(found))
        return found


def numbered(number: int, ranks: tuple[int, ...] | None) -> Point:
    """A point with these numbers."""
    return point(str(number), **({} if ranks is None else dict(zip(FIELDS, ranks, strict=True))))


def walk_of(index: MemoryIndex, order: Order, more: int = 16, least: int = 100) -> OrderedWalk:
    has = Within(order.fields[0], above=-1) if order.of_documents else ALWAYS
    return OrderedWalk(index, order, None, NOW, ALWAYS, has, more, least)


def pages_of(walk: OrderedWalk, size: int) -> list[list[Place]]:
    """The places of each page."""
    pages: list[list[Place]] = []
    place = None
    while True:
        page = [one.place for one in walk.after(place, size)]
        pages.append(page)
        if len(page) < size:
            return pages
        place = page[-1]


_RANKS = st.none() | st.tuples(*[st.integers(0, 2)] * len(FIELDS))


@given(st.lists(_RANKS, max_size=40), st.booleans(), st.integers(1, 9), st.integers(0, 5), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_the_walk_is_the_sorted_list_whatever_is_equal(
    ranks: list[tuple[int, ...] | None], descending: bool, size: int, more: int, least: int
) -> None:
    # Given points of which many are equal in some or all fields, and some have none
    points = [numbered(at, one) for at, one in enumerate(ranks)]
    order = parse_order("-n" if descending else "n", ("n",))

    pages = pages_of(walk_of(CountingIndex(points), order, more, least), size)

    sign = -1 if descending else 1
    have = [([sign * number for number in one], one, points[at].id) for at, one in enumerate(ranks) if one is not None]
    lack = sorted(points[at].id for at, one in enumerate(ranks) if one is None)
    expected = [Place(one, ident) for _, one, ident in sorted(have, key=lambda entry: (entry[0], entry[2]))]
    assert [place for page in pages for place in page] == [*expected, *(Place(None, ident) for ident in lack)]


def test_every_page_costs_one_request_where_numbers_differ() -> None:
    # Given many items that were written one after the other
    index = CountingIndex([point(str(number), version=NOW + number) for number in range(3000)])

    pages = pages_of(walk_of(index, parse_order("-$updated_at", ())), 100)

    # Then the last page costs what the first one does
    assert len(pages) == 31
    assert index.brought[:30] == [116] * 29 + [101]
    assert len(index.brought) == 31


@pytest.mark.parametrize(("more", "most"), [(0, 3), (16, 2)])
def test_equal_numbers_cost_a_request_more_and_not_one_for_each(more: int, most: int) -> None:
    # Given items of which very many were written at the same time
    index = CountingIndex([point(str(number), version=NOW + number // 700) for number in range(2100)])

    pages = pages_of(walk_of(index, parse_order("$updated_at", ()), more), 100)

    assert sorted(place.id for page in pages for place in page) == sorted(point(str(one)).id for one in range(2100))
    assert len(index.brought) <= most * len(pages) + 6
    assert max(index.brought) <= 100 + more


def test_a_few_equal_numbers_at_each_place_cost_no_request_for_each_part_of_a_rank() -> None:
    # Given items of which some thirty are equal at each place
    index = CountingIndex([numbered(number, (number // 30, 0, 0, 0)) for number in range(3000)])

    pages = pages_of(walk_of(index, parse_order("n", ("n",)), 48), 100)

    assert len({place.id for page in pages for place in page}) == 3000
    assert len(index.brought) <= 1.5 * len(pages) + 2


def test_a_page_of_thousands_is_read_in_bounded_requests() -> None:
    index = CountingIndex([point(str(number), version=NOW + number // 3) for number in range(2500)])

    (page,) = pages_of(walk_of(index, parse_order("$updated_at", ())), 10_000)

    assert len(page) == len(set(page)) == 2500
    assert max(index.brought) <= 1000


def test_points_that_make_no_sense_are_passed_over_and_end_nothing() -> None:
    # Given many points between two sound ones, that do not say whose they are
    broken = [point(f"broken{number}", version=NOW + 1, item="f" * 32) for number in range(50)]
    index = CountingIndex([point("a", version=NOW), *broken, point("b", version=NOW + 2)])

    pages = pages_of(walk_of(index, parse_order("$updated_at", ())), 2)

    assert [place.id for page in pages for place in page] == [point("a").id, point("b").id]
