"""Points that other hands wrote under numbers: they are seen, passed and taken away as all others are."""

from __future__ import annotations

import pytest

from scylla_store.identity import item_slice
from scylla_store.index.base import Index, SeenPoint
from tests.contract.index.points import NOW, digest, keys, numbered, point, stored


def walked(index: Index, limit: int) -> list[str]:
    """Ids of the points of the slice, met in pages."""
    number = item_slice(digest())
    met: list[SeenPoint] = []
    after = None
    while True:
        page, after = index.slices(range(number, number + 1), after=after, limit=limit)
        met += page
        if after is None:
            return [one.id for one in met]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_a_walk_goes_on_behind_a_page_that_ends_at_one(index: Index, limit: int) -> None:
    # Given points of one slice, some of them under numbers
    ids = sorted(point("k", part).id for part in range(3))
    index.upsert([*(point("k", part) for part in range(3)), *map(numbered, (7, 10, 2**64 - 1))], at_most=NOW)
    # When the slice is read in pages
    # Then each of them comes once, those with numbers first
    assert walked(index, limit) == ["7", "10", str(2**64 - 1), *ids]
    assert [one.id for one in index.first_points(prefix=None, now=NOW, limit=2, after="7")] == ["10", str(2**64 - 1)]


def test_they_are_found_by_item_and_by_id_with_their_vectors(index: Index) -> None:
    index.upsert([point(), numbered(7, fingerprint="g")], at_most=NOW)

    assert stored(index) == {"7": (NOW, "g"), point().id: (NOW, "f")}
    assert sorted(index.at(["7", "8", point().id])) == sorted(["7", point().id])
    assert sorted(index.vectors([("7", "g"), ("8", "g"), (point().id, "f")])) == sorted(["7", point().id])
    assert keys(index) == ["k", "k"]


@pytest.mark.parametrize("mark", ["g", ""])
def test_they_are_deleted_as_they_were_seen(index: Index, mark: str) -> None:
    # Given one beside a right point
    index.upsert([point(), numbered(7, fingerprint=mark)], at_most=NOW)
    # When it is deleted as something else, then it stays
    index.delete([("7", "h"), ("8", mark)])
    assert sorted(stored(index)) == sorted(["7", point().id])
    # When it is deleted as what it is, then it goes, alone
    index.delete([("7", mark)])
    assert list(stored(index)) == [point().id]
