"""Upserts and deletes, and the conditions on them."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from scylla_store.errors import BadVector
from scylla_store.index.base import Index
from tests.contract.index.points import DIMENSIONS, NOW, count, digest, keys, point, stored


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(-1, "old"), (0, "new"), (1, "new")],
    ids=["below the stored version", "at the stored version", "above the stored version"],
)
def test_an_upsert_writes_where_the_stored_version_is_at_most_its_bound(
    index: Index, difference: int, expected: str
) -> None:
    # Given a point of a version, in microseconds
    index.upsert([point(version=NOW, fingerprint="old")], at_most=NOW)
    # When a newer whole point is written with a bound below, at or above that version
    index.upsert([point(version=NOW + 5, fingerprint="new")], at_most=NOW + difference)
    # Then it is written unless the stored one is newer than the bound, to the microsecond
    version = NOW if expected == "old" else NOW + 5
    assert stored(index) == {point().id: (version, expected)}


def test_an_absent_point_is_written_whatever_the_bound(index: Index) -> None:
    index.upsert([point()], at_most=0)

    assert stored(index) == {point().id: (NOW, "f")}


def test_the_condition_holds_for_each_point_of_a_request(index: Index) -> None:
    # Given an old, a new and no third point
    index.upsert([point("old", version=1, fingerprint="old"), point("new", version=9, fingerprint="old")], at_most=9)
    # When all three are written up to a version between them
    index.upsert([point(key, version=5, fingerprint="late") for key in ("old", "new", "third")], at_most=5)
    # Then the newer one stays
    found = [stored(index, key)[point(key).id] for key in ("old", "new", "third")]
    assert found == [(5, "late"), (9, "old"), (5, "late")]


def test_an_upsert_replaces_payload_and_vector(index: Index) -> None:
    # Given a point with a field and a vector
    index.upsert([point(extra="field")], at_most=NOW)
    # When it is written without them
    index.upsert([point(vector=None)], at_most=NOW)
    # Then nothing of the first one is left
    (seen,) = index.points_of([digest()])[digest()]
    assert seen.payload == point().payload
    assert index.vectors([(seen.id, "f")]) == {}
    assert keys(index) == []


@pytest.mark.parametrize(
    "payload",
    [{"version": "5"}, {"version": -5}, {"version": None}, {"version": 5.5}, {"fingerprint": ""}, {"fingerprint": 7}],
    ids=[
        "version as text",
        "negative version",
        "no version",
        "version as float",
        "no fingerprint",
        "fingerprint as number",
    ],
)
def test_a_payload_that_does_not_parse_counts_as_version_0_without_fingerprint(
    index: Index, payload: dict[str, object]
) -> None:
    # Given a point with a damaged payload, however new
    damaged = point(**{"version": NOW, **payload})  # type: ignore[arg-type]
    index.upsert([damaged], at_most=NOW)
    assert stored(index) == {damaged.id: (0, "")}
    # When it is deleted as something else, then it stays
    index.delete([(damaged.id, "something else")])
    assert stored(index) == {damaged.id: (0, "")}
    # When it is written with the lowest bound, then it is replaced
    index.upsert([point(version=1)], at_most=1)
    assert stored(index) == {damaged.id: (1, "f")}
    # When it is deleted as damaged, then it stays, because it no longer is
    index.delete([(damaged.id, "")])
    assert stored(index) == {damaged.id: (1, "f")}
    # When it is damaged again and deleted so, then it goes
    index.upsert([damaged], at_most=1)
    index.delete([(damaged.id, "")])
    assert stored(index) == {}


def test_a_delete_spares_points_that_changed_since_they_were_seen(index: Index) -> None:
    # Given points of two items
    index.upsert([point("a"), point("a", 1, fingerprint="g"), point("b")], at_most=NOW)
    # When they are deleted as they were, but two of them by the fingerprint of another
    index.delete([(point("a").id, "f"), (point("a", 1).id, "f"), (point("b").id, "g"), (point("c").id, "f")])
    # Then only the one that is as it was seen is gone
    assert (stored(index, "a"), stored(index, "b")) == ({point("a", 1).id: (NOW, "g")}, {point("b").id: (NOW, "f")})


def test_many_points_are_deleted_in_one_call(index: Index) -> None:
    points = [point(str(number), fingerprint=f"f{number}") for number in range(700)]
    index.upsert(points, at_most=NOW)

    index.delete([(one.id, one.payload["fingerprint"]) for one in points[1:]])

    assert keys(index) == ["0"]


@pytest.mark.parametrize(
    "vector",
    [
        [1.0] * (DIMENSIONS - 1),
        [1.0] * (DIMENSIONS + 1),
        [],
        [math.nan, 0.0, 0.0, 0.0],
        [math.inf, 0.0, 0.0, 0.0],
        [1e39, 0.0, 0.0, 0.0],
        [None, 0.0, 0.0, 0.0],
    ],
    ids=["short", "long", "empty", "NaN", "infinite", "beyond 32 bits", "not numbers"],
)
def test_a_vector_that_is_wrong_is_refused_before_anything_is_sent(index: Index, vector: list[float]) -> None:
    # Given a good and a bad point
    points = [point("good"), point("bad", vector=vector)]
    # When both are written
    with pytest.raises(BadVector, match=points[1].id):
        index.upsert(points, at_most=NOW)
    # Then neither is
    assert (stored(index, "good"), stored(index, "bad")) == ({}, {})


def test_nothing_is_written_or_deleted_by_an_empty_request(index: Index) -> None:
    index.upsert([point()], at_most=NOW)

    index.upsert([], at_most=NOW)
    index.delete([])

    assert count(index) == 1


def test_a_batch_larger_than_one_request_is_written_whole(index: Index) -> None:
    # Given points that have 12 MB together
    points = [point(str(number), text_hash="x" * 20_000) for number in range(600)]
    # When they are written in one call
    index.upsert(points, at_most=NOW)
    # Then they are all there
    assert count(index) == 600
    # And all of them come back in one call
    found = index.points_of([digest(str(number)) for number in range(600)])
    assert sum(map(len, found.values())) == 600


def test_threads_write_and_read_beside_each_other(index: Index) -> None:
    # Given eight threads
    def work(number: int) -> int:
        for version in range(5):
            index.upsert([point(str(number), part, version=version) for part in range(20)], at_most=version)
            keys(index)
        index.delete([(point(str(number), part).id, "f") for part in range(10)])
        return len(stored(index, str(number)))

    # When each works on points of its own
    with ThreadPoolExecutor(8) as pool:
        left = list(pool.map(work, range(8)))
    # Then each finds what it left
    assert left == [10] * 8
