"""Wrong filters at random: something wrong, below some levels of `$and`, `$or` and `$not`."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.unit.bad_inputs.values import EXPLODING, LEAVES, LONG, LOOP, SURROGATE, Make, fixed, no, poisoned, some

_VALUES = ("$eq", "$ne", "$contains")
_LISTS = ("$in", "$nin", "$containsAny")
_RANGES = ("$gt", "$gte", "$lt", "$lte")
_PATHS = fixed("", ".", "a..b", ".a", "a[", "a[x]", "a[-1]", "\\", SURROGATE, "é" * 300, LONG, "$nothing", "$gt", "$")
_OPERATORS = fixed("$", "$gtr", "$EQ", "$where", "$and", "$or", f"${SURROGATE}", f"${LONG}", "$key")
_TIMES = some(no("str", "other"), fixed("yesterday", "2026-01-31", "2026-13-01T00:00:00Z", "2026-01-31T12:00:00", LONG))


def _not_nested(levels: int) -> Any:
    found: Any = {"a": 1}
    for _ in range(levels):
        found = {"$not": found}
    return found


def _shared(levels: int) -> Any:
    found: Any = {"a": 1}
    for _ in range(levels):
        found = {"$or": [found, found]}
    return found


def _many_values(path: str) -> Any:
    """As many values as fit into a filter, and an operator that is none behind them."""
    found: Any = {f"{number:03}": {"$in": list(range(10)) * 25} for number in range(225)}
    if path.startswith("$"):
        found = {"$or": [{path: operand} for operand in found.values()]}
    return {**found, "zz": {"$gtr": 1}}


_TOO_MUCH = fixed(
    _many_values("a"),
    _many_values("$version"),
    _not_nested(20),
    _not_nested(10_000),
    _shared(15),
    _shared(60),
    {f"n{number}": number for number in range(300)},
    dict.fromkeys(map(str, range(100_000)), 1),
    {"$or": [{"a": number} for number in range(300)]},
    {"$and": [{"a": 1}] * 1_000_000},
    {"a": {"$in": list(range(1001))}},
    {"a": {"$in": [0] * 1_000_000}},
    {"a": {"$in": ["x" * 1000] * 70}},
    {"a": "x" * 70_000},
    {"a": {f"${number}": 1 for number in range(100_000)}},
)


def _entry(random: Random) -> Any:
    """A condition that is wrong."""
    path = random.choice(["a", "author.name", "tags[*]", "a[0]"])
    return random.choice(
        [
            lambda: {_PATHS(random): 1},
            lambda: {path: {_OPERATORS(random): 1}},
            lambda: {path: {random.choice(_VALUES): poisoned(random, LEAVES(random))}},
            lambda: {path: {random.choice(_LISTS): random.choice([no("list", "tuple")(random), [LEAVES(random)]])}},
            lambda: {path: {random.choice(_RANGES): no("int", "float", "str")(random)}},
            lambda: {path: {"$exists": no("bool")(random)}},
            lambda: {path: {"$startsWith": no("str")(random)}},
            lambda: {path: {"$not": random.choice([1, None, {}, [], {"a": 1}])}},
            lambda: {path: {"$gt": 1, "name": 2}},
            lambda: {path: LEAVES(random)},
            lambda: {random.choice(["$and", "$or"]): random.choice([no("list", "tuple")(random), [], [1], [None], [LOOP["itself"]]])},
            lambda: {"$not": random.choice([no("dict")(random), [{}], EXPLODING])},
            lambda: {"$key": random.choice([5, None, ["k"], {"$contains": "k"}, {"$gt": 1}])},
            lambda: {"$version": random.choice(["5", None, True, {"$startsWith": "1"}, {"$gt": "1"}])},
            lambda: {random.choice(["$created_at", "$updated_at"]): random.choice([_TIMES(random), {"$gt": _TIMES(random)}])},
            lambda: {random.choice([1, None, ("a",), b"a", 2.5]): 1},
        ]
    )()  # fmt: skip


def wrong_filter(random: Random) -> Any:
    """What is no filter."""
    kind = random.random()
    if kind < 0.1:
        return no("dict", "none")(random)
    if kind < 0.15:
        return _TOO_MUCH(random)
    found = _entry(random)
    for _ in range(random.randrange(4)):
        right: list[Any] = [{"b": 1}] * random.randrange(3)
        right.insert(random.randrange(len(right) + 1), found)
        found = random.choice([{"$and": right}, {"$or": tuple(right)}, {"$not": found}, {"c": "x", "$and": right}])
    return found


def unranged(random: Random) -> Any:
    """A range of a path that is not declared, which the index cannot answer."""
    return {random.choice(["year", "a.b"]): {random.choice(_RANGES): random.choice([5, "x"])}}


FILTER: Make = wrong_filter
INDEX_FILTER: Make = some(wrong_filter, wrong_filter, wrong_filter, unranged)
