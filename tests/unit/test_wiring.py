"""Parts of a store: each is made once, holds up no other, and is closed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from scylla_store import StoreClosed
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import IndexUnavailable
from scylla_store.settings.options import Settings
from scylla_store.wiring import Parts

PATIENCE = 20.0
MOMENT = 0.3


class SlowModel:
    """A factory of an embedder that loads until it may end, and says how often it was begun."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()

    def load(self) -> HashingEmbedder:
        self.begun.release()
        assert self.may_end.wait(PATIENCE)
        return HashingEmbedder()


def test_a_part_is_made_once_however_many_threads_want_it(tmp_path: Path) -> None:
    # Given a model that loads
    model, found = SlowModel(), []
    parts = Parts(Settings(path=str(tmp_path)), embedder=model.load)
    threads = [threading.Thread(target=lambda: found.append(parts.embedder)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert model.begun.acquire(timeout=PATIENCE)
    # When another thread wants it too
    loaded_twice = model.begun.acquire(timeout=MOMENT)
    model.may_end.set()
    for thread in threads:
        thread.join(PATIENCE)
    # Then it gets the same
    assert loaded_twice is False
    assert found == [parts.embedder, parts.embedder]
    parts.close()


def test_a_model_that_loads_for_long_holds_up_nobody_who_writes(tmp_path: Path) -> None:
    # Given a thread that wants to index, and a model that loads
    model = SlowModel()
    parts = Parts(Settings(path=str(tmp_path)), embedder=model.load)
    indexer = threading.Thread(target=parts.open_index)
    indexer.start()
    assert model.begun.acquire(timeout=PATIENCE)
    # When another one makes what a put needs
    writers: list[object] = []
    thread = threading.Thread(target=lambda: writers.append(parts.writer))
    thread.start()
    thread.join(PATIENCE)
    # Then it has it before the model is there
    assert writers == [parts.writer]
    assert not model.may_end.is_set()
    model.may_end.set()
    indexer.join(PATIENCE)
    parts.close()


def test_a_part_that_cannot_be_closed_leaves_no_other_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an index whose end fails
    parts = Parts(Settings(path=str(tmp_path)), embedder=HashingEmbedder())
    parts.open_index()
    parts.database.connect()
    close = parts.index.close

    def fail() -> None:
        close()
        raise IndexUnavailable

    monkeypatch.setattr(parts.index, "close", fail)
    # When all is closed
    with pytest.raises(IndexUnavailable):
        parts.close()
    # Then the database is too
    with pytest.raises(StoreClosed):
        parts.database.ping()


def test_nothing_is_made_after_close(tmp_path: Path) -> None:
    # Given a store whose thread in the background waits for a model that loads
    model = SlowModel()
    parts = Parts(Settings(path=str(tmp_path)), embedder=model.load)
    parts.start()
    assert model.begun.acquire(timeout=PATIENCE)
    (thread,) = [one for one in threading.enumerate() if one.name == "scylla-store-executor"]
    # When it is closed before the model is there
    parts.close()
    model.may_end.set()
    thread.join(PATIENCE)
    # Then the thread has ended, and has opened no database
    assert not thread.is_alive()
    assert not (tmp_path / "store.sqlite3").exists()
    with pytest.raises(StoreClosed):
        parts.database.ping()
