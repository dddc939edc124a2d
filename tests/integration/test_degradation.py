"""A real Qdrant behind a proxy that hangs, and an embedder that hangs: who searches is told in time, who puts notices nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scylla_store import ScyllaStore
from scylla_store.errors import EmbedderUnavailable, IndexUnavailable
from scylla_store.settings.options import BreakerSettings, EmbedderSettings, IndexSettings, Settings
from scylla_store.testing import HangingEmbedder
from tests.contract.index.points import fresh_name
from tests.faults.proxy import FaultProxy

NS = ("docs",)


class Held:
    """A dispatcher that leaves everything to the outbox."""

    def send(self, refs: Any, task_id: str) -> None: ...

    def backlog(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def store(path: Path, url: str, **options: Any) -> Iterator[ScyllaStore]:
    """A store on this server, whose circuits open at the second outage and are tried every half second."""
    settings = Settings(
        path=str(path),
        index=IndexSettings(url=url, collection=fresh_name(), timeout=0.5),
        embedder=EmbedderSettings(name="hashing", timeout=0.5),
        breaker=BreakerSettings(failures=2, reset=0.5),
    )
    with ScyllaStore(settings, dispatcher=Held(), **options) as one:
        one.setup()
        yield one


@pytest.fixture
def proxy(qdrant: str) -> Iterator[FaultProxy]:
    with FaultProxy(urlsplit(qdrant).port or 6333, http=True) as between:
        yield between


def test_a_qdrant_that_hangs_hangs_no_search_and_no_put(tmp_path: Path, proxy: FaultProxy) -> None:
    with store(tmp_path, f"http://127.0.0.1:{proxy.port}") as one:
        assert one.search(NS, "tea") == []
        proxy.hang()
        # The first searches wait for the timeout, the next ones for nothing
        for _ in range(2):
            with pytest.raises(IndexUnavailable, match="did not answer"):
                one.search(NS, "tea")
        with pytest.raises(IndexUnavailable, match=r"circuit is open and is tried again in .* did not answer"):
            one.search(NS, "tea")
        with pytest.raises(IndexUnavailable, match="circuit is open"):
            one.count(NS)
        # Puts are as ever
        assert one.put(NS, "k", {"text": "tea"}).created
        assert one.get(NS, "k") is not None
        # When it is back, the next try finds out
        proxy.heal()
        _search_until_answered(one)
        assert one.search(NS, "tea") == []


def test_an_embedder_that_hangs_hangs_no_search_and_no_put(tmp_path: Path, qdrant: str) -> None:
    embedder = HangingEmbedder()
    with store(tmp_path, qdrant, embedder=embedder) as one:
        for _ in range(2):
            with pytest.raises(EmbedderUnavailable, match="hangs"):
                one.search(NS, "tea")
        with pytest.raises(EmbedderUnavailable, match=r"circuit is open and is tried again in .* hangs"):
            one.search(NS, "tea")
        assert one.put(NS, "k", {"text": "tea"}).created
        # A search by vector needs no embedder
        assert one.search(NS, vector=[1.0] * embedder.dimensions) == []

        embedder.release.set()
        _search_until_answered(one)


def _search_until_answered(one: ScyllaStore) -> None:
    """Bounded by the circuit's reset and one request's timeout; the test's own timeout ends what does not come back."""
    while True:
        try:
            one.search(NS, "tea")
        except (IndexUnavailable, EmbedderUnavailable):
            continue
        return
