"""What sqlite3 raises, translated in one place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scylla_store.errors import (
    ConfigurationError,
    DatabaseRefused,
    DatabaseUnavailable,
    OutcomeUnknown,
    SchemaMismatch,
    StoreError,
)

_LOST = "disk i/o error"
_MEANINGS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("locked", DatabaseUnavailable, "is locked by another process for longer than database.timeout"),
    ("disk is full", DatabaseUnavailable, "cannot grow, the disk is full: free some space"),
    (_LOST, DatabaseUnavailable, "cannot be read or written, the disk reports an error"),
    ("readonly", ConfigurationError, "is read-only for this user: look at the permissions of the file and its folder"),
    ("unable to open", DatabaseUnavailable, "cannot be opened: look at the folder of `path` and its permissions"),
    ("malformed", DatabaseRefused, "is damaged: restore it from a backup, or save what `sqlite3 .recover` finds"),
    ("not a database", ConfigurationError, "is not a SQLite database: `path` names the folder of something else"),
    ("no such table", SchemaMismatch, "lacks a table: it was replaced while it was in use; start again"),
    ("no such column", SchemaMismatch, "lacks a column; it was not made by this version of the library"),
)


@contextmanager
def translated(path: Path, *, write: bool = False) -> Iterator[None]:
    """Raises what sqlite3 raises as an error of ours.

    Args:
        path: the file, for the message.
        write: whether this is the commit, after whose failure the write may be on the disk all the same.
    """
    try:
        yield
    except sqlite3.Error as exc:
        raise translate(exc, path, write=write) from exc


def translate(exc: sqlite3.Error, path: Path, *, write: bool = False) -> StoreError:
    """The error of ours that one of sqlite3's means. By its text: Python 3.10 knows no error codes."""
    said = str(exc).lower()
    for text, kind, meaning in _MEANINGS:
        if text in said:
            if write and text == _LOST:
                kind, meaning = OutcomeUnknown, "did not say whether the write happened, the disk reports an error"
            return kind(f"The database ({path}) {meaning} ({exc})")
    if isinstance(exc, sqlite3.OperationalError):
        return DatabaseUnavailable(f"The database ({path}) failed: {exc}")
    return DatabaseRefused(f"The database ({path}) refused the statement: {type(exc).__name__}: {exc}")
