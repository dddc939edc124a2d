"""Rows as the documentation of the data model describes them, decoded here once more and without the library.

head:    write id (16), format (1), flags (1), created_at (8), expires_at (8, -1: never), row hash (16), index spec
body:    write id (16), value (JSON)
refresh: write id (16), expires_at (8)
flags:   1 deleted, 2 conditional, 4 not indexed, 8 index spec is a list of paths
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

HEAD = struct.Struct(">16sBBqq16s")
REFRESH = struct.Struct(">16sq")
DELETED, NOT_INDEXED, PATHS = 1, 4, 8

Identity = tuple[tuple[str, ...], str]
"""Namespace and key."""


@dataclass(frozen=True)
class StoredRow:
    """A row as it is stored: cells of bytes and the write time of the head (microseconds)."""

    namespace: tuple[str, ...]
    key: str
    version: int
    head: bytes
    body: bytes | None = None
    refresh: bytes | None = None


@dataclass(frozen=True)
class Document:
    """What a row says. `value` is None when it is deleted; times are microseconds, `expires_at` None: never; `paths` None: its
    write named none."""

    version: int
    write_id: str
    deleted: bool
    indexed: bool
    expires_at: int | None
    value: dict[str, Any] | None
    paths: tuple[str, ...] | None = None

    def is_expired(self, now: int) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def belongs_in_index(self, now: int) -> bool:
        return not self.deleted and self.indexed and not self.is_expired(now)


class Torn(Exception):
    """The cells of a row do not belong together or cannot be decoded."""


def decode(row: StoredRow) -> Document:
    """The document of a row; raises Torn."""
    try:
        write_id, form, flags, _, expires_at, row_hash = HEAD.unpack_from(row.head)
        refreshed, granted = REFRESH.unpack(row.refresh) if row.refresh else (None, None)
    except struct.error as exc:
        raise Torn(f"a cell has the wrong size: {exc}") from exc
    if form != 1:
        raise Torn(f"the head has format {form}")
    if refreshed == write_id:
        expires_at = granted
    deleted = bool(flags & DELETED)
    return Document(
        version=row.version,
        write_id=write_id.hex(),
        deleted=deleted,
        indexed=not flags & NOT_INDEXED,
        expires_at=None if expires_at == -1 else expires_at,
        value=None if deleted else _value(row.body, write_id, row_hash),
        paths=_paths(row.head) if flags & PATHS else None,
    )


def _paths(head: bytes) -> tuple[str, ...]:
    try:
        return tuple(json.loads(head[HEAD.size :]))
    except (ValueError, TypeError) as exc:
        raise Torn("the index spec is not a list of paths in JSON") from exc


def _value(body: bytes | None, write_id: bytes, row_hash: bytes) -> dict[str, Any]:
    if body is None:
        raise Torn("a live head has no body")
    if body[:16] != write_id:
        raise Torn("head and body belong to different writes")
    if hashlib.blake2b(body[16:], digest_size=16).digest() != row_hash:
        raise Torn("the body does not have the hash that its head states")
    try:
        value = json.loads(body[16:])
    except ValueError as exc:
        raise Torn("the body is not JSON") from exc
    if not isinstance(value, dict):
        raise Torn("the body is not a JSON object")
    return value
