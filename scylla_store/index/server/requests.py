"""A call is cut into requests that the server takes: Qdrant's limit is 32 MiB, and large ones hold others up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeVar

from scylla_store.index.base import Point

MOST_BYTES = 5_000_000
MOST_CONDITIONS = 500
"""Conditions of one filter, and ids of one request."""

_BYTES_PER_NUMBER = 26
_BYTES_PER_POINT = 200

T = TypeVar("T")


def by_size(points: Sequence[Point], *, most: int = MOST_BYTES) -> Iterator[tuple[int, int]]:
    """Start and end of parts that follow each other, each of about `most` bytes of JSON, or of one larger point."""
    start, size = 0, 0
    for position, point in enumerate(points):
        more = _size(point)
        if position > start and size + more > most:
            yield start, position
            start, size = position, 0
        size += more
    if start < len(points):
        yield start, len(points)


def by_number(values: Sequence[T], *, most: int = MOST_CONDITIONS) -> Iterator[Sequence[T]]:
    """The values in order, in parts of at most `most`."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def _size(point: Point) -> int:
    """At most what it has in JSON: escaped characters take more than the UTF-8 that is sent."""
    numbers = 0 if point.vector is None else len(point.vector)
    return _BYTES_PER_POINT + _BYTES_PER_NUMBER * numbers + len(json.dumps(point.payload))
