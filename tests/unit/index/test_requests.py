"""Calls are cut into requests that a server takes."""

from __future__ import annotations

import json

import pytest

from scylla_store.index.base import Point, Question
from scylla_store.index.server.requests import MOST_BYTES, by_answer, by_number, by_size


def points(*sizes: int) -> list[Point]:
    return [Point("id", None, {"text": "x" * size}) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), []),
        ((10,), [(0, 1)]),
        ((300, 300, 300), [(0, 2), (2, 3)]),
        ((5000, 10, 5000), [(0, 1), (1, 2), (2, 3)]),
        ((10, 10, 5000), [(0, 2), (2, 3)]),
    ],
)
def test_parts_follow_each_other_and_a_large_point_goes_alone(
    sizes: tuple[int, ...], expected: list[tuple[int, int]]
) -> None:
    assert list(by_size(points(*sizes), most=1100)) == expected


def test_a_part_has_no_more_bytes_than_it_may() -> None:
    # Given vectors and payloads that are long in JSON
    many = [
        Point("6c0f2c2e-6f0c-5d6e-9c57-6b1d2b6d6a11", [-0.12345678910111213e-5] * 256, {"key": "\U0001d54f" * 300})
        for _ in range(2000)
    ]
    # When they are cut
    parts = list(by_size(many))
    # Then each part keeps the limit, and they are all there
    sent = [
        json.dumps([{"id": one.id, "vector": {"text": one.vector}, "payload": one.payload} for one in many[start:end]])
        for start, end in parts
    ]
    assert max(map(len, sent)) <= MOST_BYTES
    assert [end for _, end in parts][-1] == 2000
    assert len(parts) > 1


def test_questions_are_cut_by_what_their_answers_may_have() -> None:
    def parts(*limits: int, dimensions: int = 256) -> list[tuple[int, int]]:
        return list(by_answer([Question([0.1] * dimensions, None, 0, limit) for limit in limits]))

    assert parts() == []
    assert parts(*[20] * 100) == [(0, 100)]
    assert [end - start for start, end in parts(*[1000] * 20)] == [9, 9, 2]
    assert parts(100_000, 1, 1) == [(0, 1), (1, 3)]
    assert len(parts(*[1] * 100, dimensions=4096)) == 3


def test_values_are_cut_by_number() -> None:
    assert list(by_number([1, 2, 3, 4, 5], most=2)) == [[1, 2], [3, 4], [5]]
    assert list(by_number([], most=2)) == []
