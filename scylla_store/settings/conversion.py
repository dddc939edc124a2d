"""Values of options: from text, and checked against what the option allows."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

from scylla_store.settings.catalogue import Kind, Option

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class WrongValue(Exception):
    """The value is not what the option's rule says."""


def converted(option: Option, raw: Any) -> Any:
    """The value for the settings object; raises WrongValue.

    Text is read as it stands in environment variables: numbers, true and false, lists with commas or as JSON; empty text is
    none or the empty list where the option allows that. Paths are texts. Booleans are never numbers, NaN and infinity are not allowed.
    """
    if isinstance(raw, str) and option.kind != "text":
        raw = _FROM_TEXT[option.kind](raw.strip())
    if isinstance(raw, str) and not raw and option.can_be_none:
        raw = None
    if option.kind == "texts" and isinstance(raw, list):
        raw = tuple(raw)
    if option.kind == "text" and isinstance(raw, os.PathLike):
        raw = os.fspath(raw)
    if option.kind == "float" and isinstance(raw, int) and not isinstance(raw, bool):
        raw = _float(raw)
    check(option, raw)
    return raw


def check(option: Option, value: Any) -> None:
    """Raises WrongValue unless the settings object may hold the value."""
    if value is None and option.can_be_none:
        return
    if not _has_kind(option, value) or not _is_allowed(option, value):
        raise WrongValue


def _has_kind(option: Option, value: Any) -> bool:
    if option.kind == "bool":
        return isinstance(value, bool)
    if option.kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if option.kind == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)
    if option.kind == "texts":
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    return isinstance(value, str) or (option.kind == "function" and callable(value))


def _is_allowed(option: Option, value: Any) -> bool:
    if option.choices:
        return value in option.choices
    if isinstance(value, str):
        return option.shape.fits(value)
    if isinstance(value, tuple):
        return all(option.shape.fits(item) for item in value)
    if option.least is None or option.most is None:
        return True
    return bool(option.least <= value <= option.most)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float can be
        return False


def _bool(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise WrongValue
    return text.lower() in _TRUE


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise WrongValue from None


def _float(number: str | int) -> float:
    try:
        return float(number)
    except (ValueError, OverflowError):
        raise WrongValue from None


def _texts(text: str) -> Any:
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            # An IPv6 address begins with a bracket too; everything else fails by its shape.
            pass
    return [item.strip() for item in text.split(",")] if text else []


def _unchanged(text: str) -> str:
    return text


_FROM_TEXT: dict[Kind, Callable[[str], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "texts": _texts,
    "function": _unchanged,
}
