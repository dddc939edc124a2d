"""The folder, the file and its schema, as numbered migrations."""

from __future__ import annotations

import functools
import re
import sqlite3
import threading
import time
from pathlib import Path

from scylla_store.database.sqlite.connections import Connections
from scylla_store.errors import ConfigurationError, SchemaMismatch

_FOLDER = Path(__file__).parent / "migrations"
_PATIENCE = 0.01


@functools.cache
def migrations() -> tuple[tuple[str, ...], ...]:
    """The schema's migrations, the first one at index 0, each as the statements that it runs."""
    return tuple(_split(path) for path in sorted(_FOLDER.glob("[0-9]*.sql")))


def make_folder(folder: Path) -> None:
    """Makes the folder if it is missing, for this user alone; raises ConfigurationError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"path = {str(folder)!r} is no folder and cannot be made one: {exc.strerror}") from exc


def migrate(connections: Connections) -> None:
    """Applies the missing migrations, in one transaction; SchemaMismatch when the schema is newer than the code."""
    with connections.reading() as connection:
        if _version(connection, connections.path) == len(migrations()):
            return
        _use_wal(connection, connections)
    with connections.writing() as connection:
        for version in range(_version(connection, connections.path), len(migrations())):
            for statement in migrations()[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations()):
        raise SchemaMismatch(
            f"The schema of {path} has version {version}, this version of the library knows {len(migrations())}:"
            " install a newer one"
        )
    return version


def _use_wal(connection: sqlite3.Connection, connections: Connections) -> None:
    """Switches to the write-ahead log. SQLite does not wait here when another process does the same."""
    deadline = time.monotonic() + connections.timeout
    while True:
        try:
            [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            threading.Event().wait(_PATIENCE)
    if mode != "wal":
        raise ConfigurationError(
            f"path: the file system of {connections.path} cannot hold a write-ahead log; use a local disk"
        )


def _split(path: Path) -> tuple[str, ...]:
    text = re.sub(r"^--.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tuple(part.strip() for part in text.split(";") if part.strip())
