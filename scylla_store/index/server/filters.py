"""Conditions in the client's own types."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qdrant_client import models

from scylla_store.index.base import VECTOR
from scylla_store.index.filters import Condition, Filters
from scylla_store.index.ids import stored_id


class ServerFilters(Filters):
    """The dialect of qdrant-client."""

    def equals(self, field: str, value: str | int) -> Condition:
        return models.FieldCondition(key=field, match=models.MatchValue(value=value))

    def one_of(self, field: str, values: Sequence[str]) -> Condition:
        return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))

    def is_text(self, field: str) -> Condition:
        return models.FieldCondition(key=field, match=models.MatchExcept(**{"except": [""]}))

    def above(self, field: str, bound: int) -> Condition:
        return models.FieldCondition(key=field, range=models.Range(gt=bound))

    def below(self, field: str, bound: int) -> Condition:
        return models.FieldCondition(key=field, range=models.Range(lt=bound))

    def has_id(self, identifiers: Collection[str]) -> Condition:
        return models.HasIdCondition(has_id=list(map(stored_id, identifiers)))

    def has_vector(self) -> Condition:
        return models.HasVectorCondition(has_vector=VECTOR)

    def every(self, *conditions: Condition, but: Sequence[Condition] = ()) -> Any:
        return models.Filter(must=list(conditions), must_not=list(but))

    def any(self, *conditions: Condition) -> Any:
        return models.Filter(should=list(conditions))
