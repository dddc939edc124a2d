"""The outbox in one table: what is due is one query by the next attempt."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from scylla_store.clock import Clock
from scylla_store.database.base import OutboxSummary, Push, Sweep, Waiting
from scylla_store.database.sqlite.connections import Connections
from scylla_store.database.sqlite.encoding import from_column, marks, to_column
from scylla_store.identity import ItemId
from scylla_store.intents import Bookkeeping, Entry, Intent, IntentKey, Kind

_CHUNK = 500
_KEYS_PER_SELECT = 200

_COLUMNS = "due, shard, intent, namespace, key, write_id, version, kind, filed_at, next_attempt, attempts, error, first_failed_at"
_FILE = f"INSERT OR IGNORE INTO outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL)"
_UPDATE = """
    UPDATE outbox SET next_attempt = ?, attempts = ?, error = ?, first_failed_at = ?
    WHERE due = ? AND shard = ? AND intent = ?"""
_ACK = "DELETE FROM outbox WHERE due = ? AND shard = ? AND intent = ?"
_GET = f"SELECT {_COLUMNS} FROM outbox WHERE (due, shard, intent) IN (VALUES {{}})"
_DUE = "SELECT rowid FROM outbox WHERE next_attempt <= ? ORDER BY next_attempt, due LIMIT ?"
# The plus keeps SQLite from going through a backlog by next_attempt.
_DUE_SINCE = "SELECT rowid FROM outbox WHERE +next_attempt <= ? AND due >= ? AND due <= ? ORDER BY due LIMIT ?"
_BY_ROWID = f"SELECT {_COLUMNS} FROM outbox WHERE rowid IN ({{}}) AND next_attempt <= ? ORDER BY next_attempt, due"

# Expiries that are not due yet are not pending, and are not gone through.
_SUMMARY = """
    SELECT count(*), count(CASE WHEN attempts > 0 THEN 1 END), min(since), count(CASE WHEN next_attempt <= ?1 THEN 1 END)
    FROM (
        SELECT * FROM (
            SELECT next_attempt, attempts, filed_at AS since FROM outbox WHERE (kind = 'expiry') = 0 ORDER BY due LIMIT ?2
        ) UNION ALL SELECT * FROM (
            SELECT next_attempt, attempts, due AS since FROM outbox
            WHERE (kind = 'expiry') = 1 AND due <= ?1 AND next_attempt <= ?1 ORDER BY due LIMIT ?2
        )
    )"""
_WAITING = """
    SELECT namespace, key, since FROM (
        SELECT * FROM (
            SELECT namespace, key, due, filed_at AS since FROM outbox WHERE (kind = 'expiry') = 0 ORDER BY due LIMIT ?2
        ) UNION ALL SELECT * FROM (
            SELECT namespace, key, due, due AS since FROM outbox WHERE (kind = 'expiry') = 1 AND due <= ?1 ORDER BY due LIMIT ?2
        )
    ) ORDER BY due LIMIT ?2"""


class SQLiteOutbox:
    """See `database.base.Outbox`.

    Args:
        ready: called before each use; connects.
        purge: called by each sweep.
    """

    def __init__(
        self, connections: Connections, clock: Clock, ready: Callable[[], None], purge: Callable[[], None]
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._ready = ready
        self._purge = purge

    def file(self, intents: Sequence[Intent]) -> None:
        """See `Outbox.file`."""
        self._ready()
        if intents:
            with self._connections.writing() as connection:
                file(connection, intents)

    def sweep(self, now: int, limit: int, push: Push, *, since: int | None = None) -> Sweep:
        """See `Outbox.sweep`. No transaction is open while `push` runs. An ack removes its row, so there are no half rows."""
        self._ready()
        self._purge()
        select = (_DUE, (now, limit + 1)) if since is None else (_DUE_SINCE, (now, since, now, limit + 1))
        with self._connections.reading() as connection:
            found = array("q", (rowid for (rowid,) in connection.execute(*select)))
        seen = pushed = 0
        for start in range(0, min(limit, len(found)), _CHUNK):
            entries = self._entries(found[start : min(start + _CHUNK, limit)], now)
            if entries:
                taken = push(entries)
                if taken is None:
                    return Sweep(seen=seen, pushed=pushed, more=True)
                self.update(taken)
                seen += len(entries)
                pushed += len(taken)
        return Sweep(seen=seen, pushed=pushed, more=len(found) > limit)

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """See `Outbox.update`."""
        self._ready()
        if bookkeeping:
            rows = [(row.next_attempt, row.attempts, row.error, row.first_failed_at, *row.key) for row in bookkeeping]
            with self._connections.writing() as connection:
                connection.executemany(_UPDATE, rows)

    def ack(self, keys: Sequence[IntentKey]) -> None:
        """See `Outbox.ack`."""
        self._ready()
        if keys:
            with self._connections.writing() as connection:
                connection.executemany(_ACK, keys)

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """See `Outbox.get`."""
        self._ready()
        rows: list[Any] = []
        with self._connections.reading() as connection:
            for start in range(0, len(keys), _KEYS_PER_SELECT):
                chunk = keys[start : start + _KEYS_PER_SELECT]
                select = _GET.format(", ".join(["(?, ?, ?)"] * len(chunk)))
                rows += connection.execute(select, [value for key in chunk for value in key]).fetchall()
        return {entry.intent.key: entry for entry in map(_entry, rows)}

    def summary(self, limit: int | None) -> OutboxSummary:
        """See `Outbox.summary`."""
        self._ready()
        with self._connections.reading() as connection:
            found = connection.execute(_SUMMARY, (self._clock(), -1 if limit is None else limit + 1)).fetchone()
        pending, retrying, oldest, due = found
        if limit is None or pending <= limit:
            return OutboxSummary(pending, retrying, oldest, exact=True, due=due)
        return OutboxSummary(limit, min(retrying, limit), oldest, exact=False, due=min(due, limit))

    def waiting(self, limit: int) -> Waiting:
        """See `Outbox.waiting`."""
        self._ready()
        with self._connections.reading() as connection:
            rows = connection.execute(_WAITING, (self._clock(), limit + 1)).fetchall()
        items = frozenset(ItemId(from_column(namespace), key) for namespace, key, _ in rows[:limit])
        return Waiting(items, min((filed_at for *_, filed_at in rows), default=None), exact=len(rows) <= limit)

    def _entries(self, rowids: Sequence[int], now: int) -> list[Entry]:
        """Those rows that are still there and due; a row number may belong to another row by now."""
        with self._connections.reading() as connection:
            rows = connection.execute(_BY_ROWID.format(marks(len(rowids))), [*rowids, now]).fetchall()
        return [_entry(row) for row in rows]


def file(connection: sqlite3.Connection, intents: Sequence[Intent]) -> None:
    """Writes intents; they are first due at their `due`."""
    connection.executemany(_FILE, [_row(intent) for intent in intents])


def _row(intent: Intent) -> tuple[Any, ...]:
    due, shard, ident = intent.key
    namespace, key = to_column(intent.item.namespace), intent.item.key
    return due, shard, ident, namespace, key, intent.write_id, intent.version, intent.kind.value, intent.filed_at, due


def _entry(row: Sequence[Any]) -> Entry:
    due, shard, ident, namespace, key, write_id, version, kind, filed_at, *bookkeeping = row
    item = ItemId(from_column(namespace), key)
    return Entry(Intent(IntentKey(due, shard, ident), item, write_id, version, Kind(kind), filed_at), *bookkeeping)
