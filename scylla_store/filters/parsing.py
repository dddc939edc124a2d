"""From what a caller wrote to a checked tree. Everything that is wrong is refused here, with its place in the filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from scylla_store.errors import ValidationError
from scylla_store.filters.filter import Filter
from scylla_store.filters.names import below, unknown
from scylla_store.filters.nodes import (
    TIMES,
    All,
    AnyOf,
    Compares,
    Comparison,
    Contains,
    Equals,
    Exists,
    Field,
    Node,
    Not,
    Starts,
    System,
)
from scylla_store.filters.operands import Operands
from scylla_store.identity import checked_text, plain
from scylla_store.inspection import Encoder
from scylla_store.paths import parse
from scylla_store.values import MAX_PATH_BYTES

MAX_DEPTH = 16
"""Levels of `$and`, `$or` and `$not`, the filter itself included."""

MAX_CONDITIONS = 256
"""Operators, plain values and inner filters of one filter."""

_SYSTEM = {field.value: field for field in System}
_LOGICAL = ("$and", "$or", "$not")


def parse_filter(given: object, *, encoder: Encoder | None = None, argument: str = "filter") -> Filter | None:
    """The filter, checked; None when none was given.

    Args:
        given: a dictionary: docs/reference/filters.md says what it may hold and what it means.
        encoder: the one of the settings: what documents may hold, filters may too.
        argument: how the caller calls it, for the message.

    Raises:
        ValidationError: names the place inside the filter and the rule.
    """
    return None if given is None else Filter(_Parser(encoder).filter(given, argument, 1))


class _Parser:
    """One filter on its way."""

    def __init__(self, encoder: Encoder | None) -> None:
        self._operands = Operands(encoder)
        self._conditions = 0

    def filter(self, given: object, at: str, depth: int) -> Node:
        """A whole filter, or one inside of `$and`, `$or`, `$not`: all of its entries hold."""
        self._check_depth(depth, at)
        if depth > 1:
            self._count(at)
        return _joined([self._entry(name, operand, at, depth) for name, operand in _entries(given, at)])

    def _entry(self, name: str, operand: object, at: str, depth: int) -> Node:
        here = below(at, name)
        if name in ("$and", "$or"):
            parts = tuple(self._parts(operand, here, depth))
            return All(parts) if name == "$and" else AnyOf(parts)
        if name == "$not":
            return Not(self.filter(operand, here, depth + 1))
        return self._condition(self._field(name, here), operand, here, depth)

    def _parts(self, operand: object, at: str, depth: int) -> Iterator[Node]:
        if not isinstance(operand, (list, tuple)) or not operand:
            raise ValidationError(f"{at} must be a list of filters, at least one")
        for position, part in enumerate(operand):
            yield self.filter(part, f"{at}[{position}]", depth + 1)

    def _field(self, name: str, at: str) -> Field:
        if name in _SYSTEM:
            return _SYSTEM[name]
        if name in _OPERATORS:
            raise ValidationError(f'{at}: an operator stands below a path, as in {{"year": {{"{name}": …}}}}')
        if name.startswith("$"):
            raise ValidationError(unknown(at, name, "field of an item and no operator", [*_SYSTEM, *_LOGICAL]))
        self._operands.count(checked_text(name, f"{at} (a path)", MAX_PATH_BYTES), at)
        try:
            return parse(name)
        except ValidationError as exc:
            raise ValidationError(f"{at}: {exc}") from None

    def _condition(self, field: Field, operand: object, at: str, depth: int) -> Node:
        """What stands beside a path: operators, of which all hold, or a value that it equals."""
        if not _is_operators(operand, at):
            self._count(at)
            return Equals(field, (self._operands.value(field, operand, at),))
        return _joined([self._test(field, name, one, below(at, name), depth) for name, one in _entries(operand, at)])

    def _test(self, field: Field, name: str, operand: object, at: str, depth: int) -> Node:
        if name == "$not":
            self._check_depth(depth + 1, at)
            if not _is_operators(operand, at):
                raise ValidationError(f"{at} must be an object of operators; $ne is the negation of a value")
            return Not(self._condition(field, operand, at, depth + 1))
        if name not in _OPERATORS:
            raise ValidationError(unknown(at, name, "operator", [*_OPERATORS, "$not"]))
        if isinstance(field, System) and name in _UNSUITABLE[field]:
            raise ValidationError(f"{at} cannot be asked of {field.value}, which is {_KINDS[field]}")
        self._count(at)
        return _OPERATORS[name](self._operands, field, operand, at)

    def _count(self, at: str) -> None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise ValidationError(f"{at} is one condition more than the {MAX_CONDITIONS} that are allowed")

    def _check_depth(self, depth: int, at: str) -> None:
        if depth > MAX_DEPTH:
            raise ValidationError(f"{at} is nested deeper than the {MAX_DEPTH} levels that are allowed")


def _entries(given: object, at: str) -> list[tuple[str, Any]]:
    """Names and operands by name, so that the order in which they were written makes no other filter."""
    if not isinstance(given, dict):
        raise ValidationError(f"{at} must be a dictionary (a JSON object), not {type(given).__name__}")
    if len(given) > MAX_CONDITIONS:
        raise ValidationError(f"{at} has {len(given)} entries; at most {MAX_CONDITIONS} conditions are allowed")
    for name in given:
        if not isinstance(name, str):
            raise ValidationError(f"{at} has a key that is no string but {type(name).__name__}")
    return sorted(((plain(name), operand) for name, operand in given.items()), key=lambda entry: entry[0])


def _is_operators(operand: object, at: str) -> bool:
    """Whether an operand is an object of operators; raises ValidationError when only some of its names are."""
    if not isinstance(operand, dict) or not operand:
        return False
    marked = [isinstance(name, str) and name.startswith("$") for name in operand]
    if any(marked) and not all(marked):
        raise ValidationError(
            f"{at} mixes operators and names; an object to compare with that has such names stands below $eq"
        )
    return marked[0]


def _joined(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else All(tuple(nodes))


_Make = Callable[[Operands, Field, Any, str], Node]


def _eq(operands: Operands, field: Field, operand: Any, at: str) -> Node:
    return Equals(field, (operands.value(field, operand, at),))


def _in(operands: Operands, field: Field, operand: Any, at: str) -> Node:
    return Equals(field, operands.values(field, operand, at))


def _contains(operands: Operands, field: Field, operand: Any, at: str) -> Node:
    return Contains(field, (operands.value(field, operand, at),))


def _contains_any(operands: Operands, field: Field, operand: Any, at: str) -> Node:
    return Contains(field, operands.values(field, operand, at))


def _exists(operands: Operands, field: Field, operand: Any, at: str) -> Node:
    return Exists(field) if operands.flag(operand, at) else Not(Exists(field))


def _starts(operands: Operands, field: Field, operand: Any, at: str) -> Node:
    return Starts(field, operands.text(operand, at))


def _negated(make: _Make) -> _Make:
    return lambda operands, field, operand, at: Not(make(operands, field, operand, at))


def _comparing(comparison: Comparison) -> _Make:
    return lambda operands, field, operand, at: Compares(field, comparison, operands.bound(field, operand, at))


_OPERATORS: dict[str, _Make] = {
    "$eq": _eq,
    "$ne": _negated(_eq),
    "$gt": _comparing("$gt"),
    "$gte": _comparing("$gte"),
    "$lt": _comparing("$lt"),
    "$lte": _comparing("$lte"),
    "$in": _in,
    "$nin": _negated(_in),
    "$exists": _exists,
    "$contains": _contains,
    "$containsAny": _contains_any,
    "$startsWith": _starts,
}
_OF_ARRAYS = ("$contains", "$containsAny")
_UNSUITABLE = {
    System.KEY: _OF_ARRAYS,
    System.VERSION: (*_OF_ARRAYS, "$startsWith"),
    **dict.fromkeys(TIMES, (*_OF_ARRAYS, "$startsWith")),
}
_KINDS = {System.KEY: "a string", System.VERSION: "a number", **dict.fromkeys(TIMES, "a time")}
