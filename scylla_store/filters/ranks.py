"""Numbers and strings as whole numbers that sort alike: what ranges are asked of in the index.

The index compares numbers as 64-bit floats, which hold 48-bit integers exactly. A rank is four of them, read one after the
other: 24 bytes, of which the first says what it is a rank of, then a float of 8 bytes, or the first 23 bytes of a string in
UTF-8, whose order is that of code points.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

from scylla_store.conditions import ALWAYS, NEVER, Condition, Within, every, some
from scylla_store.filters.nodes import Comparison

PARTS = 4
"""Fields that a rank takes in a payload."""

_BYTES = 6
_SIZE = PARTS * _BYTES
_NUMBER, _STRING = b"\1", b"\2"
_PREFIX = _SIZE - 1
_NUMBER_PARTS = 2
"""The others of a number are 0."""

_EXACT = 2**53
"""Below it every integer is a float of its own."""

_LARGEST = (1 << 8 * _BYTES) - 1

Rank = tuple[int, ...]


def field_of(position: int, part: int) -> str:
    """The payload's field of one part of the rank of the range field at this position of the settings."""
    return f"rank_{position}_{part}"


def rank_of(value: Any) -> Rank | None:
    """The rank of a number or a string; None for anything else."""
    if isinstance(value, str):
        return _parts(_STRING + value.encode()[:_PREFIX], b"\0")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return _parts(_NUMBER + _sortable(value), b"\0")


def compared(position: int, comparison: Comparison, bound: int | float | str) -> tuple[Condition, Condition]:
    """An upper and a lower bound of what is on this side: ranks that are equal may stand for values that differ a little."""
    rank = rank_of(bound)
    assert rank is not None, "a bound is a number or a string"
    rank = rank if isinstance(bound, str) else rank[:_NUMBER_PARTS]
    is_exact = not isinstance(bound, str) and abs(bound) < _EXACT
    is_strict = comparison in ("$gt", "$lt")
    side = _above if comparison in ("$gt", "$gte") else _below
    within = _of_kind(position, _STRING if isinstance(bound, str) else _NUMBER)
    strict, wide = (every(within, side(position, rank, orequal)) for orequal in (False, True))
    if is_exact:
        return (strict, strict) if is_strict else (wide, wide)
    return wide, strict


def starting(position: int, prefix: str) -> tuple[Condition, Condition]:
    """An upper and a lower bound of the strings that begin so."""
    whole = prefix.encode()
    head = _STRING + whole[:_PREFIX]
    within = every(_above(position, _parts(head, b"\0"), True), _below(position, _parts(head, b"\xff"), True))
    # A string ends in zeros here, so a prefix that does looks like a shorter one.
    is_exact = len(whole) <= _PREFIX and not prefix.endswith("\0")
    return within, within if is_exact else NEVER


def _sortable(number: int | float) -> bytes:
    """Eight bytes that sort as the nearest float does. An integer beyond the floats is the last one of its side."""
    try:
        nearest = float(number) + 0.0  # -0.0 becomes 0.0
    except OverflowError:
        nearest = sys.float_info.max if number > 0 else -sys.float_info.max
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest))
    bits ^= (1 << 64) - 1 if bits >> 63 else 1 << 63
    return bytes(bits.to_bytes(8, "big"))


def _parts(key: bytes, fill: bytes) -> Rank:
    whole = key.ljust(_SIZE, fill)
    return tuple(int.from_bytes(whole[at : at + _BYTES], "big") for at in range(0, _SIZE, _BYTES))


def _of_kind(position: int, kind: bytes) -> Condition:
    """The value is of the kind; the first byte of a rank says it."""
    lowest = kind[0] << 8 * (_BYTES - 1)
    highest = (kind[0] + 1) << 8 * (_BYTES - 1)
    return Within(field_of(position, 0), lowest - 1, highest)


def _above(position: int, rank: Rank, orequal: bool, part: int = 0) -> Condition:
    """The ranks above this one (or equal), compared from this part on."""
    if part == len(rank):
        return ALWAYS if orequal else NEVER
    field, wanted = field_of(position, part), rank[part]
    if orequal and not any(rank[part + 1 :]):
        return Within(field, above=wanted - 1)
    rest = _above(position, rank, orequal, part + 1)
    return some(Within(field, above=wanted), every(Within(field, wanted - 1, wanted + 1), rest))


def _below(position: int, rank: Rank, orequal: bool, part: int = 0) -> Condition:
    """The ranks below this one (or equal), compared from this part on."""
    if part == len(rank):
        return ALWAYS if orequal else NEVER
    field, wanted = field_of(position, part), rank[part]
    if orequal and all(one == _LARGEST for one in rank[part + 1 :]):
        return Within(field, below=wanted + 1)
    rest = _below(position, rank, orequal, part + 1)
    return some(Within(field, below=wanted), every(Within(field, wanted - 1, wanted + 1), rest))
