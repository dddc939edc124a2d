"""Arguments of calls, and how a message shows what was passed instead."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from scylla_store.arguments import MOST_AT_ONCE, check_function, check_rate, checked_flag, checked_list, shown
from scylla_store.errors import ValidationError


class Hostile:
    """Fails at whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (math.nan, "nan"),
        (5, "5"),
        ("five", "'five'"),
        ("\ud800", r"'\ud800'"),
        ("x" * 100, f"'{'x' * 80}'…"),
        (10**5000, "int"),
        (-(10**5000), "int"),
        ([1], "list"),
        (Hostile(), "Hostile"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_wrong_value_is_shown_shortly_whatever_it_is(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("value", [None, 0, 1, "true", Hostile()], ids=lambda value: type(value).__name__)
def test_a_switch_is_true_or_false_and_nothing_that_looks_like_it(value: object) -> None:
    assert (checked_flag(True, "exact"), checked_flag(False, "exact")) == (True, False)
    with pytest.raises(ValidationError, match=r"^exact must be True or False"):
        checked_flag(value, "exact")


@pytest.mark.parametrize(
    "rate", [0, -1, 0.99, 5e-324, math.nan, math.inf, True, "5", [], Hostile()], ids=lambda rate: repr(type(rate))
)
def test_a_rate_is_a_number_from_1_or_none(rate: object) -> None:
    for right in (None, 1, 1.5, 10**400):
        check_rate(right, "max_rate")
    with pytest.raises(ValidationError, match=r"^max_rate must be a number of at least 1"):
        check_rate(rate, "max_rate")


def test_a_function_is_one_or_none() -> None:
    check_function(print, "progress")
    check_function(None, "progress")
    with pytest.raises(ValidationError, match=r"^progress must be a function or None, not str"):
        check_function("print", "progress")


def test_a_list_is_anything_to_iterate_over_up_to_a_bound() -> None:
    assert checked_list(iter("ab"), "keys", "pairs") == ["a", "b"]
    assert len(checked_list(range(MOST_AT_ONCE), "keys", "pairs")) == MOST_AT_ONCE


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (5, "must be a list of pairs, not int"),
        (None, "must be a list of pairs, not NoneType"),
        (range(MOST_AT_ONCE + 1), f"has more than {MOST_AT_ONCE} pairs"),
        (itertools.repeat(0), f"has more than {MOST_AT_ONCE} pairs"),
    ],
)
def test_what_is_no_list_or_never_ends_is_refused(values: Any, rule: str) -> None:
    with pytest.raises(ValidationError, match=f"^keys {rule}"):
        checked_list(values, "keys", "pairs")
