"""Real workers and beat, with real servers: from put to hit, and what happens on the way when something goes wrong."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.result import AsyncResult

from scylla_store import DeadLettered, Put, ScyllaStore, SyncStatus
from scylla_store.contrib.celery import make_app
from tests.acceptance.cluster import Cluster
from tests.acceptance.waiting import poll
from tests.integration.embedders import BROKEN, DEADLY

PATIENCE = 120.0

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster(
    cassandra: str, redis_server: str, qdrant: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Redis, Qdrant, one worker and beat of its own; the other servers are asked for, so that a machine without them skips."""
    cluster = Cluster(cassandra, tmp_path_factory.mktemp("cluster"), f"tasks_{uuid.uuid4().hex[:12]}", workers=1)
    cluster.settings.update(
        embedder__name="tests.integration.embedders:Troubled",
        sync__max_attempts=3,
        sync__backoff=0.1,
        sync__backoff_most=0.5,
        celery__retry_backoff=0.05,
    )
    for child in (*cluster.workers, cluster.beat):
        child.change(cluster.environment)
    with cluster.running():
        yield cluster


@pytest.fixture
def store(cluster: Cluster) -> Iterator[ScyllaStore]:
    with ScyllaStore.from_settings(**cluster.settings) as store:
        yield store


@pytest.fixture
def namespace() -> tuple[str, ...]:
    return ("tasks", uuid.uuid4().hex)


def test_a_document_put_here_is_indexed_by_a_worker_and_found_by_its_words(
    store: ScyllaStore, namespace: tuple[str, ...]
) -> None:
    receipt = store.put(namespace, "tea", {"text": "Pour boiling water over the leaves."}, wait=PATIENCE)
    store.put(namespace, "bike", {"text": "How to repair a flat tyre."}, wait=PATIENCE)

    assert receipt.status() is SyncStatus.SYNCED
    assert [hit.item.key for hit in store.search(namespace, "boiling water", limit=1)] == ["tea"]
    assert store.count(namespace) == store.count(namespace, exact=True) == 2


def test_a_delete_takes_the_points_away(store: ScyllaStore, namespace: tuple[str, ...]) -> None:
    store.put_many([Put(namespace, str(number), {"text": f"number {number}"}) for number in range(50)], wait=PATIENCE)

    receipt = store.delete(namespace, "7", wait=PATIENCE)

    assert receipt.existed
    assert store.count(namespace) == 49


def test_the_task_of_a_receipt_has_a_result(cluster: Cluster, store: ScyllaStore, namespace: tuple[str, ...]) -> None:
    receipt = store.put(namespace, "k", {"text": "a result"}, wait=PATIENCE)
    assert receipt.task_id is not None

    result = AsyncResult(receipt.task_id, app=make_app(store.settings))

    assert result.get(timeout=PATIENCE)["acked"] >= 1


def test_one_document_that_cannot_be_embedded_blocks_no_other_and_ends_in_the_dead_letters(
    store: ScyllaStore, namespace: tuple[str, ...]
) -> None:
    # Given a batch with one bad document
    puts = [Put(namespace, str(number), {"text": f"document {number}"}) for number in range(40)]
    puts[13] = Put(namespace, "13", {"text": f"this one {BROKEN}"})
    # When all of it is put
    receipts = store.put_many(puts)
    for receipt in receipts[:13] + receipts[14:]:
        receipt.wait(PATIENCE)
    # Then it is dead, with its reason, and counted, but not found
    with pytest.raises(DeadLettered, match="this text has no meaning"):
        receipts[13].wait(PATIENCE)
    assert receipts[13].status() is SyncStatus.DEAD
    (letter,) = [letter for letter in store.dead_letters.list().items if letter.item.namespace == namespace]
    assert (letter.item.key, letter.reason, letter.attempts) == ("13", "RuntimeError", 3)
    assert store.count(namespace) == 40
    # And a better text takes the letter away
    store.put(namespace, "13", {"text": "another text"}, wait=PATIENCE)
    assert store.dead_letters.get(letter.id) is None


def test_a_document_that_kills_its_worker_ends_in_the_dead_letters_and_takes_no_other_with_it(
    store: ScyllaStore, namespace: tuple[str, ...]
) -> None:
    # Given one document among others that kills every process that embeds it
    puts = [Put(namespace, str(number), {"text": f"document {number}"}) for number in range(20)]
    puts[5] = Put(namespace, "5", {"text": f"this one {DEADLY}"})
    # When all of it is put
    receipts = store.put_many(puts)
    for receipt in receipts[:5] + receipts[6:]:
        receipt.wait(PATIENCE)
    # Then the others are indexed, and it is dead
    with pytest.raises(DeadLettered, match="worker died"):
        receipts[5].wait(PATIENCE)


def test_beat_brings_back_what_the_broker_lost(
    cluster: Cluster, store: ScyllaStore, namespace: tuple[str, ...]
) -> None:
    # Given a worker that is away, so that tasks wait in Redis
    cluster.workers[0].kill()
    receipt = store.put(namespace, "lost", {"text": "lost and found"})
    assert store.flush()
    # When Redis loses everything
    cluster.redis.kill()
    cluster.redis.start(empty=True)
    cluster.workers[0].start()
    # Then the outbox still has it
    receipt.wait(PATIENCE)
    assert [hit.item.key for hit in store.search(namespace, "lost and found", limit=1)] == ["lost"]


def test_a_worker_that_is_asked_to_end_gives_back_what_it_holds(
    cluster: Cluster, store: ScyllaStore, namespace: tuple[str, ...]
) -> None:
    # Given a worker at work
    receipts = store.put_many([Put(namespace, str(n), {"text": f"document {n} " * 50}) for n in range(2000)])
    assert store.flush()
    # When it gets SIGTERM and another one takes its place
    said_before = len(cluster.workers[0].log.read_text())
    cluster.workers[0].stop(30.0)
    said = cluster.workers[0].log.read_text()[said_before:]
    assert cluster.workers[0].exit_code == 0, said
    assert "Traceback" not in said
    cluster.workers[0].start()
    # Then nothing is lost
    for receipt in receipts:
        receipt.wait(PATIENCE)
    assert store.count(namespace) == 2000


def test_health_names_the_queue_that_no_worker_consumes(cluster: Cluster) -> None:
    settings = {**cluster.settings, "celery__queue": "elsewhere"}
    with ScyllaStore.from_settings(**settings) as store:
        health = store.health()

    dependencies = {name: health[name].state for name in ("database", "index", "broker", "embedder")}
    assert dependencies == {"database": "ok", "index": "ok", "broker": "degraded", "embedder": "ok"}
    assert "elsewhere" in str(health["broker"].reason)


def test_put_does_not_notice_that_the_broker_is_gone(
    cluster: Cluster, store: ScyllaStore, namespace: tuple[str, ...]
) -> None:
    gone = dataclasses.replace(store.settings.celery, broker_url="redis://127.0.0.1:1/0")
    with ScyllaStore(dataclasses.replace(store.settings, celery=gone)) as other:
        receipt = other.put(namespace, "k", {"text": "no broker"})
        assert other.health()["broker"].state == "down"

    receipt = dataclasses.replace(receipt, database=store.parts.database)
    receipt.wait(PATIENCE)
    assert receipt.status() is SyncStatus.SYNCED


def test_status_shows_what_the_last_drain_saw(store: ScyllaStore) -> None:
    assert poll(lambda: store.status().age_seconds is not None, PATIENCE)

    assert json.dumps(dataclasses.asdict(store.status()))


def test_the_log_of_a_worker_has_no_content_of_documents(
    cluster: Cluster, store: ScyllaStore, namespace: tuple[str, ...], tmp_path: Path
) -> None:
    secret = f"confidential{uuid.uuid4().hex}"
    store.put(namespace, "k", {"text": f"{secret} {BROKEN}"})
    with pytest.raises(DeadLettered):
        store.put(namespace, "k2", {"text": f"{secret} {BROKEN}"}, wait=PATIENCE)

    assert secret not in cluster.workers[0].log.read_text()
    assert secret not in cluster.beat.log.read_text()
