"""Opaque cursors: where a page ended, for which call. A damaged cursor, or one of another call, is refused."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from scylla_store.errors import ValidationError


def to_cursor(call: list[Any], position: list[Any]) -> str:
    """A cursor for the call (its name and what it was asked) that goes on after `position`."""
    body = json.dumps([call, position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")


def from_cursor(cursor: str | None, call: list[Any]) -> list[Any] | None:
    """The position of a cursor; None for the beginning. Raises ValidationError."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, body = raw[:4], raw[4:]
        made_for, position = json.loads(body)
    except (ValueError, TypeError) as exc:
        raise ValidationError("cursor is damaged; pass on what a page returned, unchanged") from exc
    if checksum != zlib.crc32(body).to_bytes(4, "big"):
        raise ValidationError("cursor is damaged; pass on what a page returned, unchanged")
    if made_for != json.loads(json.dumps(call)):
        raise ValidationError(f"cursor belongs to another call: it was made for {made_for}, not for {call}")
    return list(position)
