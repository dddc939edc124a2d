"""The installation that the campaign breaks: three Cassandra nodes, Redis, Qdrant behind a proxy, and all our processes."""

from __future__ import annotations

import json
import os
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.cluster import as_environment
from tests.acceptance.processes import Child
from tests.acceptance.sources import cql_session
from tests.acceptance.waiting import poll
from tests.campaign.control import VARIABLE, embedding, writing
from tests.campaign.signs import Signs
from tests.faults.proxy import ProxyProcess
from tests.servers import Qdrant, Redis, cassandra_nodes

WRITERS, WORKERS, BEATS = 3, 2, 2
SETTINGS: dict[str, Any] = {
    "database__replication": "3",
    "database__timeout": 5.0,
    "index__timeout": 2.0,
    "embedder__name": "tests.campaign.embedder:Told",
    "embedder__timeout": 5.0,
    "breaker__reset": 2.0,
    "sync__margin": 10.0,
    "sync__time_limit": 12.0,
    "sync__backoff": 0.5,
    "sync__backoff_most": 4.0,
    "sync__outage_delay": 1.0,
    "sync__max_attempts": 10,
    "celery__drain_interval": 3.0,
    "celery__visibility_timeout": 30.0,
    "celery__retry_backoff": 0.2,
    "clock__check_interval": 5.0,
    "reconcile__interval": 86_400.0,
    "reconcile__grace": 1.0,
}
"""Shorter times than the defaults, in about the same proportions, so that calm comes in seconds. Clocks may differ as by default."""

LONG: dict[str, Any] = {"publisher__linger_ms": 200.0}
"""Besides, where there are thousands of operations: tasks of some twenty documents. With one or two in each, as few writers file
them by default, the workers of a small machine fall behind its writers."""

_START = 90.0


class Site:
    """Made by `installed`."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.keyspace = f"campaign_{uuid.uuid4().hex[:8]}"
        self.nodes = cassandra_nodes(quick=quick)
        self._adjusted = SETTINGS if quick else {**SETTINGS, **LONG}
        self.redis = Redis()
        self.qdrant = Qdrant()
        self.writing = writing(folder)
        self.embedding = embedding(folder)
        self.signs = Signs(folder)
        self.proxy: ProxyProcess
        self.writers: list[Child] = []
        self.workers: list[Child] = []
        self.beats: list[Child] = []
        self.watcher: Child
        self.settings: dict[str, Any] = {}

    @property
    def cql(self) -> str:
        """host:port of the first node, which no fault concerns."""
        return self.nodes[0].address

    @property
    def environment(self) -> dict[str, str]:
        """Of all processes."""
        return {**as_environment(self.settings), VARIABLE: str(self.folder), "REMAP_SIGTERM": "SIGQUIT"}

    def child(self, name: str, *arguments: str) -> Child:
        """A Python process with these settings."""
        return Child(name, arguments, self.environment, self.folder)

    def command(self, name: str, *arguments: str, seconds: float = 600.0) -> tuple[int, str]:
        """Runs `scylla-store` as an operator would; exit code and the end of its output."""
        child = self.child(name, "-m", "scylla_store.cli", *arguments)
        child.start()
        try:
            return child.wait(seconds), child.tail()
        finally:
            child.kill()

    def start_servers(self, stack: ExitStack) -> None:
        for server in (*self.nodes, self.redis, self.qdrant):
            stack.callback(server.close)
        for server in (self.redis, self.qdrant):
            server.start()
        for node in self.nodes:
            node.start()
        assert poll(self._nodes_agree, _START, every=0.5)
        self.proxy = ProxyProcess(self.qdrant.port, http=True)
        stack.callback(self.proxy.close)
        self.signs.start()
        stack.callback(self.signs.close)
        self.settings = {**self._adjusted, **self._addresses()}

    def _nodes_agree(self) -> bool:
        """Whether each node knows the other two and has their schema; right after the start they differ for a moment."""
        versions = set()
        for node in self.nodes:
            with cql_session(node.address, "system", "ONE") as session:
                peers = list(session.execute("SELECT schema_version FROM peers"))
                own = list(session.execute("SELECT schema_version FROM local"))
            if len(peers) < len(self.nodes) - 1:
                return False
            versions |= {row[0] for row in (*peers, *own)}
        return len(versions) == 1

    def _addresses(self) -> dict[str, Any]:
        return {
            "database__contact_points": [node.host for node in self.nodes],
            "database__port": self.nodes[0].port,
            "database__keyspace": self.keyspace,
            "index__url": f"http://127.0.0.1:{self.proxy.port}",
            "index__collection": self.keyspace,
            "celery__broker_url": self.redis.url,
            "monitoring__statsd_host": "127.0.0.1",
            "monitoring__statsd_port": self.signs.port,
        }

    def _writer(self, number: int) -> Child:
        return self.child(f"writer{number}", "-m", "tests.campaign.writer", str(number))

    def _worker(self, number: int) -> Child:
        """A worker of both queues."""
        options = ["--concurrency", "1", "-n", f"w{number}@localhost", "--loglevel", "WARNING"]
        queues = ["-Q", "scylla_store,scylla_store.maintenance"]
        return self.child(f"worker{number}", "-m", "scylla_store.cli", "worker", *options, *queues)

    def start_processes(self, stack: ExitStack) -> None:
        cli = ("-m", "scylla_store.cli")
        self.writers = [self._writer(n) for n in range(WRITERS)]
        self.workers = [self._worker(n) for n in range(WORKERS)]
        self.beats = [
            self.child(f"beat{n}", *cli, "beat", "-s", str(self.folder / f"schedule{n}"), "--pidfile=", "--loglevel", "WARNING")
            for n in range(BEATS)
        ]  # fmt: skip
        self.watcher = self.child("watcher", "-m", "tests.campaign.watcher")
        for child in (*self.workers, *self.beats, *self.writers, self.watcher):
            stack.callback(child.kill)
            child.start()

    def supervise(self) -> list[str]:
        """Starts what has ended by itself, as systemd or Kubernetes would; returns the names."""
        ended = [child for child in (*self.writers, *self.workers, *self.beats, self.watcher) if not child.is_running]
        for child in ended:
            child.start()
        return [child.name for child in ended]

    def wait_until_it_works(self) -> None:
        """Returns when a document that is put is searchable."""
        from scylla_store import ScyllaStore

        with ScyllaStore.from_settings(**self.settings) as store:
            store.put(("start",), "first", {"text": "a first document"}, wait=_START)

    def redis_client(self) -> Any:
        """A plain client."""
        import redis

        return redis.Redis(port=self.redis.port)

    def drop_collection(self) -> None:
        """The index is gone, by plain REST."""
        request = urllib.request.Request(f"{self.qdrant.url}/collections/{self.keyspace}", method="DELETE")
        with urllib.request.urlopen(request, timeout=30) as answer:
            json.load(answer)


@contextmanager
def installed(folder: Path, *, quick: bool = True) -> Iterator[Site]:
    """An installation that works; everything ends with it. `quick` as in `cassandra_nodes`. Raises Missing."""
    (folder / "embedded").mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)  # for embedders that this process makes
    site = Site(folder, quick=quick)
    with ExitStack() as stack:
        site.writing.tell(root="start", keys=10, rate=1.0, run=False)
        site.embedding.tell(seconds=0.0, fails_one_in=0, nan=False, kills=False)
        site.start_servers(stack)
        assert poll(lambda: site.command("setup", "setup")[0] == 0, _START), (folder / "setup.out").read_text()
        site.start_processes(stack)
        site.wait_until_it_works()
        assert poll((folder / "watched.jsonl").exists, _START)
        yield site
        site.writing.tell(end=True)


def now() -> float:
    """What all processes of this machine agree on."""
    return time.monotonic()
