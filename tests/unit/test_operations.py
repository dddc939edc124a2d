"""Health and status of a store, as an operator sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scylla_store import EmbedderUnavailable
from scylla_store.testing import FailingEmbedder, NonsenseEmbedder, TestingStore


def test_an_embedded_store_is_healthy_and_has_a_line_for_each_dependency(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as store:
        health = store.health()

    assert {name: line.state for name, line in health.items()} == {
        "database": "ok", "index": "ok", "broker": "ok", "embedder": "ok",
    }  # fmt: skip
    assert all(line.latency is not None and line.latency >= 0 for line in health.values())


@pytest.mark.parametrize(
    ("embedder", "reason"),
    [
        (FailingEmbedder(error=RuntimeError("no CUDA")), "RuntimeError: no CUDA"),
        (FailingEmbedder(error=EmbedderUnavailable("the service is away")), "the service is away"),
        (NonsenseEmbedder("nan"), "not finite"),
    ],
)
def test_an_embedder_that_fails_is_down_with_its_reason_and_no_other_line_is(
    tmp_path: Path, embedder: FailingEmbedder | NonsenseEmbedder, reason: str
) -> None:
    with TestingStore(tmp_path, embedder=embedder) as store:
        health = store.health()

    assert reason in str(health["embedder"].reason)
    assert [name for name, line in health.items() if line.state == "down"] == ["embedder"]


def test_an_index_that_another_store_owns_is_down_and_says_where_to_search(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as owner, TestingStore(tmp_path) as other:
        owner.put(("docs",), "k", {"text": "words"}, wait=0)

        health = other.health()

    assert health["database"].state == "ok"
    assert health["index"].state == "down"
    assert "index.url" in str(health["index"].reason)


def test_status_counts_what_waits_what_failed_and_what_is_dead(tmp_path: Path) -> None:
    embedder = FailingEmbedder(lambda text: text == "bad")
    with TestingStore(tmp_path, embedder=embedder) as store:
        store.put(("docs",), "good", {"text": "good"})
        store.put(("docs",), "bad", {"text": "bad"})
        before = store.status()
        store.drain()
        after = store.status()

    assert (before.pending, before.retrying, before.dead) == (2, 0, 0)
    assert before.oldest_pending_seconds is not None
    assert (after.pending, after.dead, after.oldest_pending_seconds) == (0, 1, None)
    assert after.exact
