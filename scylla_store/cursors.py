"""Opaque cursors: where a page ended, for which call. A damaged cursor, or one of another call, is refused."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from scylla_store.errors import ValidationError
from scylla_store.identity import ItemId, Namespace, checked_key, checked_namespace

LONGEST = 400_000
"""Characters. The longest of ours has four namespaces, of six characters for a byte."""

DAMAGED = "cursor is damaged; pass on what a page returned, unchanged"


def to_cursor(call: list[Any], position: list[Any]) -> str:
    """A cursor for the call (its name and what it was asked) that goes on after `position`."""
    body = json.dumps([call, position], separators=(",", ":")).encode()
    return _encoded(zlib.crc32(body).to_bytes(4, "big") + body)


def from_cursor(cursor: str | None, call: list[Any]) -> list[Any] | None:
    """The position of a cursor; None for the beginning. Raises ValidationError."""
    if cursor is None:
        return None
    if not isinstance(cursor, str):
        raise ValidationError(f"cursor must be a string, not {type(cursor).__name__}; pass on what a page returned")
    made_for, position = _decoded(cursor[:LONGEST])
    if made_for != json.loads(json.dumps(call)):
        raise ValidationError(f"cursor belongs to another call: it was made for {_cut(made_for)}, not for {_cut(call)}")
    if not isinstance(position, list):
        raise ValidationError(DAMAGED)
    return position


def item_at(position: list[Any]) -> ItemId:
    """A position that is an item: [namespace, key], or [namespace, ""] before its first one. Raises ValidationError."""
    try:
        namespace, key = position
        return ItemId(checked_namespace(namespace), "" if key == "" else checked_key(key))
    except ValueError:
        raise ValidationError(DAMAGED) from None


def namespaces_at(position: list[Any]) -> tuple[Namespace, Namespace | None]:
    """A position in a list of namespaces: [namespace or nothing, namespace or null]. Raises ValidationError."""
    try:
        last, shown = position
        return checked_namespace(last, prefix=True), None if shown is None else checked_namespace(shown)
    except ValueError:
        raise ValidationError(DAMAGED) from None


def _decoded(cursor: str) -> tuple[Any, Any]:
    """Call and position, when the checksum is right."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body = raw[4:] if raw[:4] == zlib.crc32(raw[4:]).to_bytes(4, "big") and _encoded(raw) == cursor else b""
        made_for, position = json.loads(body)
    except (ValueError, TypeError, RecursionError) as exc:
        raise ValidationError(DAMAGED) from exc
    return made_for, position


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _cut(call: Any) -> str:
    text = ascii(call)
    return text if len(text) <= 200 else f"{text[:200]}…"
