"""One collection belongs to one store: another one cannot set it up, nor take its points for orphans."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scylla_store.belonging import made_store_id, store_id
from scylla_store.database.memory import MemoryDatabase
from scylla_store.database.sqlite import SQLite
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import CollectionMismatch
from scylla_store.index.memory import MemoryIndex
from scylla_store.settings.options import Settings
from scylla_store.wiring import Parts
from tests.unit.core import Core


def test_two_stores_cannot_share_a_collection() -> None:
    # Given a store with an index, and a database of another store
    first, second = Core(), Core()
    first.parts.set_up_index()
    other = Parts(second.settings, database=second.database, index=first.index, embedder=HashingEmbedder(8))
    # When that one is set up with the same index
    with pytest.raises(CollectionMismatch) as caught:
        other.set_up_index()
    # Then it is refused, both are named, and the first one goes on
    assert str(store_id(first.database)) in str(caught.value)
    assert str(store_id(second.database)) in str(caught.value)
    first.parts.set_up_index()


def test_a_restored_backup_is_the_same_store(tmp_path: Path) -> None:
    # Given an index of a database
    index = MemoryIndex()
    before = SQLite(tmp_path / "before", timeout=20.0)
    before.setup()
    Parts(Settings(), database=before, index=index, embedder=HashingEmbedder(8)).set_up_index()
    before.close()
    # When its backup is put somewhere else
    (tmp_path / "before").rename(tmp_path / "after")
    after = SQLite(tmp_path / "after", timeout=20.0)
    # Then it goes on with that index
    Parts(Settings(), database=after, index=index, embedder=HashingEmbedder(8)).set_up_index()
    after.close()


def test_processes_that_make_the_id_at_once_have_one(tmp_path: Path) -> None:
    # Given processes on one database
    databases = [SQLite(tmp_path, timeout=20.0) for _ in range(4)]
    for database in databases:
        database.setup()
    assert store_id(databases[0]) is None
    # When all make the id
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(made_store_id, databases))
    # Then it is one
    assert made == {store_id(databases[0])}
    for database in databases:
        database.close()


def test_a_folder_for_the_index_belongs_to_one_database(tmp_path: Path) -> None:
    # Given a database elsewhere, whose index is a folder
    first = Parts(Settings(path=str(tmp_path)), database=_database(), embedder=HashingEmbedder(8))
    first.open_index()
    first.close()
    # When another database is used with that folder
    second = Parts(Settings(path=str(tmp_path)), database=_database(), embedder=HashingEmbedder(8))
    with pytest.raises(CollectionMismatch, match="another store"):
        second.open_index()
    second.close()


def test_where_database_and_index_are_one_folder_nothing_is_written_for_it(tmp_path: Path) -> None:
    parts = Parts(Settings(path=str(tmp_path)), embedder=HashingEmbedder(8))
    parts.database.setup()

    parts.open_index()

    assert store_id(parts.database) is None
    parts.close()


def _database() -> MemoryDatabase:
    database = MemoryDatabase()
    database.setup()
    return database
