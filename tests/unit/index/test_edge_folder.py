"""What the embedded index says of a folder that it cannot use."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scylla_store import ConfigurationError
from scylla_store.errors import CollectionMismatch, IndexUnavailable, StoreError
from scylla_store.index.base import IndexSpecification, Point
from scylla_store.index.edge import QdrantEdge
from scylla_store.index.edge.errors import translated

SPECIFICATION = IndexSpecification(4, "model")
PAYLOAD = {"item": "item", "version": 1, "fingerprint": "f"}
POINT = Point("6c0f2c2e-6f0c-5d6e-9c57-6b1d2b6d6a11", [1.0, 0.0, 0.0, 0.0], PAYLOAD)


@contextmanager
def opened(folder: Path) -> Iterator[QdrantEdge]:
    index = QdrantEdge(folder)
    try:
        yield index
    finally:
        index.close()


def test_a_file_where_the_folder_should_be_is_a_wrong_path(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("something else")

    with opened(tmp_path) as index, pytest.raises(ConfigurationError, match=r"path: .*index"):
        index.setup(SPECIFICATION)


def test_a_collection_without_its_record_is_not_made_anew(tmp_path: Path) -> None:
    # Given a collection whose record was lost
    with opened(tmp_path) as index:
        index.setup(SPECIFICATION)
    (tmp_path / "index" / "collection" / "collection.json").unlink()
    # Then it is neither used nor replaced, each time that somebody tries
    with opened(tmp_path) as index:
        for _ in range(2):
            with pytest.raises(CollectionMismatch, match=r"collection\.json"):
                index.setup(SPECIFICATION)
    assert (tmp_path / "index" / "collection" / "shard").is_dir()


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, ConfigurationError), (errno.EROFS, ConfigurationError), (errno.ENOSPC, IndexUnavailable)],
)
def test_the_file_system_is_translated(number: int, kind: type[StoreError]) -> None:
    with pytest.raises(kind, match="index"), translated():
        raise OSError(number, "why", "index/lock")


def test_a_full_disk_is_an_outage_that_ends_when_there_is_room(tmp_path: Path) -> None:
    # Given an index on a disk that gets full; the engine itself would end the process with SIGBUS
    free = 2**30
    index = QdrantEdge(tmp_path, free=lambda _: free)
    try:
        index.setup(SPECIFICATION)
        free = 2**20
        # Then nothing is written
        with pytest.raises(IndexUnavailable, match="1 MiB are free"):
            index.upsert([POINT], at_most=1)
        # And it goes on when there is room
        free = 2**30
        index.upsert([POINT], at_most=1)
        assert list(index.points_of(["item"])) == ["item"]
    finally:
        index.close()


def test_an_index_is_not_opened_on_a_full_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as index:
        index.setup(SPECIFICATION)

    full = QdrantEdge(tmp_path, free=lambda _: 0)
    with pytest.raises(IndexUnavailable, match="is full"):
        full.connect()
    full.close()
