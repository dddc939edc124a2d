"""Arguments of calls: switches, functions, lists, and how a message shows what somebody passed instead."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from scylla_store.errors import ValidationError

MOST_AT_ONCE = 100_000
"""Documents, keys or operations of one call. `put_many` with `on_progress` takes any number."""

_LONGEST = 80


def shown(value: Any) -> str:
    """A wrong value for a message: short, and made without calling anything of its own."""
    kind = type(value)
    if value is None or kind in (bool, float) or (kind is int and abs(value) < 10**_LONGEST):
        return repr(value)
    if kind is str:
        return f"{value!a}" if len(value) <= _LONGEST else f"{value[:_LONGEST]!a}…"
    return kind.__name__


def checked_flag(value: object, argument: str) -> bool:
    """Returns the switch: True or False; raises ValidationError otherwise. Text is neither, whatever it says."""
    if not isinstance(value, bool):
        raise ValidationError(f"{argument} must be True or False, not {shown(value)}")
    return value


def check_rate(rate: Any, argument: str) -> None:
    """Raises ValidationError unless it is a number a second, 1 or more, or None."""
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 1 <= rate < math.inf):
        raise ValidationError(f"{argument} must be a number of at least 1, or None, not {shown(rate)}")


def check_function(value: object, argument: str) -> None:
    """Raises ValidationError unless the value can be called, or is None."""
    if value is not None and not callable(value):
        raise ValidationError(f"{argument} must be a function or None, not {type(value).__name__}")


def checked_iterator(values: Any, argument: str, what: str) -> Iterator[Any]:
    """Iterates over the values, however many; raises ValidationError when there is nothing to iterate over."""
    try:
        return iter(values)
    except TypeError:
        raise ValidationError(f"{argument} must be a list of {what}, not {type(values).__name__}") from None


def checked_list(values: Any, argument: str, what: str) -> list[Any]:
    """The values of a list or an iterator, at most 100,000; raises ValidationError. One that never ends is refused, too."""
    found = list(islice(checked_iterator(values, argument, what), MOST_AT_ONCE + 1))
    if len(found) > MOST_AT_ONCE:
        raise ValidationError(f"{argument} has more than {MOST_AT_ONCE} {what}; that is the most that one call takes")
    return found
