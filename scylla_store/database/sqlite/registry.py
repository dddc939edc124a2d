"""Small tables: namespaces, dead letters, leases and named values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Registration
from scylla_store.database.sqlite.connections import Connections
from scylla_store.database.sqlite.encoding import from_column, to_column
from scylla_store.identity import ItemId, Namespace, item_digest, prefix_range, sort_key
from scylla_store.letters import DeadLetter, from_json, to_json
from scylla_store.rows import stamp

_REGISTER = """
    INSERT INTO namespaces (position, namespace, seen_at) VALUES (?, ?, ?)
    ON CONFLICT (position) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)"""
_UNREGISTER = "DELETE FROM namespaces WHERE position = ? AND seen_at <= ?"
_NAMESPACES = """
    SELECT namespace, seen_at FROM namespaces
    WHERE position >= ? AND position < ? AND position > ? ORDER BY position LIMIT ?"""

# A letter and its mark share a time: what is older than the mark, or than the mark's deletion, comes too late.
_MARK = """
    INSERT INTO items (namespace, key, letter, letter_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE SET letter = excluded.letter, letter_at = excluded.letter_at
    WHERE (excluded.letter_at, excluded.letter) > (letter_at, letter)"""
_BURY = "INSERT OR REPLACE INTO dead_letters (id, letter, timestamp) VALUES (?, ?, ?)"
_UNMARK = "UPDATE items SET letter = NULL, letter_at = ? WHERE namespace = ? AND key = ? AND letter_at <= ?"
_EXHUME = "DELETE FROM dead_letters WHERE id = ? AND timestamp <= ?"
_LETTERS = "SELECT letter FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?"
_LETTER = "SELECT letter FROM dead_letters WHERE id = ?"

_LEASE = """
    INSERT INTO leases (name, owner, expires_at) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
    WHERE owner = excluded.owner OR expires_at <= ?"""
_RELEASE = "DELETE FROM leases WHERE name = ? AND owner = ?"

_STATE = "SELECT value FROM state WHERE name = ?"
_SET_STATE = "INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)"
_FIRST_STATE = "INSERT OR IGNORE INTO state (name, value) VALUES (?, ?)"


class Namespaces:
    """The registry of namespaces."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def register(self, namespaces: Iterable[Namespace], *, now: int) -> None:
        """See `Database.register`."""
        rows = [(sort_key(namespace), to_column(namespace), now) for namespace in namespaces]
        if rows:
            with self._connections.writing() as connection:
                connection.executemany(_REGISTER, rows)

    def page(self, prefix: Namespace, *, after: Namespace | None, limit: int) -> list[Registration]:
        """See `Database.namespaces`."""
        position = b"" if after is None else sort_key(after)
        with self._connections.reading() as connection:
            rows = connection.execute(_NAMESPACES, (*prefix_range(prefix), position, limit)).fetchall()
        return [Registration(from_column(namespace), seen_at) for namespace, seen_at in rows]

    def unregister(self, registration: Registration) -> None:
        """See `Database.unregister`."""
        with self._connections.writing() as connection:
            connection.execute(_UNREGISTER, (sort_key(registration.namespace), registration.seen_at))


class Letters:
    """Dead letters and their marks on the items."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def bury(self, letter: DeadLetter) -> None:
        """See `Database.bury`."""
        time, mark = letter.timestamp, stamp(letter.write_id, letter.timestamp)
        with self._connections.writing() as connection:
            marked = connection.execute(_MARK, (to_column(letter.item.namespace), letter.item.key, mark, time))
            if marked.rowcount:
                connection.execute(_BURY, (letter.id, to_json(letter), time))

    def exhume(self, letters: Sequence[tuple[ItemId, int]]) -> None:
        """See `Database.exhume`."""
        with self._connections.writing() as connection:
            for item, time in letters:
                connection.execute(_UNMARK, (time, to_column(item.namespace), item.key, time))
                connection.execute(_EXHUME, (item_digest(item), time))

    def page(self, *, after: str | None, limit: int) -> list[DeadLetter]:
        """See `Database.letters`."""
        with self._connections.reading() as connection:
            return [from_json(row[0]) for row in connection.execute(_LETTERS, (after or "", limit))]

    def get(self, ident: str) -> DeadLetter | None:
        """See `Database.letter`."""
        with self._connections.reading() as connection:
            row = connection.execute(_LETTER, (ident,)).fetchone()
        return None if row is None else from_json(row[0])


class Leases:
    """Leases, by this machine's clock."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def take(self, name: str, owner: str, seconds: float) -> bool:
        """See `Database.lease`."""
        now = self._clock()
        with self._connections.writing() as connection:
            taken = connection.execute(_LEASE, (name, owner, now + int(seconds * SECOND), now))
            return taken.rowcount == 1

    def release(self, name: str, owner: str) -> None:
        """See `Database.release`."""
        with self._connections.writing() as connection:
            connection.execute(_RELEASE, (name, owner))


class State:
    """Small named values."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def state(self, name: str) -> bytes | None:
        """See `Database.state`."""
        with self._connections.reading() as connection:
            row = connection.execute(_STATE, (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_state(self, name: str, value: bytes) -> None:
        """See `Database.set_state`."""
        with self._connections.writing() as connection:
            connection.execute(_SET_STATE, (name, value))

    def first_state(self, name: str, value: bytes) -> bytes:
        """See `Database.first_state`."""
        with self._connections.writing() as connection:
            connection.execute(_FIRST_STATE, (name, value))
            return bytes(connection.execute(_STATE, (name,)).fetchone()[0])
