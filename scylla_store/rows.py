"""A row as the database holds it: cells of bytes, and what they mean.

head:    write id (16), format (1), flags (1), created_at (8), expires_at (8), row hash (16), index spec (JSON)
body:    write id (16), value (JSON, UTF-8)
refresh: write id (16), expires_at (8)
letter:  write id (16), timestamp of the dead letter (8)

Head and body begin with the write id, so that of two writes with the same version the same one wins both cells.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any, Literal, Union

from scylla_store.clock import LAST_MOMENT
from scylla_store.errors import DamagedRow, NewerFormat
from scylla_store.identity import ItemId

IndexSpec = Union[None, Literal[False], tuple[str, ...]]
"""None: the configured fields; False: not searchable; paths: these."""

FORMAT = 1
_NO_FORMAT = 16
"""Formats count up; a number from here on comes from damage, not from the next versions of the library."""

_HEAD = struct.Struct(">16sBBqq16s")
_STAMPED = struct.Struct(">16sq")
_NEVER = -1
_parse = json.JSONDecoder().raw_decode
"""What `json.loads` calls, without its search for space around a document: our bodies have none. That takes a third of its time."""

_DELETED, _CONDITIONAL, _NO_INDEX, _PATHS = 1, 2, 4, 8


# Not frozen: a page makes hundreds of each of these three, and a frozen dataclass takes four times as long to make.
@dataclass(slots=True)
class Cells:
    """What the database returns for one key. `version` is WRITETIME(head) in microseconds, 0 when there is no head."""

    id: ItemId
    version: int
    head: bytes | None
    body: bytes | None = None
    refresh: bytes | None = None
    letter: bytes | None = None


@dataclass(slots=True)
class Head:
    """State of an item at one write."""

    write_id: bytes
    created_at: int
    expires_at: int | None = None
    deleted: bool = False
    conditional: bool = False
    index: IndexSpec = None
    row_hash: bytes = bytes(16)

    def encode(self) -> bytes:
        """The head cell."""
        flags = _DELETED * self.deleted | _CONDITIONAL * self.conditional
        spec = b""
        if self.index is False:
            flags |= _NO_INDEX
        elif self.index is not None:
            flags |= _PATHS
            spec = json.dumps(self.index, ensure_ascii=False).encode()
        expires_at = _NEVER if self.expires_at is None else self.expires_at
        return _HEAD.pack(self.write_id, FORMAT, flags, self.created_at, expires_at, self.row_hash) + spec

    @classmethod
    def decode(cls, cell: bytes, item: ItemId) -> Head:
        """Raises DamagedRow when the cell is no head, and NewerFormat when it is one of a newer version of the library."""
        try:
            write_id, version, flags, created_at, expires_at, row_hash = _HEAD.unpack_from(cell)
            if version != FORMAT:
                error = NewerFormat if FORMAT < version < _NO_FORMAT else DamagedRow
                raise error(f"The head of {item} has format {version}; this version of the library reads {FORMAT}")
            index: IndexSpec = None
            if flags & _NO_INDEX:
                index = False
            elif flags & _PATHS:
                index = tuple(str(path) for path in json.loads(cell[_HEAD.size :]))
        except (struct.error, ValueError, TypeError) as exc:
            raise DamagedRow(f"The head of {item} cannot be decoded") from exc
        if not 0 <= created_at <= LAST_MOMENT or not _NEVER <= expires_at <= LAST_MOMENT:
            raise DamagedRow(f"The head of {item} has times that are none: {created_at}, {expires_at}")
        return cls(
            write_id,
            created_at,
            None if expires_at == _NEVER else expires_at,
            bool(flags & _DELETED),
            bool(flags & _CONDITIONAL),
            index,
            row_hash,
        )


@dataclass(slots=True)
class Row:
    """A decoded row. `expires_at` takes the refresh cell into account when it belongs to this write."""

    id: ItemId
    version: int
    head: Head
    expires_at: int | None
    body: bytes | None
    letter: bytes | None

    def is_visible(self, now: int) -> bool:
        """Whether a reader sees the item at `now` (microseconds)."""
        return not self.head.deleted and (self.expires_at is None or now < self.expires_at)

    def is_live(self, now: int) -> bool:
        """Whether the item belongs in the index at `now`."""
        return self.is_visible(now) and self.head.index is not False

    def value(self) -> dict[str, Any]:
        """The document; raises DamagedRow when it cannot be decoded."""
        return decode_body(self.body, self)


def decode(cells: Cells | None) -> Row | None:
    """The row that the cells mean, or None when there is none; raises DamagedRow."""
    if cells is None or cells.head is None:
        return None
    head = Head.decode(cells.head, cells.id)
    expires_at = head.expires_at
    if cells.refresh is not None:
        write_id, granted = unstamp(cells.refresh, cells.id)
        if write_id == head.write_id:
            expires_at = granted
    return Row(cells.id, cells.version, head, expires_at, cells.body, cells.letter)


def encode_body(write_id: bytes, value: bytes) -> bytes:
    """The body cell of a document in JSON."""
    return write_id + value


def decode_body(body: bytes | None, row: Row) -> dict[str, Any]:
    """The document of a body cell; raises DamagedRow when it is missing, torn or not JSON."""
    if body is None or body[:16] != row.head.write_id:
        raise DamagedRow(f"The body of {row.id} is missing or belongs to another write")
    try:
        text = body[16:].decode()
        value, end = _parse(text)
    except ValueError as exc:
        raise DamagedRow(f"The body of {row.id} is not JSON") from exc
    if end != len(text):
        raise DamagedRow(f"The body of {row.id} is not JSON: something follows it")
    if not isinstance(value, dict):
        raise DamagedRow(f"The body of {row.id} is not a JSON object")
    return value


def row_hash(value: bytes) -> bytes:
    """Hash of a document in JSON."""
    return hashlib.blake2b(value, digest_size=16).digest()


def stamp(write_id: bytes, microseconds: int) -> bytes:
    """A refresh or letter cell."""
    return _STAMPED.pack(write_id, microseconds)


def unstamp(cell: bytes, item: ItemId) -> tuple[bytes, int]:
    """Write id and microseconds of a refresh or letter cell; raises DamagedRow."""
    try:
        write_id, microseconds = _STAMPED.unpack(cell)
    except struct.error as exc:
        raise DamagedRow(f"A cell of {item} cannot be decoded") from exc
    if not 0 <= microseconds <= LAST_MOMENT:
        raise DamagedRow(f"A cell of {item} has a time that is none: {microseconds}")
    return write_id, microseconds
