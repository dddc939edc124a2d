"""What a filter means, said a second time: naively, from the text of the page, and without any code of the library.

A document is a list of places and what stands there; a path is a pattern of places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

from scylla_store.filters import Subject

_TOKEN = re.compile(r"\[(\*|\d+)\]|(?:^|\.)((?:\\.|[^\\.\[\]])+)", re.DOTALL)


def matches(asked: dict[str, Any], subject: Subject) -> bool:
    """Whether the document is one that is asked for."""
    return all(_entry(name, operand, subject) for name, operand in asked.items())


def _entry(name: str, operand: Any, subject: Subject) -> bool:
    if name == "$and":
        return all(matches(part, subject) for part in operand)
    if name == "$or":
        return any(matches(part, subject) for part in operand)
    if name == "$not":
        return not matches(operand, subject)
    if name in ("$created_at", "$updated_at"):
        moment = subject.created_at if name == "$created_at" else subject.version
        return _condition([Fraction(moment, 1_000_000)], _in_seconds(operand))
    values = {"$key": [subject.key], "$version": [subject.version]}.get(name)
    return _condition(_at(name, subject.value) if values is None else values, operand)


def _in_seconds(operand: Any) -> Any:
    """The operand with every time as a number."""
    if isinstance(operand, str):
        whole, fraction, zone = re.fullmatch(r"(.{16}(?::\d\d)?)(\.\d+)?(Z|.\d\d:\d\d)", operand).groups()  # type: ignore[union-attr]
        moment = datetime.fromisoformat(whole + zone.replace("Z", "+00:00"))
        return Fraction((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()) + Fraction(fraction or 0)
    if isinstance(operand, dict):
        return {name: _in_seconds(one) for name, one in operand.items()}
    return [_in_seconds(one) for one in operand] if isinstance(operand, list) else operand


def _condition(values: list[Any], operand: Any) -> bool:
    if not (isinstance(operand, dict) and operand and all(name.startswith("$") for name in operand)):
        operand = {"$eq": operand}
    return all(_test(values, name, one) for name, one in operand.items())


def _test(values: list[Any], name: str, operand: Any) -> bool:
    if name == "$not":
        return not _condition(values, operand)
    if name in ("$ne", "$nin"):
        return not _test(values, {"$ne": "$eq", "$nin": "$in"}[name], operand)
    if name == "$exists":
        return bool(values) == operand
    return any(_holds(value, name, operand) for value in values)


def _holds(value: Any, name: str, operand: Any) -> bool:
    if name == "$eq":
        return _same(value, operand)
    if name == "$in":
        return any(_same(value, one) for one in operand)
    if name in ("$contains", "$containsAny"):
        wanted = [operand] if name == "$contains" else operand
        return isinstance(value, list) and any(_same(one, other) for one in value for other in wanted)
    if name == "$startsWith":
        return isinstance(value, str) and value[: len(operand)] == operand
    left, right = _ordered(value), _ordered(operand)
    if left is None or right is None or left[0] != right[0]:
        return False
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[name]


def _ordered(value: Any) -> tuple[str, Any] | None:
    if isinstance(value, str):
        return "string", [ord(character) for character in value]
    number = not isinstance(value, bool) and isinstance(value, (int, float, Fraction))
    return ("number", Fraction(value)) if number else None


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if _ordered(left) is not None and _ordered(right) is not None:
        return _ordered(left) == _ordered(right)
    return type(left) is type(right) and left == right


def _at(path: str, value: Any) -> list[Any]:
    """What stands at all places that fit the path."""
    pattern: list[Any] = []
    for match in _TOKEN.finditer(path):
        if match[1] is None:
            pattern.append(re.sub(r"\\(.)", r"\1", match[2], flags=re.DOTALL))
        else:
            pattern.append("*" if match[1] == "*" else int(match[1]))
    return [found for place, found in _places(value, []) if _fits(place, pattern)]


def _places(value: Any, place: list[Any]) -> Iterator[tuple[list[Any], Any]]:
    yield place, value
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _places(child, [*place, ("name", name)])
    if isinstance(value, list):
        for position, child in enumerate(value):
            yield from _places(child, [*place, position])


def _fits(place: list[Any], pattern: list[Any]) -> bool:
    if len(place) != len(pattern):
        return False
    return all(
        one == other or (other == "*" and isinstance(one, int)) or one == ("name", other)
        for one, other in zip(place, pattern, strict=True)
    )
