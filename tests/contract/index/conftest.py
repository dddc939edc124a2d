"""The three indexes, each with an empty collection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scylla_store.index.base import Index
from scylla_store.index.edge import QdrantEdge
from scylla_store.index.memory import MemoryIndex
from tests.contract.index.points import SPECIFICATION, wipe
from tests.contract.index.qdrant import StrictQdrant, strict_server

KINDS = ("memory", "edge", "server", "server by gRPC")


@pytest.fixture(scope="session")
def strict_qdrant() -> Iterator[StrictQdrant]:
    """A Qdrant server in strict mode."""
    with strict_server() as server:
        yield server


@pytest.fixture(params=KINDS)
def make_index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Index]]:
    """Makes an index without a collection. All that one test makes share their storage, but the memory's."""
    made: list[Index] = []
    factory = _factory(request, tmp_path)

    def make() -> Index:
        made.append(factory())
        return made[-1]

    yield make
    for index in made:
        index.close()


@pytest.fixture(scope="session", params=KINDS)
def shared_index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index with a collection that the tests share."""
    index = _factory(request, tmp_path_factory.mktemp("index"))()
    index.setup(SPECIFICATION)
    yield index
    index.close()


@pytest.fixture
def index(shared_index: Index) -> Index:
    """An index with an empty collection."""
    wipe(shared_index)
    return shared_index


def _factory(request: pytest.FixtureRequest, folder: Path) -> Callable[[], Index]:
    if request.param == "memory":
        return MemoryIndex
    if request.param == "edge":
        return lambda: QdrantEdge(folder)
    server: StrictQdrant = request.getfixturevalue("strict_qdrant")
    return server.factory(prefer_grpc=request.param != "server")
