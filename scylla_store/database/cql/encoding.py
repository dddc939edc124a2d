"""Values as the native protocol carries them (version 4).

Statements are bound with these bytes: the driver's own binding looks up a type for each value and costs more than the rest
of a batch, and batches are cut by their real sizes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

bigint = struct.Struct(">q").pack
integer = struct.Struct(">i").pack
smallint = struct.Struct(">h").pack

PER_VALUE = 16
"""What the server counts for a cell beside its value: write time, TTL, flags (an upper bound)."""

FIRST_TOKEN, LAST_TOKEN = -(2**63), 2**63 - 1
"""No partition has the first one."""


def text(value: str) -> bytes:
    """A text."""
    return value.encode()


def labels(namespace: Iterable[str]) -> bytes:
    """A frozen<list<text>>."""
    return _sequence([label.encode() for label in namespace])


def partition_key(namespace: Iterable[str]) -> bytes:
    """What the token of the items of a namespace is a hash of: its labels and bucket, each with its length."""
    parts = (labels(namespace), smallint(0))
    return b"".join(struct.pack(">H", len(part)) + part + b"\0" for part in parts)


def texts(values: Iterable[str]) -> bytes:
    """A list<text>, for IN."""
    return _sequence([value.encode() for value in values])


def bigints(values: Iterable[int]) -> bytes:
    """A list<bigint>, for IN."""
    return _sequence([bigint(value) for value in values])


def smallints(values: Iterable[int]) -> bytes:
    """A list<smallint>, for IN."""
    return _sequence([smallint(value) for value in values])


def size(values: Sequence[bytes | None]) -> int:
    """About how many bytes of a batch these values take."""
    return sum(PER_VALUE + (len(value) if value.__class__ is bytes else 0) for value in values)


def _sequence(encoded: Sequence[bytes]) -> bytes:
    return b"".join([integer(len(encoded)), *(integer(len(part)) + part for part in encoded)])
