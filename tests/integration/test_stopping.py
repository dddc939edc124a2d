"""SIGTERM to processes at work: they end in time and in silence, nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from scylla_store import Put, ScyllaStore, StoreError
from scylla_store.clock import system_clock
from tests.acceptance.cluster import as_environment
from tests.acceptance.processes import Child
from tests.acceptance.waiting import poll
from tests.faults.proxy import FaultProxy
from tests.integration.embedders import COUNT_FILE
from tests.integration.web import call
from tests.integration.web_app import NAMESPACE
from tests.servers import free_port

PATIENCE = 60.0
SOON = 5.0
"""Seconds: the two that closing a store may take, and what the end of a Python process takes on a loaded machine."""

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(redis_server: str, tmp_path: Path) -> dict[str, Any]:
    """A broker with queues of its own, and a database in a folder; no index."""
    name = f"stopping_{uuid.uuid4().hex[:8]}"
    return {
        "path": str(tmp_path / "data"),
        "embedder__name": "hashing",
        "index__url": "http://127.0.0.1:1",
        "index__collection": name,
        "celery__broker_url": redis_server,
        "celery__queue": name,
        "celery__maintenance_queue": f"{name}.maintenance",
        "celery__publish_timeout": 0.5,
    }


@pytest.fixture
def on_cassandra(settings: dict[str, Any], cassandra: str) -> dict[str, Any]:
    """The same with a driver that has threads and sockets of its own."""
    host, port = cassandra.rsplit(":", 1)
    settings |= {
        "database__contact_points": [host],
        "database__port": int(port),
        "database__keyspace": settings["index__collection"],
    }
    with ScyllaStore.from_settings(**settings) as store:
        store.parts.database.setup()
    return settings


@pytest.fixture
def children(tmp_path: Path) -> Iterator[list[Child]]:
    """Processes that a test starts; what is left of them is killed."""
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()


def started(children: list[Child], arguments: Sequence[str], environment: dict[str, str], folder: Path) -> Child:
    child = Child(f"child{len(children)}", arguments, environment, folder)
    children.append(child)
    child.start()
    return child


def ended(child: Child, seconds: float) -> int:
    """Its exit code after SIGTERM; fails when it said anything of an error, or took longer."""
    assert child.is_running, child.tail()
    child.terminate()
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it did not end within {seconds} s: {child.tail()}")
    assert "Traceback" not in child.tail(1_000_000), child.tail()
    return code


def published(settings: dict[str, Any]) -> Counter[tuple[str, str]]:
    """How often each intent is in the queue, by its id and key."""
    found: Counter[tuple[str, str]] = Counter()
    with Connection(settings["celery__broker_url"]) as connection:
        channel = connection.default_channel
        while (message := channel.basic_get(settings["celery__queue"], no_ack=True)) is not None:
            (sent,) = json.loads(message.body)[0]
            found.update((row[2], row[4]) for row in sent["refs"])
    return found


def filed(settings: dict[str, Any]) -> Counter[str]:
    """How many intents each key has in the outbox."""
    found: Counter[str] = Counter()
    with ScyllaStore.from_settings(**settings) as store:
        in_a_minute = system_clock() + 60_000_000
        store.parts.database.outbox.sweep(
            in_a_minute, 100_000, lambda entries: found.update(entry.intent.item.key for entry in entries) or []
        )
    return found


@pytest.mark.parametrize("kind", [["sync", "--workers", "2"], ["gthread", "--workers", "2", "--threads", "4"]])
def test_a_web_server_ends_in_mid_traffic_and_what_it_acknowledged_is_in_the_outbox(
    on_cassandra: dict[str, Any], children: list[Child], tmp_path: Path, kind: list[str]
) -> None:
    pytest.importorskip("gunicorn", reason="gunicorn is not installed; pip install gunicorn")
    # Given a server whose application has used its store before the workers were forked, and clients that go on putting
    port = free_port()
    server = ["-m", "gunicorn", "--preload", "--bind", f"127.0.0.1:{port}", "--worker-class", *kind]
    child = started(
        children, [*server, "tests.integration.web_app:application"], as_environment(on_cassandra), tmp_path
    )
    site = f"http://127.0.0.1:{port}"
    assert poll(lambda: call(site)[0] == 200, PATIENCE), child.tail()
    acknowledged: list[str] = []
    served_by: set[int] = set()

    def put(client: int) -> None:
        for number in range(100_000):
            status, pid = call(f"{site}/{client}.{number}", "PUT", {})
            if status != 200:
                return
            acknowledged.append(f"{client}.{number}")
            served_by.add(pid)

    clients = [threading.Thread(target=put, args=(client,)) for client in range(4)]
    for client in clients:
        client.start()
    assert poll(lambda: len(acknowledged) > 200, PATIENCE), child.tail()
    # When
    assert ended(child, SOON) == 0
    for client in clients:
        client.join()
    # Then everything that was acknowledged waits in the outbox, and nothing was sent twice
    assert set(acknowledged) <= set(filed(on_cassandra))
    sent = published(on_cassandra)
    assert max(sent.values()) == 1
    assert len(served_by) == 2


def test_a_worker_and_beat_end_softly_and_nothing_is_embedded_twice(
    settings: dict[str, Any], qdrant: str, children: list[Child], tmp_path: Path
) -> None:
    # Given a worker of two processes and beat, with more to do than they have done
    counted = tmp_path / "embedded"
    settings |= {"index__url": qdrant, "embedder__name": "tests.integration.embedders:Counted"}
    environment = {**as_environment(settings), COUNT_FILE: str(counted)}
    worker = ["-m", "scylla_store.cli", "worker", "--concurrency", "2", "--without-mingle"]
    beat = ["-m", "scylla_store.cli", "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile="]
    with ScyllaStore.from_settings(**settings) as store:
        store.setup()
        first = started(children, worker, environment, tmp_path)
        clock = started(children, beat, environment, tmp_path)
        receipts = [store.put(NAMESPACE, str(number), {"text": f"document {number}"}) for number in range(3000)]
        assert store.flush()
        assert poll(lambda: counted.exists() and len(counted.read_bytes()) > 0, PATIENCE), first.tail()
        # When both get SIGTERM, and others take their places
        assert ended(clock, SOON) == 0
        assert ended(first, 15.0) == 0
        second = started(children, worker, environment, tmp_path)
        started(children, beat, environment, tmp_path)
        # Then all of it is indexed
        for receipt in receipts:
            receipt.wait(PATIENCE)
        texts = Counter(counted.read_text().splitlines())
        assert (len(texts), max(texts.values())) == (3000, 1), second.tail()


def test_an_import_ends_where_it_is_and_goes_on_from_there(
    settings: dict[str, Any], children: list[Child], tmp_path: Path
) -> None:
    # Given an import at work
    source = tmp_path / "documents.jsonl"
    total = 30_000
    source.write_text("".join(json.dumps({"key": str(n), "value": {"text": f"text {n}"}}) + "\n" for n in range(total)))
    command = ["-m", "scylla_store.cli", "import", str(source), "--namespace", "web", "--batch", "100"]
    child = started(children, command, as_environment(settings), tmp_path)
    with ScyllaStore.from_settings(**settings) as store:
        assert poll(lambda: len(store.list(NAMESPACE, limit=1000).items) > 500, PATIENCE, every=0.01), child.tail()
        # When
        code = ended(child, SOON)
        stored = store.count(NAMESPACE, exact=True)
        # Then it says where it was, and the same command goes on
        assert (code, 0 < stored < total) == (143, True), child.tail()
        assert "the same command goes on from there" in child.tail()
        again = started(children, command, as_environment(settings), tmp_path)
        assert again.wait(PATIENCE) == 0
        assert f"Going on after {stored:,}" in again.tail()
        assert store.count(NAMESPACE, exact=True) == total
    # And each document was filed once and sent at most once
    assert set(filed(settings).values()) == {1}
    assert set(published(settings).values()) == {1}


def test_an_import_ends_in_time_although_the_broker_hangs(
    settings: dict[str, Any], children: list[Child], tmp_path: Path
) -> None:
    port = int(settings["celery__broker_url"].rsplit(":", 1)[1].split("/")[0])
    source = tmp_path / "documents.jsonl"
    source.write_text(
        "".join(json.dumps({"key": str(n), "value": {"text": f"text {n}"}}) + "\n" for n in range(30_000))
    )
    with FaultProxy(port) as broker, ScyllaStore.from_settings(**settings) as store:
        broker.hang()
        settings["celery__broker_url"] = f"redis://127.0.0.1:{broker.port}/0"
        command = ["-m", "scylla_store.cli", "import", str(source), "--namespace", "web", "--batch", "100"]
        child = started(children, command, as_environment(settings), tmp_path)
        assert poll(lambda: len(store.list(NAMESPACE, limit=1000).items) > 500, PATIENCE, every=0.01), child.tail()

        assert ended(child, SOON) == 143


def test_a_reconciliation_ends_where_it_is_and_goes_on_from_there(
    settings: dict[str, Any], qdrant: str, children: list[Child], tmp_path: Path
) -> None:
    # Given a reconciliation at work, held back to take a while
    settings |= {"index__url": qdrant}
    with ScyllaStore.from_settings(**settings) as store:
        store.setup()
        store.put_many([Put(NAMESPACE, str(number), {"text": f"text {number}"}) for number in range(15_000)])
    command = ["-m", "scylla_store.cli", "reconcile"]
    child = started(children, [*command, "--max-rate", "100"], as_environment(settings), tmp_path)
    assert poll(lambda: "Comparing" in child.tail(), PATIENCE), child.tail()
    # When
    assert ended(child, SOON) == 143
    # Then
    assert "the same command goes on from there" in child.tail()
    again = started(children, command, as_environment(settings), tmp_path)
    assert again.wait(PATIENCE) == 0, again.tail()
    assert "Compared 15,000 documents" in again.tail()


def test_close_ends_in_time_and_leaves_no_thread_when_broker_and_database_hang(on_cassandra: dict[str, Any]) -> None:
    # Given a store at work, whose broker and database stop to answer
    broker_port = int(on_cassandra["celery__broker_url"].rsplit(":", 1)[1].split("/")[0])
    with FaultProxy(broker_port) as broker, FaultProxy(on_cassandra["database__port"]) as database:
        on_cassandra |= {
            "database__port": database.port,
            "celery__broker_url": f"redis://127.0.0.1:{broker.port}/0",
        }
        with ScyllaStore.from_settings(
            **on_cassandra
        ) as first:  # what the first use starts stays for the whole process
            first.put(NAMESPACE, "k", {"text": "words"})
        before = _threads()
        store = ScyllaStore.from_settings(**on_cassandra)
        store.put(NAMESPACE, "k", {"text": "words"})
        assert store.flush()
        broker.hang()
        database.hang()
        failures: list[StoreError] = []

        def put() -> None:
            try:
                store.put(NAMESPACE, "hangs", {"text": "words"})
            except StoreError as exc:
                failures.append(exc)

        hanging = threading.Thread(target=put)
        hanging.start()
        assert poll(hanging.is_alive, PATIENCE)
        # When
        began = time.monotonic()
        store.close()
        took = time.monotonic() - began
        # Then
        hanging.join(PATIENCE)
        assert took < 2.5
        assert poll(lambda: not _threads() - before, PATIENCE), _threads() - before
        assert len(failures) == 1


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.is_alive()}
