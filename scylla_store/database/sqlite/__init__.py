"""SQLite: the embedded default."""

from scylla_store.database.sqlite.database import SQLite

__all__ = ["SQLite"]
