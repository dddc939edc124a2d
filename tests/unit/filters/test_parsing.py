"""Filters that are refused: the message names the place inside the filter, and the rule."""

from __future__ import annotations

import enum
import math
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from scylla_store.errors import ValidationError
from scylla_store.filters import Filter, Subject, parse_filter
from tests.unit.filters.table import MOMENT, subject

SURROGATE = "\ud800"


def deep(levels: int) -> dict[str, Any]:
    """A filter of so many levels."""
    asked: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        asked = {"$not": asked}
    return asked


def wide(levels: int) -> dict[str, Any]:
    """A filter that is small in memory, and whose parts are 256 to the power of `levels`."""
    asked: dict[str, Any] = {}
    for _ in range(levels):
        asked = {"$or": [asked] * 256}
    return asked


def loop() -> dict[str, Any]:
    """A filter inside of itself."""
    asked: dict[str, Any] = {}
    asked["$not"] = asked
    return asked


REFUSED: list[tuple[Any, str]] = [
    ("text", "filter must be a dictionary (a JSON object), not str"),
    ([], "filter must be a dictionary (a JSON object), not list"),
    (0, "filter must be a dictionary (a JSON object), not int"),
    ({1: 2}, "filter has a key that is no string but int"),
    # names
    ({"a": {"$gte ": 5}}, "filter.a['$gte '] is no operator; did you mean $gte?"),
    ({"a": {"$gtr": 5}}, "filter.a.$gtr is no operator; did you mean $gt"),
    ({"a": {"$containsany": [1]}}, "filter.a.$containsany is no operator; did you mean $containsAny?"),
    ({"a": {"$regex": "x"}}, "filter.a.$regex is no operator; there are $eq, $ne, "),
    ({"a": {"$and": []}}, "filter.a.$and is no operator"),
    ({"$createdat": "x"}, "filter.$createdat is no field of an item and no operator; did you mean $created_at?"),
    ({"$nor": [{}]}, "filter.$nor is no field of an item and no operator; did you mean $or?"),
    ({"$": {}}, "filter['$'] is no field of an item and no operator; there are $key, "),
    ({"$gt": 5}, "filter.$gt: an operator stands below a path"),
    ({"a": {"$gt": 1, "b": 2}}, "filter.a mixes operators and names"),
    ({"": 1}, "filter[''] (a path) has 0 bytes"),
    ({"a..b": 1}, "filter['a..b']: 'a..b' is wrong at character 3: a name is missing"),
    ({"a[x]": 1}, "filter['a[x]']: 'a[x]' is wrong at character 2"),
    ({"x" * 513: 1}, "(a path) has 513 bytes"),
    ({SURROGATE: 1}, "filter['\\ud800'] (a path) holds a lone surrogate"),
    # operands
    ({"$and": {}}, "filter.$and must be a list of filters, at least one"),
    ({"$or": []}, "filter.$or must be a list of filters, at least one"),
    ({"$or": [{}, 5]}, "filter.$or[1] must be a dictionary (a JSON object), not int"),
    ({"$not": [{}]}, "filter.$not must be a dictionary (a JSON object), not list"),
    ({"a": {"$not": 5}}, "filter.a.$not must be an object of operators; $ne is the negation of a value"),
    ({"a": {"$not": {}}}, "filter.a.$not must be an object of operators"),
    ({"$or": [{"b": 1}, {"year": {"$gt": [1]}}]}, "filter.$or[1].year.$gt must be a number or a string, not list"),
    ({"a": {"$gt": True}}, "filter.a.$gt must be a number or a string, not bool"),
    ({"a": {"$lte": None}}, "filter.a.$lte must be a number or a string, not null"),
    ({"a": {"$in": "abc"}}, "filter.a.$in must be a list of values, not str"),
    ({"a": {"$nin": {"b": 1}}}, "filter.a.$nin must be a list of values, not dict"),
    ({"a": {"$containsAny": 1}}, "filter.a.$containsAny must be a list of values, not int"),
    ({"a": {"$exists": 1}}, "filter.a.$exists must be true or false, not int"),
    ({"a": {"$startsWith": 5}}, "filter.a.$startsWith must be a string, not int"),
    ({"a": math.nan}, "filter.a is nan, which JSON cannot hold"),
    ({"a": {"$gt": math.inf}}, "filter.a.$gt is inf, which JSON cannot hold"),
    ({"a": {"$in": [1, {"b": {2}}]}}, "filter.a.$in[1].b is a set, which JSON cannot hold"),
    ({"a": SURROGATE}, "filter.a holds a lone surrogate"),
    ({"a": {"$eq": {1: 2}}}, "filter.a.$eq has a key that is no string but int"),
    ({"author.name": b"x"}, "filter['author.name'] is a bytes, which JSON cannot hold"),
    ({"a": datetime.now(timezone.utc)}, "filter.a is a datetime, which JSON cannot hold"),
    # fields of the item
    ({"$key": 5}, "filter.$key must be a string, as keys are, not int"),
    ({"$key": {"$in": ["a", None]}}, "filter.$key.$in[1] must be a string, as keys are, not null"),
    ({"$key": {"$contains": "a"}}, "filter.$key.$contains cannot be asked of $key, which is a string"),
    ({"$version": "5"}, "filter.$version must be a number, as versions are, not str"),
    ({"$version": True}, "filter.$version must be a number, as versions are, not bool"),
    ({"$version": {"$startsWith": "1"}}, "filter.$version.$startsWith cannot be asked of $version, which is a number"),
    ({"$created_at": 5}, "filter.$created_at must be a datetime with a time zone, or text such as"),
    ({"$created_at": "2026-01-01"}, "filter.$created_at must be a datetime with a time zone"),
    ({"$created_at": "2026-01-01T00:00:00"}, "filter.$created_at must be a datetime with a time zone"),
    ({"$created_at": {"$lt": "2026-13-01T00:00:00Z"}}, "filter.$created_at.$lt must be a datetime"),
    ({"$updated_at": datetime(2026, 1, 1)}, "filter.$updated_at must be a datetime with a time zone"),
    ({"$updated_at": {"$startsWith": "2026"}}, "filter.$updated_at.$startsWith cannot be asked of $updated_at"),
    # limits
    (deep(17), "is nested deeper than the 16 levels"),
    (loop(), "is nested deeper than the 16 levels"),
    ({"a": {"$not": {"$not": deep(16)}}}, "filter.a.$not.$not"),
    (wide(2), "is one condition more than the 256 that are allowed"),
    (wide(12), "is one condition more than the 256 that are allowed"),
    ({str(number): number for number in range(257)}, "filter has 257 entries; at most 256 conditions"),
    ({"$and": [{"a": number} for number in range(200)]}, "is one condition more than the 256"),
    ({"a": {"$in": list(range(1001))}}, "filter.a.$in has 1001 values; at most 1000 are allowed"),
    ({"a": "x" * 65_535}, "filter.a has 65537 bytes in JSON; at most 65536 are allowed"),
    ({"a": {"$in": ["x" * 700] * 100}}, "filter.a.$in[93] makes the filter longer than the 65536 bytes"),
    ({"a": {"$eq": [[[]]] * 30_000}}, "filter.a.$eq has"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "message"), REFUSED, ids=[f"{n}-{m[:50]}" for n, (_, m) in enumerate(REFUSED)])
def test_a_wrong_filter_is_refused_at_its_place(asked: Any, message: str) -> None:
    with pytest.raises(ValidationError) as failure:
        parse_filter(asked)

    assert message in str(failure.value)
    assert "filter" in str(failure.value)


def parsed(asked: Any, **options: Any) -> Filter:
    """The filter."""
    where = parse_filter(asked, **options)
    assert where is not None
    return where


def test_what_reaches_a_limit_is_taken() -> None:
    assert parsed(deep(16)).matches(subject({}))
    assert parsed({"a": {"$in": list(range(1000))}}).matches(subject({"a": 999}))
    assert parsed({"$or": [{"a": number} for number in range(128)]}).matches(subject({"a": 127}))
    assert parsed({"a": "x" * 65_000}).matches(subject({"a": "x" * 65_000}))


def test_no_filter_is_none() -> None:
    assert parse_filter(None) is None


def test_what_python_has_beside_json_is_what_a_document_would_hold() -> None:
    class Size(enum.IntEnum):
        SMALL = 1

    class Name(str, enum.Enum):
        PATH = "a"
        TEA = "tea"

    assert parsed({Name.PATH: Name.TEA}).matches(subject({"a": "tea"}))
    assert parsed({"a": Size.SMALL}).matches(subject({"a": 1.0}))
    assert parsed({"a": (1, 2)}).matches(subject({"a": [1, 2]}))
    assert parsed({"$or": ({"a": 1}, {"b": 1})}).matches(subject({"b": 1}))
    assert parsed({"$key": {Name.TEA.value.replace("tea", "$in"): (Name.TEA,)}}).matches(subject({}))


def test_the_encoder_of_documents_converts_operands_too() -> None:
    where = parsed({"price": {"$gte": Decimal("1.50")}}, encoder=float)

    assert where.matches(subject({"price": 1.5}))
    with pytest.raises(
        ValidationError, match=r"filter.price is a Decimal, which JSON cannot hold and `encoder` did not"
    ):
        parse_filter({"price": Decimal("1.50")}, encoder=len)


@pytest.mark.parametrize("minutes", [0, 90, -330])
def test_a_datetime_of_any_zone_is_a_time(minutes: int) -> None:
    moment = datetime.fromtimestamp(MOMENT / 1e6, timezone(timedelta(minutes=minutes)))

    assert parsed({"$created_at": moment}).matches(subject({}))
    assert parsed({"$created_at": moment.isoformat()}).matches(subject({}))
    assert not parsed({"$created_at": {"$gt": moment}}).matches(subject({}))
    assert parsed({"$created_at": {"$lt": moment + timedelta(microseconds=1)}}).matches(subject({}))


def test_filters_are_told_apart_but_for_the_order_of_names() -> None:
    different = [
        {}, {"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": True}, {"a": {"$ne": 1}}, {"a": {"$gt": 1}}, {"a": {"$gte": 1}},
        {"$key": "1"}, {r"\$key": "1"}, {"a": [1]}, {"a": {"$in": [1, 2]}}, {"a": {"$contains": 1}}, {"a": {"$exists": True}},
        {"a": {"$exists": False}}, {"$and": [{"a": 1}, {"b": 2}]}, {"$or": [{"a": 1}, {"b": 2}]}, {"a.b": 1}, {r"a\.b": 1},
        {"a[0]": 1}, {"a[*]": 1}, {r"a\[0\]": 1}, {"$created_at": "2026-01-01T00:00Z"}, {"$updated_at": "2026-01-01T00:00Z"},
    ]  # fmt: skip

    assert len({parsed(asked).digest for asked in different}) == len(different)
    assert parsed({"a": 1, "b": {"$gt": 1, "$lt": 2}}).digest == parsed({"b": {"$lt": 2, "$gt": 1}, "a": 1}).digest
    for operator in ("$eq", "$ne", "$contains"):
        one, other = {"x": 1, "y": [{"p": 1, "q": 2}]}, {"y": [{"q": 2, "p": 1}], "x": 1}
        assert parsed({"a": {operator: one}}).digest == parsed({"a": {operator: other}}).digest
        assert parsed({"a": {"$in": [0, one]}}).digest == parsed({"a": {"$in": [0, other]}}).digest


def test_a_filter_can_be_asked_again_and_again() -> None:
    where = parsed({"a": {"$in": [1, "x"]}})

    assert [where.matches(Subject("k", {"a": value}, 0, 0)) for value in (1, "x", 2, 1.0)] == [True, True, False, True]


@pytest.mark.parametrize(
    ("path", "values"), [("a", list(range(10))), ("a", list("0123456789")), ("$version", list(range(10)))]
)
def test_a_list_is_not_encoded_value_by_value(path: str, values: list[Any]) -> None:
    # Given as many values as fit into a filter
    asked = {"$or": [{path: {"$in": values * 15}} for _ in range(100)]}
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    # When it is checked
    sys.setprofile(count)
    try:
        parse_filter(asked)
    finally:
        sys.setprofile(None)
    # Then there are not many calls for each of them
    assert calls < 2 * 15_000


def test_a_list_takes_as_much_of_the_limit_as_its_values() -> None:
    # 65,536 bytes: the path has one, each value 64
    values = ["x" * 62] * 1000
    fits = {"a": {"$in": values}, "b": {"$in": ["x" * 62] * 23}, "c": "x" * 59}
    assert parse_filter(fits) is not None
    with pytest.raises(ValidationError, match=r"filter\.c makes the filter longer"):
        parse_filter({**fits, "c": "x" * 60})
    with pytest.raises(ValidationError, match=r"filter.b.\$in\[23\] makes the filter longer"):
        parse_filter({**fits, "b": {"$in": ["x" * 62] * 24}})
