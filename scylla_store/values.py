"""What a write may hold: the document in JSON, its TTL, its index spec. Everything is checked before anything is written."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from itertools import chain
from typing import Any

from scylla_store.clock import SECOND
from scylla_store.errors import ValidationError
from scylla_store.identity import checked_text, plain
from scylla_store.paths import parse
from scylla_store.rows import IndexSpec

MAX_DIGITS = 4300
"""Longest integer: what a Python reads back by default (`sys.int_info.default_max_str_digits`)."""

MAX_PATHS = 32
MAX_PATH_BYTES = 512

_LAST_MOMENT = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds: the last moment that a datetime can tell."""

_UNLIMITED = sys.maxsize
_LONG_NUMBER = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_PLAIN_NAME = re.compile(r"\w[\w-]{0,63}\Z")
_LONGEST_PATH = 200

Encoder = Callable[[Any], Any]


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
    converted = None if encoder is None else _Converted(encoder)
    try:
        text = (_PLAIN if converted is None else _json(converted)).encode(value)
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        # The C encoder says what is wrong but not where; a walk in Python finds it.
        _Check(converted, max_depth, argument).run(value)
        raise ValidationError(f"{argument} cannot be turned into JSON: {type(exc).__name__}") from exc
    if len(body) > max_bytes:
        raise ValidationError(f"{argument} has {len(body)} bytes in JSON; at most {max_bytes} are allowed")
    # Whatever the encoder converted is not plain either, so its results are looked at too.
    if not _is_plain(value, max_depth) or _may_hold_long_numbers(text):
        _Check(converted, max_depth, argument).run(value)
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
    if ttl > _LAST_MOMENT or (expires_at := now + max(1, round(ttl * SECOND))) > _LAST_MOMENT:
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


class _Unencodable(TypeError):
    """Tells the walk that follows that JSON cannot hold a value."""


class _Converted:
    """What the encoder made of the values that JSON cannot hold; each is asked for once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.results: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        if id(value) not in self.results:
            try:
                result = self._encoder(value)
            except Exception as exc:
                raise _Unencodable from exc
            # The value is kept, or another one could get its id.
            self.results[id(value)] = (value, result)
        return self.results[id(value)][1]


def _refuse(value: Any) -> Any:
    raise _Unencodable


def _json(default: Encoder) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)


_PLAIN = _json(_refuse)
_LEAVES = frozenset((str, int, float, bool, type(None)))
_NODES = frozenset((dict, list, tuple))


def _is_plain(value: object, max_depth: int) -> bool:
    """Whether the value is an object made of plain types, with strings as keys, and nested within the bound.

    That is what the C encoder does not tell. Goes level by level, so that the loops over children run in C.
    """
    if type(value) is not dict:
        return False
    level: list[Any] = [value]
    for _ in range(max_depth):
        dicts = [node for node in level if type(node) is dict]
        try:
            "".join(chain.from_iterable(dicts))
        except TypeError:
            return False
        children = list(chain.from_iterable(map(dict.values, dicts)))
        if len(dicts) < len(level):
            children += chain.from_iterable(node for node in level if type(node) is not dict)
        kinds = set(map(type, children)) - _LEAVES
        if not kinds:
            return True
        if not kinds <= _NODES:
            return False
        level = [child for child in children if type(child) in _NODES]
    return False


def _digits() -> int:
    """Digits of the longest integer that this interpreter writes; Python before 3.10.7 has no limit."""
    limit: int = getattr(sys, "get_int_max_str_digits", int)()
    return limit or _UNLIMITED


def _may_hold_long_numbers(text: str) -> bool:
    """Whether this interpreter wrote integers that another one may refuse to read."""
    return _digits() > MAX_DIGITS and _LONG_NUMBER.search(text) is not None


class _Check:
    """Finds what is wrong in a document, and where. In Python, so only for what is, or may be, wrong."""

    def __init__(self, converted: _Converted | None, max_depth: int, argument: str) -> None:
        self._converted = converted
        self._max_depth = max_depth
        self._path = [argument]
        self._open: list[int] = []

    def run(self, value: object) -> None:
        """Raises ValidationError for the first thing that is wrong, in document order."""
        value = self._resolved(value)
        if not isinstance(value, (dict, list, tuple)):
            self._check_leaf(value)
            return
        trail = [self._children(value)]
        while trail:
            step = next(trail[-1], None)
            if step is None:
                trail.pop()
                self._path.pop()
                self._open.pop()
                continue
            name, child = step
            self._path.append(name)
            child = self._resolved(child)
            if isinstance(child, (dict, list, tuple)):
                trail.append(self._children(child))
            else:
                self._check_leaf(child)
                self._path.pop()

    def _children(self, node: Any) -> Any:
        if id(node) in self._open:
            self._refuse("contains itself")
        if len(self._open) >= self._max_depth:
            self._refuse(f"is nested deeper than the {self._max_depth} levels that are allowed")
        self._open.append(id(node))
        if isinstance(node, dict):
            return ((self._name(key), child) for key, child in node.items())
        return ((f"[{position}]", child) for position, child in enumerate(node))

    def _name(self, key: object) -> str:
        if not isinstance(key, str):
            self._refuse(f"has a key that is no string but {type(key).__name__}; JSON has only strings as keys")
        if not _is_unicode(str(key)):
            self._refuse(f"has a key with a lone surrogate, which UTF-8 cannot store: {ascii(key)[:80]}")
        return f".{key}" if _PLAIN_NAME.match(str(key)) else f"[{ascii(key)[:80]}]"

    def _resolved(self, value: Any) -> Any:
        """The value, or what the encoder makes of it; the encoder may return a value that it has to turn into another."""
        for _ in range(self._max_depth):
            if value is None or isinstance(value, (str, int, float, dict, list, tuple)):
                return value
            value = self._made_of(value)
        self._refuse("is turned by `encoder` into values that JSON cannot hold, again and again")

    def _made_of(self, value: object) -> Any:
        rule = f"is a {type(value).__name__}, which JSON cannot hold"
        if self._converted is None:
            self._refuse(f"{rule}; the setting `encoder` names a function that converts it")
        else:
            try:
                return self._converted(value)
            except _Unencodable as exc:
                self._refuse(f"{rule} and `encoder` did not convert: it raised {type(exc.__cause__).__name__}")

    def _check_leaf(self, value: object) -> None:
        if isinstance(value, str):
            if not _is_unicode(value):
                self._refuse("holds a lone surrogate, which UTF-8 cannot store")
        elif isinstance(value, float):
            if not math.isfinite(value):
                self._refuse(f"is {float(value)}, which JSON cannot hold")
        elif isinstance(value, int) and abs(value) >= 10 ** (digits := min(MAX_DIGITS, _digits())):
            self._refuse(f"is an integer of more than {digits} digits, which Python does not read back; store a string")

    def _refuse(self, rule: str) -> Any:
        path = "".join(self._path)
        if len(path) > _LONGEST_PATH:
            path = f"{path[:_LONGEST_PATH]}…"
        raise ValidationError(f"{path} {rule}")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
