"""Vectors are checked here: the engine accepts NaN, and finds a wrong size only after the request was sent."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scylla_store.errors import BadVector
from scylla_store.index.base import Point, Vector


def checked_vectors(points: Iterable[Point], dimensions: int) -> list[list[float] | None]:
    """The vector of each point as a list of floats; raises BadVector when one is not finite or of the wrong size."""
    return [None if point.vector is None else _checked(point.id, point.vector, dimensions) for point in points]


def _checked(identifier: str, vector: Vector, dimensions: int) -> list[float]:
    numbers = float32(vector)
    if numbers is None or numbers.shape != (dimensions,):
        size = len(vector) if numbers is None or numbers.ndim == 1 else f"the shape {numbers.shape}"
        raise BadVector(f"The vector of point {identifier} has {size} numbers, the collection's have {dimensions}")
    if not np.isfinite(numbers).all():
        raise BadVector(f"The vector of point {identifier} has values that are not finite as 32-bit floats")
    listed: list[float] = numbers.tolist()
    return listed


def float32(vector: Vector) -> np.ndarray | None:
    """The vector as the engine stores it, or None when it is not made of numbers."""
    try:
        with np.errstate(over="ignore"):
            return np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError):
        return None


def lower_bound(min_score: float) -> float:
    """The threshold that keeps scores of `min_score` itself: the engine leaves out those that are equal to it."""
    return float(np.nextafter(np.float32(min_score), np.float32(-np.inf)))
