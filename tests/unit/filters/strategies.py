"""Documents and filters at random, from few names and values, so that they meet; the values are those that are easy to get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.unit.filters.table import MOMENT

NAMES = ("a", "b", "c", "a.b", "$key", "x[0]", "\\", "é")
LONG = "a text that is longer than a rank"
STRINGS = ("", "1", "a", "ab", "abc", "b", "true", "null", "é", "\uffff", "\U0001f600", "a\0", "a\0b", "2026-01-31T12:00:00Z", LONG,
           f"{LONG} is", f"{LONG}, by far")  # fmt: skip
NUMBERS = (0, -0.0, 1, 1.0, -1, 2, 1.5, -1.5, 5e-324, 1e300, 2**53, 2**53 + 1, float(2**53), -(2**53) - 1, 2**63, 10**30,
           float(10**30), 10**400, -(10**400))  # fmt: skip
KEYS = ("tea", "te", "coffee", "é")

# What comes often is found often: otherwise nearly no filter would match anything but by its negations.
_NAMES = st.sampled_from((*("a",) * 8, *("b",) * 4, *NAMES))
_SCALARS = st.sampled_from([*(1, 1.0, "a", "a", "a\0", 2, None, True) * 5, False, *STRINGS, *NUMBERS])
VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=5
)
DOCUMENTS = st.dictionaries(_NAMES, VALUES, max_size=4)

_ESCAPED = {name: "".join(f"\\{one}" if one in "\\.[]" else one for one in name) for name in NAMES}
_FIRST = _NAMES.map(lambda name: r"\$key" if name == "$key" else _ESCAPED[name])
_STEPS = _NAMES.map(lambda name: f".{_ESCAPED[name]}") | st.sampled_from(["[*]", "[*]", "[0]", "[1]"])
PATHS = st.builds(lambda first, rest: first + "".join(rest), _FIRST, st.lists(_STEPS, max_size=2))

_RANGES = ("$gt", "$gte", "$lt", "$lte")
_BOUNDS = st.sampled_from([*STRINGS, *NUMBERS])
_MOMENTS = st.sampled_from(["2027-01-15T08:00:00Z", "2027-01-15T09:00:00.000001+01:00", "2027-01-15T07:59Z"])
_VERSIONS = st.sampled_from([MOMENT, MOMENT - 1, MOMENT + 0.5, float(MOMENT), 0, 10**30, -1.5])
_SYSTEM = {
    "$key": st.sampled_from(KEYS),
    "$version": _VERSIONS,
    "$created_at": _MOMENTS,
    "$updated_at": _MOMENTS,
}
_OF_ALL = ("$eq", "$ne", "$in", "$nin", "$exists")
_OF_PATHS = (*_OF_ALL, "$contains", "$containsAny", "$startsWith")


@st.composite
def filters(draw: st.DrawFn, ranges: tuple[str, ...] | None = None, depth: int = 2) -> dict[str, Any]:
    """Filters; with `ranges` these paths are asked for more often, and no other ones are compared."""
    kind = draw(st.sampled_from(["entry"] * 5 + ["$and", "$or", "$not", "both"] * (depth > 0)))
    inner = filters(ranges, depth - 1)
    if kind in ("$and", "$or"):
        return {kind: draw(st.lists(inner, min_size=1, max_size=3))}
    if kind == "$not":
        return {kind: draw(inner)}
    if kind == "both":
        return {**draw(inner), **draw(inner)}
    return draw(_entries(ranges))


@st.composite
def _entries(draw: st.DrawFn, ranges: tuple[str, ...] | None) -> dict[str, Any]:
    kind = draw(st.sampled_from(["path"] * 4 + ["plain", "system"] + ["range"] * 4 * (ranges is not None)))
    if kind == "plain":
        return {draw(PATHS): draw(VALUES.filter(lambda value: not _looks_like_operators(value)))}
    if kind == "system":
        name = draw(st.sampled_from(list(_SYSTEM)))
        return {name: draw(_conditions((*_OF_ALL, *_RANGES), _SYSTEM[name], _SYSTEM[name]))}
    if kind == "range":
        return {draw(st.sampled_from(ranges or ())): draw(_conditions((*_RANGES, "$startsWith"), VALUES, _BOUNDS))}
    names = _OF_PATHS if ranges is not None else (*_OF_PATHS, *_RANGES)
    return {draw(PATHS): draw(_conditions(names, VALUES, _BOUNDS))}


@st.composite
def _conditions(
    draw: st.DrawFn, names: tuple[str, ...], values: st.SearchStrategy[Any], bounds: st.SearchStrategy[Any]
) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2))
    tests = {name: draw(_operand(name, values, bounds)) for name in chosen}
    return draw(st.sampled_from([tests, tests, {"$not": tests}]))


def _operand(name: str, values: st.SearchStrategy[Any], bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if name == "$exists":
        return st.booleans()
    if name == "$startsWith":
        return st.sampled_from(STRINGS)
    if name in _RANGES:
        return bounds
    return st.lists(values, max_size=3) if name in ("$in", "$nin", "$containsAny") else values


@st.composite
def cases(
    draw: st.DrawFn, documents: int, asked: int, ranges: tuple[str, ...] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """So many documents, and so many filters: half of them at random, half about what stands in the documents."""
    values = draw(st.lists(DOCUMENTS, min_size=documents, max_size=documents))
    places = [place for value in values for place in _places(value, ())] or [(("a",), 1)]
    one = filters(ranges) | _about(places, ranges)
    return values, draw(st.lists(one, min_size=asked, max_size=asked))


_Place = tuple[tuple[Any, ...], Any]


def _places(value: Any, steps: tuple[Any, ...]) -> Iterator[_Place]:
    if steps:
        yield steps, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from _places(child, (*steps, step))


@st.composite
def _about(draw: st.DrawFn, places: list[_Place], ranges: tuple[str, ...] | None) -> dict[str, Any]:
    """A filter about one place, with what stands there or somewhere else."""
    (steps, there), (_, elsewhere) = draw(st.sampled_from(places)), draw(st.sampled_from(places))
    path = "".join(draw(_step(step, at == 0)) for at, step in enumerate(steps))
    value = draw(st.sampled_from([there, there, elsewhere]))
    operators: dict[str, Any] = {"$eq": value, "$in": [value, elsewhere], "$exists": True}
    if isinstance(value, list) and value:
        operators["$contains"] = value[-1]
    if isinstance(value, str):
        operators["$startsWith"] = value[: draw(st.integers(0, len(value)))]
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and (ranges is None or path in ranges):
        operators |= dict.fromkeys(_RANGES, value)
    name = draw(st.sampled_from(list(operators)))
    test = {name: operators[name]}
    return {path: draw(st.sampled_from([test, {"$not": test}]))}


def _step(step: Any, is_first: bool) -> st.SearchStrategy[str]:
    if isinstance(step, int):
        return st.sampled_from(["[*]", f"[{step}]", "[0]", "[1]"])
    if is_first:
        return st.just(r"\$key" if step == "$key" else _ESCAPED[step])
    return st.just(f".{_ESCAPED[step]}")


def _looks_like_operators(value: Any) -> bool:
    return isinstance(value, dict) and any(name.startswith("$") for name in value)
