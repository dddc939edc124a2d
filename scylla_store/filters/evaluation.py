"""The exact meaning of a filter: what it says of one document. The index only ever narrows down what is asked here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from scylla_store.filters.equality import is_container, json_key
from scylla_store.filters.nodes import All, AnyOf, Compares, Contains, Equals, Exists, Field, Node, Not, Starts, System
from scylla_store.index.base import Json
from scylla_store.paths import ANY, Step

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_NUMBERS = (int, float)


class Subject(NamedTuple):
    """What a filter looks at. Times are microseconds; an item was updated at its version."""

    key: str
    value: dict[str, Any]
    created_at: int
    version: int


Predicate = Callable[[Subject], bool]


def predicate(node: Node) -> Predicate:
    """A function that says whether a subject matches; made once, called for each document."""
    if isinstance(node, All):
        return _all([predicate(part) for part in node.parts])
    if isinstance(node, AnyOf):
        return _any([predicate(part) for part in node.parts])
    if isinstance(node, Not):
        part = predicate(node.part)
        return lambda subject: not part(subject)
    values, holds = _values_of(node.field), _test(node)
    return lambda subject: any(map(holds, values(subject)))


def reached(value: Any, steps: Sequence[Step]) -> list[Any]:
    """All values that the steps lead to. A name leads into objects only, a position and `[*]` into arrays only."""
    nodes = [value]
    for step in steps:
        if isinstance(step, str):
            nodes = [node[step] for node in nodes if isinstance(node, dict) and step in node]
        elif step is ANY:
            nodes = [child for node in nodes if isinstance(node, list) for child in node]
        else:
            nodes = [node[step] for node in nodes if isinstance(node, list) and step < len(node)]
    return nodes


def _all(parts: Sequence[Predicate]) -> Predicate:
    return lambda subject: all(part(subject) for part in parts)


def _any(parts: Sequence[Predicate]) -> Predicate:
    return lambda subject: any(part(subject) for part in parts)


def _values_of(field: Field) -> Callable[[Subject], Sequence[Any]]:
    if field is System.KEY:
        return lambda subject: (subject.key,)
    if field is System.CREATED_AT:
        return lambda subject: (subject.created_at,)
    if isinstance(field, System):
        return lambda subject: (subject.version,)
    steps = field
    return lambda subject: reached(subject.value, steps)


def _test(node: Equals | Contains | Exists | Compares | Starts) -> Callable[[Any], bool]:
    """What must hold for one of the field's values."""
    if isinstance(node, Equals):
        return _is_one_of(node.values)
    if isinstance(node, Contains):
        is_one_of = _is_one_of(node.values)
        return lambda value: type(value) is list and any(map(is_one_of, value))
    if isinstance(node, Compares):
        return _compares(node)
    if isinstance(node, Starts):
        prefix = node.prefix
        return lambda value: type(value) is str and value.startswith(prefix)
    return lambda value: True


def _is_one_of(values: Sequence[Json]) -> Callable[[Any], bool]:
    keys = frozenset(map(json_key, values))
    if any(map(is_container, values)):
        return lambda value: json_key(value) in keys
    return lambda value: not is_container(value) and json_key(value) in keys


def _compares(node: Compares) -> Callable[[Any], bool]:
    """By type and not by isinstance: a boolean is no number."""
    holds, bound = _COMPARISONS[node.comparison], node.bound
    kinds = (str,) if isinstance(bound, str) else _NUMBERS
    return lambda value: type(value) in kinds and holds(value, bound)
