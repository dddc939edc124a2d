"""The lines of an export: a header with the number of the format, one document a line, and how many those were."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scylla_store.clock import EPOCH, to_datetime
from scylla_store.errors import ValidationError
from scylla_store.identity import Namespace
from scylla_store.rows import IndexSpec, Row

FORMAT = 1
_NAME = "scylla_store_export"
_FIELDS = ("namespace", "key", "created_at", "expires_at", "index", "value")
_NEEDED = ("namespace", "key", "created_at", "value")


@dataclass(frozen=True)
class Header:
    """The first line. `prefix` and `filter` are what was asked for, `exported_at` when it began (microseconds)."""

    prefix: Namespace
    filter: Any
    exported_at: int

    def to_line(self) -> bytes:
        """The line, with its end."""
        document = {_NAME: FORMAT, "prefix": list(self.prefix), "filter": self.filter}
        return _dump({**document, "exported_at": _to_text(self.exported_at)}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Header:
        """Raises ValidationError when it is the header of no export, or of one in a newer format."""
        try:
            document = json.loads(line)
            number = document[_NAME]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValidationError(
                "it is no export of scylla-store: its first line is no header (scylla-store import loads other JSON lines)"
            ) from None
        if number != FORMAT:
            raise ValidationError(
                f"it is an export in format {number!r}, and this version of the library reads {FORMAT}: load it with a newer one"
            )
        try:
            return cls(
                tuple(document["prefix"]), document["filter"], _from_text(document["exported_at"], "exported_at")
            )
        except (KeyError, TypeError) as exc:
            raise ValidationError(f"its header is damaged: {exc!r}") from None

    def is_of_the_same(self, other: Header) -> bool:
        """Whether both exports were asked for the same."""
        # As JSON: to Python true is 1.
        return self.prefix == other.prefix and _sorted(self.filter) == _sorted(other.filter)


@dataclass(frozen=True)
class Stored:
    """A document as a line has it; namespace, key, value and index are not checked yet. Times are microseconds."""

    namespace: Any
    key: Any
    value: Any
    index: IndexSpec | list[str]
    created_at: int
    expires_at: int | None


def to_line(row: Row) -> bytes:
    """The line of a row that was found whole, with its end. The document is the very bytes that are stored."""
    namespace, key = row.id
    document: dict[str, Any] = {"namespace": list(namespace), "key": key, "created_at": _to_text(row.head.created_at)}
    if row.expires_at is not None:
        document["expires_at"] = _to_text(row.expires_at)
    if row.head.index is not None:
        document["index"] = row.head.index
    assert row.body is not None
    return _dump(document)[:-1] + b',"value":' + row.body[16:] + b"}\n"


def from_line(line: bytes) -> Stored:
    """The document of a line; raises ValidationError with what is wrong."""
    document = _object(line)
    missing = [name for name in _NEEDED if name not in document]
    if missing:
        raise ValidationError(f"field {missing[0]!r} is missing")
    unknown = sorted(set(document) - set(_FIELDS))
    if unknown:
        raise ValidationError(f"unknown field {unknown[0]!r}; fields are {', '.join(_FIELDS)}")
    expires_at = document.get("expires_at")
    return Stored(
        document["namespace"],
        document["key"],
        document["value"],
        document.get("index"),
        _from_text(document["created_at"], "created_at"),
        None if expires_at is None else _from_text(expires_at, "expires_at"),
    )


def footer(documents: int) -> bytes:
    """The last line: it tells a whole file from one that was cut."""
    return _dump({"documents": documents}) + b"\n"


def footer_count(line: bytes) -> int | None:
    """How many documents the last line counts; None when it is another line."""
    if not line.startswith(b'{"documents":'):
        return None
    try:
        document = json.loads(line)
    except ValueError:
        return None
    count = document.get("documents") if len(document) == 1 else None
    return count if isinstance(count, int) else None


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _sorted(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValidationError(f"it is not JSON: {exc}") from None
    if not isinstance(document, dict):
        raise ValidationError(f"a JSON object is needed, not {type(document).__name__}")
    return document


def _to_text(microseconds: int) -> str:
    return to_datetime(microseconds).isoformat(timespec="microseconds")


def _from_text(text: object, field: str) -> int:
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]
        return (moment - EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError, OverflowError):
        raise ValidationError(
            f"{field} must be a time with its zone, such as 2025-01-31T12:00:00.000000+00:00, not {text!r}"
        ) from None
