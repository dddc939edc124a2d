"""A Redis that is full answers with errors: a worker goes on, and works when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from celery import Celery

from tests.acceptance.processes import Child
from tests.acceptance.waiting import poll
from tests.servers import Redis, started

pytestmark = pytest.mark.integration

QUEUE = "scylla_store.maintenance"
PATIENCE = 60.0


@pytest.fixture
def broker() -> Iterator[Redis]:
    with ExitStack() as stack:
        server = Redis()
        started(server, "SCYLLA_STORE_TEST_REDIS", stack)
        yield server


@pytest.fixture
def worker(broker: Redis, tmp_path: Path) -> Iterator[Child]:
    """Its database does not exist: what is asked here is whether it takes tasks."""
    environment = {
        "SCYLLA_STORE_DATABASE__CONTACT_POINTS": '["127.0.0.1:1"]',
        "SCYLLA_STORE_CELERY__BROKER_URL": broker.url,
        "SCYLLA_STORE_INDEX__URL": "http://127.0.0.1:1",
        "SCYLLA_STORE_EMBEDDER__NAME": "hashing",
    }
    options = ["worker", "--concurrency", "1", "--loglevel", "INFO", "-Q", QUEUE]
    child = Child("worker", ["-m", "scylla_store.cli", *options], environment, tmp_path)
    child.start()
    assert poll(lambda: "ready." in child.log.read_text(), PATIENCE), child.tail()
    yield child
    child.kill()


def test_a_worker_survives_that_redis_is_full(broker: Redis, worker: Child) -> None:
    # Given a worker that takes a task from a Redis without room to note that it has it
    client = redis.Redis(port=broker.port)
    app = Celery(broker=broker.url)
    worker.pause()
    for _ in range(3):
        app.send_task("scylla_store.drain_outbox", queue=QUEUE)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1mb")
    worker.resume()
    assert poll(lambda: "OutOfMemoryError" in _said(worker) or "used memory > 'maxmemory'" in _said(worker), PATIENCE)
    # When there is room again
    client.config_set("maxmemory", "0")
    # Then the same worker takes what waits
    assert poll(lambda: "Task scylla_store.drain_outbox" in _said(worker), PATIENCE), worker.tail()
    assert worker.is_running
    client.close()
    app.close()


def _said(worker: Child) -> str:
    return worker.log.read_text()
