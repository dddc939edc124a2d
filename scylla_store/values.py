"""What a write may hold: the document in JSON, its TTL, its index spec. Everything is checked before anything is written."""

from __future__ import annotations

import json
import re
from typing import Any

from scylla_store.clock import LAST_MOMENT, SECOND
from scylla_store.errors import ValidationError
from scylla_store.identity import checked_text, plain
from scylla_store.inspection import MAX_DIGITS, Converted, Encoder, Inspection, Size, Unencodable, digits, is_plain
from scylla_store.paths import parse
from scylla_store.rows import IndexSpec

MAX_PATHS = 32
MAX_PATH_BYTES = 512

_LONG_NUMBER = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")


def encode_value(
    value: object, *, encoder: Encoder | None, max_bytes: int, max_depth: int, argument: str = "value"
) -> bytes:
    """The document in JSON: compact UTF-8, keys in the order of the dictionary.

    Tuples become arrays. Subclasses of str, int, float, list and dict are stored as what they extend, so an IntEnum is its
    number; they come back as plain ones. Integers are exact, up to 4,300 digits.

    Args:
        value: a dictionary.
        encoder: turns values that JSON cannot hold into those it can; what it returns is held to the same rules.
        max_bytes: largest JSON.
        max_depth: deepest nesting; the document itself is level 1.
        argument: how the caller calls the value, for the message.

    Raises:
        ValidationError: names the place in the value and the rule.
    """
    if not isinstance(value, dict):
        raise ValidationError(f"{argument} must be a dictionary (a JSON object), not {type(value).__name__}")
    return encode_json(value, encoder=encoder, max_bytes=max_bytes, max_depth=max_depth, argument=argument)


def encode_json(value: object, *, encoder: Encoder | None, max_bytes: int, max_depth: int, argument: str) -> bytes:
    """Any value in JSON, under the rules of a document: see `encode_value`."""
    converted = None if encoder is None else Converted(encoder)

    def inspect() -> None:
        Inspection(converted, max_depth, Size(max_bytes, argument), argument).run(value)

    # Whatever the encoder converts is not plain either, so its results are looked at too.
    if not is_plain(value, max_depth, Size(max_bytes, argument)):
        inspect()
    try:
        text = (_PLAIN if converted is None else _json(converted)).encode(value)
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        # The C encoder says what is wrong but not where; a walk in Python finds it.
        inspect()
        raise ValidationError(f"{argument} cannot be turned into JSON: {type(exc).__name__}") from exc
    if len(body) > max_bytes:
        raise ValidationError(f"{argument} has {len(body)} bytes in JSON; at most {max_bytes} are allowed")
    if _may_hold_long_numbers(text):
        inspect()
    return body


def checked_ttl(ttl: object, now: int, *, argument: str = "ttl") -> int | None:
    """When something with this TTL expires; None when it has none.

    Args:
        ttl: seconds, a number > 0, or None.
        now: microseconds since the epoch.
        argument: how the caller calls it, for the message.

    Returns:
        Microseconds since the epoch, after `now`.

    Raises:
        ValidationError: names the argument and the rule.
    """
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise ValidationError(f"{argument} must be a number of seconds or None, not {type(ttl).__name__}")
    if not ttl > 0:
        kind = "NaN" if ttl != ttl else "negative" if ttl else "0"
        raise ValidationError(f"{argument} must be a number of seconds greater than 0; it is {kind}")
    # Infinity cannot be rounded, so what is far too long is refused first.
    if ttl > LAST_MOMENT or (expires_at := now + max(1, round(ttl * SECOND))) > LAST_MOMENT:
        raise ValidationError(f"{argument} ends after the year 9999; None means: never")
    return expires_at


def checked_index(index: object, *, argument: str = "index") -> IndexSpec:
    """The index spec of a write: None, False, or a tuple of paths; raises ValidationError that names argument and rule."""
    if index is None or index is False:
        return index
    if index is True:
        raise ValidationError(f"{argument} cannot be True: None means the configured fields, a list of paths these")
    if isinstance(index, str):
        raise ValidationError(f"{argument} must be a list of paths, not a string: [{index[:MAX_PATH_BYTES]!r}]")
    if not isinstance(index, (list, tuple)):
        raise ValidationError(f"{argument} must be None, False or a list of paths, not {type(index).__name__}")
    if not 1 <= len(index) <= MAX_PATHS:
        raise ValidationError(
            f"{argument} has {len(index)} paths; 1 to {MAX_PATHS} are allowed, and False means: not searchable"
        )
    for position, path in enumerate(index):
        _check_path(path, f"{argument}[{position}]")
    return tuple(dict.fromkeys(map(plain, index)))


def _check_path(path: object, argument: str) -> None:
    checked_text(path, argument, MAX_PATH_BYTES)
    try:
        parse(plain(path))
    except ValidationError as exc:
        raise ValidationError(f"{argument}: {exc}") from None


def _refuse(value: Any) -> Any:
    raise Unencodable


def _json(default: Encoder) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)


_PLAIN = _json(_refuse)


def _may_hold_long_numbers(text: str) -> bool:
    """Whether this interpreter wrote integers that another one may refuse to read."""
    return digits() > MAX_DIGITS and _LONG_NUMBER.search(text) is not None
