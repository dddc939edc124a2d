"""Vectors are checked here: the engine accepts NaN, and finds a wrong size only after the request was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scylla_store.errors import BadVector
from scylla_store.index.base import Point, Vector


def checked_vectors(points: Sequence[Point], dimensions: int) -> list[list[float] | None]:
    """The vector of each point as a list of floats; raises BadVector when one is not finite or of the wrong size."""
    given = [point.vector for point in points if point.vector is not None]
    if not given:
        return [None for _ in points]
    together = float32(given)
    if together is None or together.shape != (len(given), dimensions) or not np.isfinite(together).all():
        raise BadVector(next(_faults(points, dimensions)))
    listed = iter(together.tolist())
    return [None if point.vector is None else next(listed) for point in points]


def _faults(points: Sequence[Point], dimensions: int) -> Iterator[str]:
    """What is wrong, for each point with a vector that is."""
    for point in points:
        if point.vector is None:
            continue
        numbers = float32(point.vector)
        if numbers is None or numbers.ndim != 1:
            yield f"The vector of point {point.id} is not a list of numbers"
        elif len(numbers) != dimensions:
            yield f"The vector of point {point.id} has {len(numbers)} numbers, the collection's have {dimensions}"
        elif not np.isfinite(numbers).all():
            yield f"The vector of point {point.id} has values that are not finite as 32-bit floats"


def float32(vector: Vector | Sequence[Vector]) -> np.ndarray | None:
    """A vector, or several of one size, as the engine stores them; None when they are not made of numbers."""
    try:
        with np.errstate(over="ignore"):
            return np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError):
        return None


def lower_bound(min_score: float) -> float:
    """The threshold that keeps scores of `min_score` itself: the engine leaves out those that are equal to it."""
    return float(np.nextafter(np.float32(min_score), np.float32(-np.inf)))
