"""Looks at a value before it becomes JSON: whether it is plain, and if not, what is wrong with it and where.

Both looks know how many bytes the JSON has at least, and end where that is far too much. One list that is nested in
itself sixty times, each time twice, takes a few hundred bytes of memory and 2^60 of JSON.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

from scylla_store.errors import ValidationError
from scylla_store.identity import plain

MAX_DIGITS = 4300
"""Longest integer: what a Python reads back by default (`sys.int_info.default_max_str_digits`)."""

Encoder = Callable[[Any], Any]

_UNLIMITED = sys.maxsize
_PLAIN_NAME = re.compile(r"\w[\w-]{0,63}\Z")
_LONGEST_PATH = 200
_LEAVES = frozenset((str, int, float, bool, type(None)))
_NODES = frozenset((dict, list, tuple))
_KINDS = _LEAVES | _NODES
_KEYS = frozenset((str,))
_MANY = 1000
_SMALL = 1 << 64


class Size:
    """Bytes that the JSON of a value has at least, counted on the way.

    What is a little too large is turned into JSON, so that the message can say its size.

    Args:
        allowed: bytes.
        argument: how the caller calls the value, for the message.
    """

    def __init__(self, allowed: int, argument: str) -> None:
        self.counted = 0
        self.most = allowed + allowed // 8
        self._allowed = allowed
        self._argument = argument

    def add(self, number: int) -> None:
        """Raises ValidationError from an eighth more than is allowed on."""
        self.counted += number
        if self.counted > self.most:
            raise ValidationError(
                f"{self._argument} has more than {self.most} bytes in JSON; at most {self._allowed} are allowed"
            )


def is_plain(value: object, max_depth: int, size: Size) -> bool:
    """Whether the value is an object made of plain types, with strings as keys, and nested within the bound.

    That is what the C encoder does not tell. Goes level by level, so that the loops over children run in C; where the same
    ones come again and again it says no, because an inspection looks at each of them once.

    Raises:
        ValidationError: it is far too large.
    """
    if type(value) is not dict:
        return False
    level: list[Any] = [value]
    for _ in range(max_depth):
        size.add(2 * sum(map(len, level)))  # each child has a byte at least, and a comma or bracket
        dicts = [node for node in level if type(node) is dict]
        if not set(map(type, chain.from_iterable(dicts))) <= _KEYS:
            return False
        size.add(sum(map(len, chain.from_iterable(dicts))))
        children = list(chain.from_iterable(map(dict.values, dicts)))
        if len(dicts) < len(level):
            children += chain.from_iterable(node for node in level if type(node) is not dict)
        kinds = set(map(type, children))
        if str in kinds:
            size.add(sum([len(child) for child in children if type(child) is str]))
        if int in kinds:
            size.add(sum([child.bit_length() for child in children if type(child) is int]) // 4)
        if kinds <= _LEAVES:
            return True
        level = [child for child in children if type(child) in _NODES]
        if not kinds <= _KINDS or (len(level) > _MANY and 2 * len(set(map(id, level))) < len(level)):
            return False
    return False


def digits() -> int:
    """Digits of the longest integer that this interpreter writes; Python before 3.10.7 has no limit."""
    limit: int = getattr(sys, "get_int_max_str_digits", int)()
    return limit or _UNLIMITED


class Unencodable(TypeError):
    """JSON cannot hold a value, and nothing converts it."""


class Converted:
    """What the encoder made of the values that JSON cannot hold; each is asked for once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._results: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        if id(value) not in self._results:
            try:
                result = self._encoder(value)
            except Exception as exc:
                raise Unencodable from exc
            # The value is kept, or another one could get its id.
            self._results[id(value)] = (value, result)
        return self._results[id(value)][1]


class Inspection:
    """Finds what is wrong in a value, and where. In Python, so only for what is, or may be, wrong.

    What is nested many times is looked at once, and counted as often as it is there.
    """

    def __init__(self, converted: Converted | None, max_depth: int, size: Size, argument: str) -> None:
        self._converted = converted
        self._max_depth = max_depth
        self._size = size
        self._path: list[str | int] = [argument]
        self._open: list[tuple[Any, int]] = []
        self._seen: dict[int, tuple[Any, int, int]] = {}

    def run(self, value: object) -> None:
        """Raises ValidationError for the first thing that is wrong, in document order."""
        trail: list[Iterator[tuple[str | int, Any]]] = []
        self._enter(value, trail)
        while trail:
            step = next(trail[-1], None)
            if step is None:
                trail.pop()
                self._leave()
                continue
            name, child = step
            self._path.append(name)
            self._enter(child, trail)

    def _enter(self, value: Any, trail: list[Iterator[tuple[str | int, Any]]]) -> None:
        value = self._resolved(value)
        self._size.add(2)
        if not isinstance(value, (dict, list, tuple)):
            self._check_leaf(value)
            self._path.pop()
            return
        _, depth, size = self._seen.get(id(value), (None, -1, 0))
        if len(self._open) <= depth:
            self._size.add(size)
            self._path.pop()
            return
        if any(node is value for node, _ in self._open):
            self._refuse("contains itself")
        if len(self._open) >= self._max_depth:
            self._refuse(f"is nested deeper than the {self._max_depth} levels that are allowed")
        self._open.append((value, self._size.counted))
        trail.append(self._doubtful(self._entries(value) if isinstance(value, dict) else enumerate(value)))

    def _leave(self) -> None:
        """Whatever is here is right at this depth, and above it. The value is kept, or another one could get its id."""
        value, before = self._open.pop()
        self._seen[id(value)] = (value, len(self._open), self._size.counted - before)
        self._path.pop()

    def _doubtful(self, children: Iterable[tuple[str | int, Any]]) -> Iterator[tuple[str | int, Any]]:
        """Children that need a look of their own; most are short work."""
        for name, child in children:
            kind = type(child)
            if kind is str and child.isascii():
                self._size.add(2 + len(child))
            elif (
                child is None
                or kind is bool
                or (kind is int and -_SMALL < child < _SMALL)
                or (kind is float and child - child == 0)
            ):
                self._size.add(2)
            else:
                yield name, child

    def _entries(self, node: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
        for key, child in node.items():
            if not isinstance(key, str):
                self._refuse(f"has a key that is no string but {type(key).__name__}; JSON has only strings as keys")
            name = plain(key)
            if not _is_unicode(name):
                self._refuse(f"has a key with a lone surrogate, which UTF-8 cannot store: {ascii(name)[:80]}")
            self._size.add(3 + len(name))
            yield name, child

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
            except Unencodable as exc:
                self._refuse(f"{rule} and `encoder` did not convert: it raised {type(exc.__cause__).__name__}")

    def _check_leaf(self, value: Any) -> None:
        if isinstance(value, str):
            self._size.add(str.__len__(value))
            if not _is_unicode(value):
                self._refuse("holds a lone surrogate, which UTF-8 cannot store")
        elif isinstance(value, float):
            if not math.isfinite(value):
                self._refuse(f"is {float(value)}, which JSON cannot hold")
        elif isinstance(value, int):
            self._check_integer(int(value))

    def _check_integer(self, value: int) -> None:
        self._size.add(value.bit_length() // 4)
        most = min(MAX_DIGITS, digits())
        if abs(value) >= _smallest(most + 1):
            self._refuse(f"is an integer of more than {most} digits, which Python does not read back; store a string")

    def _refuse(self, rule: str) -> Any:
        path = ""
        for name in self._path:
            if len(path) > _LONGEST_PATH:
                break
            path += _shown(name) if path else str(name)
        raise ValidationError(f"{path[:_LONGEST_PATH]}… {rule}" if len(path) > _LONGEST_PATH else f"{path} {rule}")


def _shown(name: str | int) -> str:
    """One step of a place in a value."""
    if isinstance(name, int):
        return f"[{name}]"
    return f".{name}" if _PLAIN_NAME.match(name) else f"[{ascii(name[:80])[:80]}]"


@lru_cache(maxsize=8)
def _smallest(number: int) -> int:
    """The smallest integer of so many digits."""
    return int(10 ** (number - 1))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
