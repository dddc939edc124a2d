"""A Qdrant server in strict mode, which refuses what a careless client would do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from scylla_store.index.server import QdrantServer
from scylla_store.settings.options import IndexSettings
from tests.contract.index.points import fresh_name
from tests.servers import Missing, Qdrant

_STRICT = "QDRANT__STORAGE__COLLECTION__STRICT_MODE__"
STRICT_MODE = {
    f"{_STRICT}ENABLED": "true",
    f"{_STRICT}UNINDEXED_FILTERING_RETRIEVE": "false",
    f"{_STRICT}UNINDEXED_FILTERING_UPDATE": "false",
}


@dataclass(frozen=True)
class StrictQdrant:
    """Where the server listens."""

    url: str
    port: int
    grpc_port: int

    def factory(self, **settings: object) -> Callable[[], QdrantServer]:
        """Makes indexes of one fresh collection."""
        chosen = self.settings(**settings)
        return lambda: QdrantServer(chosen)

    def settings(self, **settings: object) -> IndexSettings:
        """Where it is, and a fresh collection."""
        options: dict[str, object] = {"url": self.url, "grpc_port": self.grpc_port, "collection": fresh_name()}
        return IndexSettings(**{**options, **settings})  # type: ignore[arg-type]


@contextmanager
def strict_server() -> Iterator[StrictQdrant]:
    """The one that SCYLLA_STORE_TEST_QDRANT names, strict or not, else one that is started."""
    url = os.environ.get("SCYLLA_STORE_TEST_QDRANT")
    if url is not None:
        grpc_port = int(os.environ.get("SCYLLA_STORE_TEST_QDRANT_GRPC", "6334"))
        yield StrictQdrant(url, urlsplit(url).port or 6333, grpc_port)
        return
    with started(Qdrant(options=STRICT_MODE)) as server:
        yield StrictQdrant(server.url, server.port, server.grpc_port)


@contextmanager
def started(server: Qdrant) -> Iterator[Qdrant]:
    """A server of one's own; skips without one, but fails in CI."""
    try:
        server.start()
    except Missing as missing:
        reason = f"no qdrant server: {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield server
    finally:
        server.close()
