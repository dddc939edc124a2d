"""A call is cut into requests that the server takes: Qdrant's limit is 32 MiB, and large ones hold others up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from scylla_store.index.base import Point, Question

MOST_BYTES = 5_000_000
MOST_CONDITIONS = 500
"""Conditions of one filter, and ids of one request."""

_BYTES_PER_NUMBER = 26
_BYTES_PER_POINT = 200
_BYTES_PER_MATCH = 500

T = TypeVar("T")


def by_size(points: Sequence[Point], *, most: int = MOST_BYTES) -> Iterator[tuple[int, int]]:
    """Start and end of parts that follow each other, each of about `most` bytes of JSON, or of one larger point."""
    return _cut(map(_size, points), most)


def by_answer(questions: Sequence[Question], *, most: int = MOST_BYTES) -> Iterator[tuple[int, int]]:
    """As `by_size`, of questions, each with as many matches as it may have: answers are what is large."""
    sizes = (
        _BYTES_PER_POINT + _BYTES_PER_NUMBER * len(question.vector) + _BYTES_PER_MATCH * question.limit
        for question in questions
    )
    return _cut(sizes, most)


def by_number(values: Sequence[T], *, most: int = MOST_CONDITIONS) -> Iterator[Sequence[T]]:
    """The values in order, in parts of at most `most`."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def _cut(sizes: Iterable[int], most: int) -> Iterator[tuple[int, int]]:
    start, end, total = 0, 0, 0
    for size in sizes:
        if end > start and total + size > most:
            yield start, end
            start, total = end, 0
        total += size
        end += 1
    if end > start:
        yield start, end


def _size(point: Point) -> int:
    """At most what it has in JSON: escaped characters take more than the UTF-8 that is sent."""
    numbers = 0 if point.vector is None else len(point.vector)
    return _BYTES_PER_POINT + _BYTES_PER_NUMBER * numbers + len(json.dumps(point.payload))
