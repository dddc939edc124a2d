"""Conditions and orders in the engine's own types."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import qdrant_edge as engine

from scylla_store.index.base import VECTOR, Along
from scylla_store.index.filters import Condition, Filters
from scylla_store.index.ids import stored_id


class EdgeFilters(Filters):
    """The dialect of qdrant-edge-py."""

    def equals(self, field: str, value: str | int) -> Condition:
        return engine.FieldCondition(field, match=engine.MatchValue(value))

    def one_of(self, field: str, values: Sequence[str]) -> Condition:
        return engine.FieldCondition(field, match=engine.MatchAny(list(values)))

    def is_text(self, field: str) -> Condition:
        return engine.FieldCondition(field, match=engine.MatchExcept([""]))

    def above(self, field: str, bound: int) -> Condition:
        return engine.FieldCondition(field, range=engine.RangeFloat(gt=bound))

    def below(self, field: str, bound: int) -> Condition:
        return engine.FieldCondition(field, range=engine.RangeFloat(lt=bound))

    def has_id(self, identifiers: Collection[str]) -> Condition:
        return engine.HasIdCondition(set(map(stored_id, identifiers)))

    def has_vector(self) -> Condition:
        return engine.HasVectorCondition(VECTOR)

    def every(self, *conditions: Condition, but: Sequence[Condition] = ()) -> Any:
        return engine.Filter(must=list(conditions), must_not=list(but))

    def any(self, *conditions: Condition) -> Any:
        return engine.Filter(should=list(conditions))


def ordering(along: Along) -> engine.OrderBy:
    """The order of a scroll."""
    direction = engine.Direction.Desc if along.descending else engine.Direction.Asc
    return engine.OrderBy(along.field, direction, along.start)
