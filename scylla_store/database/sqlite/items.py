"""Items: one transaction from the heads to the commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Mutation, Position, Refresh, within
from scylla_store.database.sqlite.connections import Connections, commit
from scylla_store.database.sqlite.encoding import from_column, marks, to_column
from scylla_store.database.sqlite.errors import translated
from scylla_store.database.sqlite.outbox import file
from scylla_store.errors import StoreError
from scylla_store.identity import ItemId, Namespace
from scylla_store.rows import Cells

_KEYS_PER_SELECT = 100

_HEAD = "key, version, head, head_until, refresh, refresh_until, letter"
_HEADS = f"SELECT {_HEAD} FROM items WHERE namespace = ? AND key IN ({{}})"
_ROWS = f"SELECT {_HEAD}, body FROM items WHERE namespace = ? AND key IN ({{}})"
_SCAN = f"""
    SELECT {_HEAD}, body FROM items
    WHERE namespace = ? AND key > ? AND head IS NOT NULL AND (head_until IS NULL OR head_until > ?)
    ORDER BY key LIMIT ?"""
_SCAN_ALL = f"""
    SELECT namespace, {_HEAD}, body FROM items
    WHERE (namespace, key) > (?, ?) AND head IS NOT NULL AND (head_until IS NULL OR head_until > ?)
    ORDER BY namespace, key LIMIT ?"""

# The larger version wins; at the same one a head with a TTL, or the one that lives longer, then the larger value.
_WRITE = """
    INSERT INTO items (namespace, key, version, head, head_until, body) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE
    SET version = excluded.version, head = excluded.head, head_until = excluded.head_until, body = excluded.body
    WHERE (excluded.version, ifnull(excluded.head_until, 0), excluded.head) > (version, ifnull(head_until, 0), head)"""
_CLEAR_REFRESH = """
    UPDATE items SET refresh = NULL, refresh_until = NULL, refresh_at = ?
    WHERE namespace = ? AND key = ? AND refresh_at <= ?"""
_REFRESH = """
    INSERT INTO items (namespace, key, refresh, refresh_at, refresh_until) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE
    SET refresh = excluded.refresh, refresh_at = excluded.refresh_at, refresh_until = excluded.refresh_until
    WHERE (excluded.refresh_at, excluded.refresh_until, excluded.refresh) > (refresh_at, refresh_until, refresh)"""

_LARGEST_VERSION = "SELECT largest FROM versions"
_RAISE_VERSION = "UPDATE versions SET largest = ? WHERE largest < ?"

_IS_OVER = "SELECT 1 FROM items WHERE head_until <= ? LIMIT 1"
_REMOVE_OVER = """
    DELETE FROM items
    WHERE head_until <= ? AND letter IS NULL AND (refresh IS NULL OR refresh_until <= ?)"""
_FORGET_OVER = """
    UPDATE items SET version = 0, head = NULL, body = NULL,
        head_until = CASE WHEN refresh_until > ? THEN refresh_until END
    WHERE head_until <= ?"""


class Items:
    """The items table, and the intents that are written with it."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    @contextmanager
    def writing(self, ids: Sequence[ItemId]) -> Iterator[_Writing]:
        """See `Database.writing`. Other writers wait until it is left."""
        with self._connections.writing() as connection:
            now = self._clock()
            yield _Writing(connection, self._connections, _select(connection, ids, _HEADS, now), now)
            if connection.in_transaction:
                connection.rollback()

    def read(self, ids: Sequence[ItemId], *, body: bool) -> dict[ItemId, Cells]:
        """See `Database.read`."""
        with self._connections.reading() as connection:
            return _select(connection, ids, _ROWS if body else _HEADS, self._clock())

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """See `Database.compare_and_set`. Nothing can shadow it: its version is the largest."""
        with self._connections.writing() as connection:
            now = self._clock()
            stored = _select(connection, [mutation.id], _HEADS, now).get(mutation.id)
            if (None if stored is None else stored.head) != expected:
                return False
            version = max(now, _largest(connection) + 1)
            _write(connection, mutation, version, now)
            return True

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        """See `Database.refresh`: all of them or none."""
        now = self._clock()
        with self._connections.writing() as connection:
            for one in refreshes:
                namespace, until = to_column(one.item.namespace), now + one.ttl * SECOND
                connection.execute(_REFRESH, (namespace, one.item.key, one.cell, one.timestamp, until))
            file(connection, [intent for one in refreshes for intent in one.intents])

    def keys(
        self, namespace: Namespace, *, after: str | None, limit: int, max_bytes: int | None = None
    ) -> list[Cells]:
        """See `Database.keys`."""
        now = self._clock()
        with self._connections.reading() as connection:
            rows = connection.execute(_SCAN, (to_column(namespace), after or "", now, limit))
            found = (cells for row in rows if (cells := _cells(namespace, row, now)) is not None)
            return list(found if max_bytes is None else within(found, max_bytes))

    def scan(self, *, after: Position | None, limit: int, max_bytes: int) -> list[Cells]:
        """See `Database.scan`."""
        now = self._clock()
        namespace, key = ("", "") if after is None else (to_column(after[0]), after[1])
        if key is None:  # behind all keys of the namespace: its column ends with a bracket
            namespace, key = f"{namespace}\0", ""
        with self._connections.reading() as connection:
            rows = connection.execute(_SCAN_ALL, (namespace, key, now, limit))
            cells = (_cells(from_column(column), row, now) for column, *row in rows)
            return list(within((found for found in cells if found is not None), max_bytes))

    def purge(self) -> None:
        """Removes heads whose time is over. Nobody sees them any more; only their space is meant."""
        now = self._clock()
        with self._connections.reading() as connection:
            if connection.execute(_IS_OVER, (now,)).fetchone() is None:
                return
        with self._connections.writing() as connection:
            connection.execute(_REMOVE_OVER, (now, now))
            connection.execute(_FORGET_OVER, (now, now))


class _Writing:
    """See `database.base.Writing`. Everything happens in one transaction, which has begun already."""

    def __init__(
        self, connection: sqlite3.Connection, connections: Connections, cells: Mapping[ItemId, Cells], now: int
    ) -> None:
        self._connection = connection
        self._path = connections.path
        self._now = now
        self._floor = _largest(connection) + 1
        self.heads: Mapping[ItemId, Cells] = {item: found for item, found in cells.items() if found.head is not None}

    def floor(self, item: ItemId) -> int:
        """Above every version that was ever stored, so that no clock has to be trusted."""
        return self._floor

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        """See `Writing.commit`: all of them or none."""
        try:
            with translated(self._path):
                for mutation in mutations:
                    _write(self._connection, mutation, mutation.version, self._now)
                file(self._connection, [intent for mutation in mutations for intent in mutation.intents])
            commit(self._connection, self._path)
        except StoreError as error:
            return [error for _ in mutations]
        return [None for _ in mutations]


def _write(connection: sqlite3.Connection, mutation: Mutation, version: int, now: int) -> None:
    namespace, key = to_column(mutation.id.namespace), mutation.id.key
    until = None if mutation.ttl is None else now + mutation.ttl * SECOND
    connection.execute(_WRITE, (namespace, key, version, mutation.head, until, mutation.body))
    if mutation.ttl is not None:
        connection.execute(_CLEAR_REFRESH, (version, namespace, key, version))
    connection.execute(_RAISE_VERSION, (version, version))


def _largest(connection: sqlite3.Connection) -> int:
    return int(connection.execute(_LARGEST_VERSION).fetchone()[0])


def _select(connection: sqlite3.Connection, ids: Sequence[ItemId], statement: str, now: int) -> dict[ItemId, Cells]:
    """Cells by id, one select for up to a hundred keys of a namespace."""
    groups: dict[Namespace, list[str]] = {}
    for namespace, key in dict.fromkeys(ids):
        groups.setdefault(namespace, []).append(key)
    found: dict[ItemId, Cells] = {}
    for namespace, keys in groups.items():
        for start in range(0, len(keys), _KEYS_PER_SELECT):
            chunk = keys[start : start + _KEYS_PER_SELECT]
            select = statement.format(marks(len(chunk)))
            for row in connection.execute(select, (to_column(namespace), *chunk)):
                cells = _cells(namespace, row, now)
                if cells is not None:
                    found[cells.id] = cells
    return found


def _cells(namespace: Namespace, row: Sequence[Any], now: int) -> Cells | None:
    """What a reader sees of a row; None when it sees nothing."""
    key, version, head, head_until, refresh, refresh_until, letter, *body = row
    if head is not None and head_until is not None and head_until <= now:
        version, head, body = 0, None, []
    if refresh_until is not None and refresh_until <= now:
        refresh = None
    if head is None and refresh is None and letter is None:
        return None
    return Cells(ItemId(namespace, key), version, head, body[0] if body else None, refresh, letter)
