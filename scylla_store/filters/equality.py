"""Exact JSON equality."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any


def json_key(value: Any) -> Hashable:
    """A key that two JSON values share exactly when they are equal in JSON.

    Numbers are equal when they are the same number: 1 and 1.0 are, 2**53 + 1 and its nearest float are not (Python compares
    the two kinds exactly). A boolean is no number, though Python says so. Objects have no order, arrays have one.
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool or value is None:
        return ("constant", str(value))
    if kind is int or kind is float:
        return ("number", value)
    if kind is list:
        return ("array", *map(json_key, value))
    return ("object", frozenset((name, json_key(child)) for name, child in value.items()))


def is_container(value: object) -> bool:
    """Whether it is an array or an object."""
    return isinstance(value, (list, dict))
