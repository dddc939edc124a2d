"""Documents and filters at random, from few names and values, so that they meet; the values are those that are easy to get wrong."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.filters.table import MOMENT

NAMES = ("a", "b", "c", "a.b", "$key", "x[0]", "\\", "é")
STRINGS = ("", "1", "a", "ab", "abc", "b", "true", "null", "é", "\uffff", "\U0001f600", "a\0", "2026-01-31T12:00:00Z",
           "2026-01-31T12:00:00.5Z", "a long text that is longer than any key of the index can be")  # fmt: skip
NUMBERS = (0, -0.0, 1, 1.0, -1, 2, 1.5, -1.5, 5e-324, 1e300, 2**53, 2**53 + 1, float(2**53), -(2**53) - 1, 2**63, 10**30,
           float(10**30), 10**400, -(10**400))  # fmt: skip
SCALARS = st.sampled_from([None, True, False, *STRINGS, *NUMBERS])
KEYS = ("tea", "te", "coffee", "é")

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)

_ESCAPED = {name: "".join(f"\\{one}" if one in "\\.[]" else one for one in name) for name in NAMES}
_FIRST = st.sampled_from([_ESCAPED[name] if name != "$key" else r"\$key" for name in NAMES])
_STEPS = st.sampled_from([*(f".{escaped}" for escaped in _ESCAPED.values()), "[*]", "[*]", "[0]", "[1]"])
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


def _looks_like_operators(value: Any) -> bool:
    return isinstance(value, dict) and any(name.startswith("$") for name in value)
