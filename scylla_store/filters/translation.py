"""A filter as a question to the index.

The index cannot answer every filter exactly. So each condition becomes two: an upper bound that lets through whatever
matches, and perhaps more, and a lower bound that lets through only what matches, and perhaps less. The negation of a lower
bound is an upper bound of the negation, and the other way round, so `$not` is as right as the rest. What the upper bound
lets through is looked at by the exact evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from scylla_store.conditions import ALWAYS, NEVER, Condition, OneOf, Within, every, no, some
from scylla_store.errors import ValidationError
from scylla_store.filters import tokens
from scylla_store.filters.equality import is_container
from scylla_store.filters.facts import TOKENS, UNSAID
from scylla_store.filters.filter import Filter
from scylla_store.filters.names import declaring
from scylla_store.filters.nodes import All, AnyOf, Compares, Contains, Equals, Exists, Field, Node, Not, Starts, System
from scylla_store.filters.ranks import compared, starting
from scylla_store.index.base import Json
from scylla_store.paths import ANY, Step, parse

_MOST_LEAVES = 8
"""Of an object or array that a value must equal: so many of its own values are asked of the index."""

_FIELDS = {System.CREATED_AT: "created_at", System.UPDATED_AT: "version", System.VERSION: "version"}
_FAR = 2**60


class Bounds(NamedTuple):
    """What lets through at least, and what lets through at most, the points of the documents that match."""

    upper: Condition
    lower: Condition


def condition_of(where: Filter, ranges: tuple[str, ...]) -> Condition:
    """What points of matching documents fulfil, if their facts were made with these range fields.

    Args:
        ranges: `index.range_fields`.

    Raises:
        ValidationError: a range of a field that is not among them.
    """
    return some(_has(UNSAID), bounds_of(where, ranges).upper)


def bounds_of(where: Filter, ranges: tuple[str, ...]) -> Bounds:
    """Both bounds, of points that say what their documents are; raises ValidationError as `condition_of` does."""
    return _Translation(ranges).bounds(where.root)


class _Translation:
    """With the positions of the range fields."""

    def __init__(self, ranges: tuple[str, ...]) -> None:
        self._positions: dict[Field, int] = {parse(path): position for position, path in enumerate(ranges)}

    def bounds(self, node: Node) -> Bounds:
        """Both bounds of what matches."""
        if isinstance(node, (All, AnyOf)):
            parts = [self.bounds(part) for part in node.parts]
            join = every if isinstance(node, All) else some
            return Bounds(join(*(part.upper for part in parts)), join(*(part.lower for part in parts)))
        if isinstance(node, Not):
            part = self.bounds(node.part)
            return Bounds(no(part.lower), no(part.upper))
        if isinstance(node.field, System) and node.field is not System.KEY:
            return _of_number(node, _FIELDS[node.field])
        if isinstance(node, (Equals, Contains)):
            field = node.field if isinstance(node, Equals) else (*_steps(node.field), ANY)
            return _equal(field, node.values)
        if isinstance(node, Exists):
            return _exists(node.field)
        return self._ordered(node)

    def _ordered(self, node: Compares | Starts) -> Bounds:
        position = self._positions.get(node.field)
        if isinstance(node, Starts):
            known = _exists(node.field).upper
            return Bounds(known, NEVER) if position is None else Bounds(*starting(position, node.prefix))
        if position is not None:
            return Bounds(*compared(position, node.comparison, node.bound))
        if node.field is System.KEY:
            return Bounds(ALWAYS, NEVER)
        raise ValidationError(_not_declared(_steps(node.field), node.comparison))


def _not_declared(steps: tuple[Step, ...], comparison: str) -> str:
    return (
        f"filter: search and find compare by {comparison} only the paths that index.range_fields names: {declaring(steps)}; "
        "list compares any path"
    )


def _equal(field: Field, values: Sequence[Json]) -> Bounds:
    """Scalars have tokens of their own; of an object or an array its own values are asked for."""
    path = tokens.path_of(field)
    told = tuple(tokens.equals(path, tokens.text_of(value)) for value in values if not (is_container(value) and value))
    upper = [_has(*told, tokens.many(path))] if told else []
    upper += [_is_made_of(path, value) for value in values if is_container(value) and value]
    return Bounds(some(*upper), _has(*told) if told and not _has_positions(field) else NEVER)


def _is_made_of(path: tokens.Path, value: Json) -> Condition:
    leaves = islice(tokens.leaves(path, value), _MOST_LEAVES)
    return every(*(_has(tokens.equals(at, text or ""), tokens.many(at)) for at, text in leaves))


def _exists(field: Field) -> Bounds:
    if isinstance(field, System):
        return Bounds(ALWAYS, ALWAYS)
    known = _has(tokens.exists(tokens.path_of(field)))
    return Bounds(known, NEVER if _has_positions(field) else known)


def _of_number(node: Equals | Contains | Exists | Compares | Starts, field: str) -> Bounds:
    """A time or a version: a whole number in the payload, which every point has."""
    condition = ALWAYS
    if isinstance(node, Equals):
        condition = some(*(_exactly(field, value) for value in node.values if isinstance(value, (int, float))))
    elif isinstance(node, Compares):
        assert not isinstance(node.bound, str), "times and versions are numbers here"
        condition = _SIDES[node.comparison](field, node.bound)
    return Bounds(condition, condition)


def _exactly(field: str, value: int | float) -> Condition:
    is_whole = abs(value) < _FAR and value == math.floor(value)
    return Within(field, int(value) - 1, int(value) + 1) if is_whole else NEVER


def _above(field: str, bound: int | float, *, orequal: bool) -> Condition:
    return Within(field, above=_near(math.ceil(bound) - 1 if orequal else math.floor(bound)))


def _below(field: str, bound: int | float, *, orequal: bool) -> Condition:
    return Within(field, below=_near(math.floor(bound) + 1 if orequal else math.ceil(bound)))


_SIDES = {
    "$gt": partial(_above, orequal=False),
    "$gte": partial(_above, orequal=True),
    "$lt": partial(_below, orequal=False),
    "$lte": partial(_below, orequal=True),
}


def _near(bound: int) -> int:
    """The bound, or one on its side that an index can be asked for and that no time reaches."""
    return max(-_FAR, min(_FAR, bound))


def _has(*wanted: str) -> Condition:
    return OneOf(TOKENS, wanted)


def _has_positions(field: Field) -> bool:
    """Tokens tell no positions."""
    return isinstance(field, tuple) and any(isinstance(step, int) for step in field)


def _steps(field: Field) -> tuple[Step, ...]:
    assert isinstance(field, tuple), "only paths contain, and only they are compared by index.range_fields"
    return field
