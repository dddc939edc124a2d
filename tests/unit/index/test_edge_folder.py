"""What the embedded index says of a folder that it cannot use."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scylla_store import ConfigurationError
from scylla_store.errors import CollectionMismatch, IndexUnavailable, StoreError
from scylla_store.index.base import IndexSpecification
from scylla_store.index.edge import QdrantEdge
from scylla_store.index.edge.errors import translated

SPECIFICATION = IndexSpecification(4, "model")


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
