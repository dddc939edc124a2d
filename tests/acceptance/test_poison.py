"""A document that kills whoever embeds it ends in the dead letters, and takes none of the others with it."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest

from scylla_store import Put, ScyllaStore
from tests.acceptance.cluster import Cluster
from tests.acceptance.waiting import poll
from tests.integration.embedders import DEADLY

DOCUMENTS, PART = 1000, 100
ATTEMPTS = 3
POISONED = 500
PATIENCE = 240.0
NAMESPACE = ("poison",)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_one_document_of_a_thousand_that_kills_its_worker_is_the_only_one_that_is_not_found(
    cassandra: str, redis_server: str, qdrant: str, tmp_path: Path
) -> None:
    # Given two prefork workers whose embedder's process is killed by one text
    cluster = Cluster(cassandra, tmp_path, f"poison_{uuid.uuid4().hex[:12]}")
    cluster.settings.update(
        embedder__name="tests.integration.embedders:Troubled", sync__max_attempts=ATTEMPTS, database__timeout=20.0
    )
    for child in (*cluster.workers, cluster.beat):
        child.change(cluster.environment)
    with cluster.running(), ScyllaStore.from_settings(**cluster.settings) as store:
        # When it is written among a thousand others
        began = time.monotonic()
        for start in range(0, DOCUMENTS, PART):
            store.put_many([document(number) for number in range(start, start + PART)])
        # Then all the others are searchable
        assert poll(lambda: len(vectors(store)) == DOCUMENTS - 1, PATIENCE, every=0.5), sorted(vectors(store))[:5]
        others = time.monotonic() - began
        # And it is a dead letter that says why
        assert poll(lambda: len(store.dead_letters.list().items) == 1, PATIENCE, every=0.5), cluster.workers[0].tail()
        dead = time.monotonic() - began
        (letter,) = store.dead_letters.list().items
        assert letter.item.key == str(POISONED)
        assert letter.reason == "DocumentFailed"
        assert letter.attempts == ATTEMPTS
        assert "its worker died" in letter.message
        # And nothing waits any more, and only it was tried again and again
        cluster.wait_until_calm(PATIENCE)
        deaths = sum(child.log.read_text().count("exited with 'signal 9 (SIGKILL)'") for child in cluster.workers)
        print(json.dumps({"others_after": round(others, 1), "dead_after": round(dead, 1), "workers_killed": deaths}))
        assert 1 <= deaths <= 2 * (ATTEMPTS + 1)


def document(number: int) -> Put:
    """Document 500 is the deadly one."""
    text = f"this text {DEADLY}" if number == POISONED else f"document {number} about the number {number}"
    return Put(NAMESPACE, str(number), {"text": text})


def vectors(store: ScyllaStore) -> set[str]:
    """Keys that a search finds; an item without a vector is not among them."""
    hits = store.search(NAMESPACE, "a document about a number", limit=DOCUMENTS)
    return {hit.item.key for hit in hits}
