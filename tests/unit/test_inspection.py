"""Values that are small in memory and have no end in JSON, or nearly none."""

from __future__ import annotations

import itertools
import json
import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import pytest

from scylla_store.errors import ValidationError
from scylla_store.filters import parse_filter
from scylla_store.values import encode_value

MOST = 1_048_576


def encode(value: object, max_bytes: int = MOST) -> bytes:
    return encode_value(value, encoder=None, max_bytes=max_bytes, max_depth=100)


def refusal(value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        encode(value)
    return str(caught.value)


def doubled(value: Any, times: int, make: Any = lambda below: [below, below]) -> Any:
    """Twice what it was, so many times, and hardly more memory."""
    for _ in range(times):
        value = make(value)
    return value


class Endless(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return zip(itertools.repeat("k"), itertools.repeat(1))


class Longer(list):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat(0)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": doubled([], 60)}, id="lists"),
        pytest.param({"a": doubled((), 60, lambda below: (below, below))}, id="tuples"),
        pytest.param(doubled({}, 60, lambda below: {"x": below, "y": below}), id="objects"),
        pytest.param({"a": ["x" * 1_000_000] * 300_000}, id="one string"),
        pytest.param({"a": [{"x" * 1_000_000: 1}] * 100_000}, id="one key"),
        pytest.param({"a": [10**4200] * 300_000}, id="one integer"),
        pytest.param({"a": [[0] * 1000] * 1000}, id="one list"),
        pytest.param(OrderedDict(a=doubled([], 60)), id="not plain at its top"),
        pytest.param({"a": OrderedDict(), "b": doubled([], 60)}, id="not plain beside it"),
        pytest.param({"a": OrderedDict(), "b": ["x" * 1_000_000] * 1000}, id="not plain, one string"),
        pytest.param({"a": doubled(OrderedDict(), 60)}, id="not plain below it"),
        pytest.param({"a": Endless()}, id="items without end"),
        pytest.param({"a": Longer()}, id="elements without end"),
    ],
)
def test_what_would_be_far_too_large_in_json_is_refused_before_it_is_made(value: object) -> None:
    assert refusal(value) == f"value has more than {MOST + MOST // 8} bytes in JSON; at most {MOST} are allowed"


def test_a_filter_is_held_to_the_same_rule() -> None:
    for operand in (doubled([], 60), {"$eq": doubled([], 60)}, {"$in": [1, doubled([], 60)]}, {"$gt": doubled([], 60)}):
        with pytest.raises(ValidationError, match=r"^filter\.a.* has more than \d+ bytes in JSON"):
            parse_filter({"a": operand})


@pytest.mark.parametrize("name", ["$and", "$or", "$not"])
def test_a_filter_that_holds_one_part_again_and_again_is_refused(name: str) -> None:
    part: Any = {"a": 1}
    for _ in range(60):
        part = {name: part if name == "$not" else [part, part]}

    with pytest.raises(ValidationError, match=r"^filter"):
        parse_filter(part)


def test_what_is_wrong_in_something_nested_many_times_is_found_at_its_first_place() -> None:
    assert refusal({"a": doubled([math.nan], 60)}) == f"value.a{'[0]' * 61} is nan, which JSON cannot hold"
    assert refusal({"a": doubled([math.nan], 10)}) == f"value.a{'[0]' * 11} is nan, which JSON cannot hold"


def test_something_nested_many_times_is_too_deep_wherever_it_is() -> None:
    # Given a list that is looked at first where its depth is allowed, and not plain, so that it is looked at in Python
    shared = doubled([], 90, lambda below: [below])
    value = OrderedDict(a=shared, b=doubled(shared, 20, lambda below: [below]))

    # Then its second place is too deep all the same
    assert refusal(value).startswith("value.b[0][0]")
    assert refusal(value).endswith("… is nested deeper than the 100 levels that are allowed")


@pytest.mark.parametrize("top", [dict, OrderedDict])
def test_what_is_small_enough_may_hold_a_thing_many_times(top: type[dict[str, Any]]) -> None:
    value = top(a=doubled([1], 15), b=[{"k": "v"}] * 5000)

    assert json.loads(encode(value)) == value
