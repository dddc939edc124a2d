"""A whole installation on this machine: servers, workers, beat and writers, each of which may be killed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.killer import Victim
from tests.acceptance.processes import Child
from tests.acceptance.sources import cql_session, read_outbox
from tests.acceptance.waiting import wait_until_calm
from tests.servers import Qdrant, Redis, Server

SETTINGS: dict[str, Any] = {
    "sync__margin": 4.0,
    "sync__time_limit": 10.0,
    "sync__backoff": 0.5,
    "sync__backoff_most": 4.0,
    "sync__outage_delay": 1.0,
    "sync__max_attempts": 20,
    "celery__drain_interval": 1.0,
    "celery__visibility_timeout": 30.0,
    "celery__retry_backoff": 0.2,
    "index__timeout": 3.0,
    "embedder__timeout": 5.0,
    "clock__max_clock_skew": 2.0,
}
"""Shorter times than the defaults, in the same proportions, so that a run takes minutes instead of an hour.

More attempts, because each kill in the middle of a task counts as one and the test kills more often than life does.
"""


class Cluster:
    """Everything but the Cassandra node, which is given.

    Args:
        cql: host:port of the node.
        folder: for records, logs and the schedule of beat.
        keyspace: is made by setup.
    """

    def __init__(self, cql: str, folder: Path, keyspace: str, *, workers: int = 2, concurrency: int = 1) -> None:
        self.cql = cql
        self.folder = folder
        self.keyspace = keyspace
        self.redis = Redis()
        self.qdrant = Qdrant()
        self.records = folder / "records"
        self.records.mkdir()
        self.stop_file = folder / "stop"
        self.settings = {**SETTINGS, **self._addresses()}
        self.workers = [self._worker(number, concurrency) for number in range(workers)]
        beat = ["-m", "celery", "-A", "tasks", "beat", "-s", str(folder / "schedule"), "--pidfile="]
        self.beat = self.child("beat", beat)
        self.writers: list[Child] = []

    def _addresses(self) -> dict[str, Any]:
        host, port = self.cql.rsplit(":", 1)
        return {
            "database__contact_points": [host],
            "database__port": int(port),
            "database__keyspace": self.keyspace,
            "index__url": self.qdrant.url,
            "index__collection": self.keyspace,
            "celery__broker_url": self.redis.url,
            "celery__result_backend": self.redis.url.replace("/0", "/1"),
        }

    def _worker(self, number: int, concurrency: int) -> Child:
        queues = "scylla_store,scylla_store.maintenance"
        options = ["-Q", queues, "-c", str(concurrency), "-n", f"worker{number}@localhost", "--without-mingle"]
        return self.child(f"worker{number}", ["-m", "celery", "-A", "tasks", "worker", *options])

    @property
    def environment(self) -> dict[str, str]:
        """Of all processes; SIGTERM ends a worker softly, as in `scylla-store worker`."""
        return {**as_environment(self.settings), "REMAP_SIGTERM": "SIGQUIT"}

    def child(self, name: str, arguments: list[str]) -> Child:
        """A process with these settings."""
        return Child(name, arguments, self.environment, self.folder)

    def add_writers(self, count: int, documents: int, rate: float) -> None:
        """Writers that send `documents` in all, each at `rate` a second, and go on until `stop_file` exists."""
        for seed in range(count):
            record = self.records / f"writer{seed}.log"
            goal = ["--seed", str(seed), "--documents", str(documents // count), "--rate", str(rate)]
            arguments = [
                "-m",
                "tests.acceptance.writer",
                *goal,
                "--record",
                str(record),
                "--until",
                str(self.stop_file),
            ]
            self.writers.append(self.child(f"writer{seed}", arguments))

    @contextmanager
    def running(self) -> Iterator[Cluster]:
        """Servers with schema and collection, workers and beat; all of it is killed at the end."""
        from scylla_store import ScyllaStore

        try:
            self.redis.start()
            self.qdrant.start()
            with ScyllaStore.from_settings(**self.settings) as store:
                store.setup()
            for child in (*self.workers, self.beat):
                child.start()
            yield self
        finally:
            for child in (*self.writers, *self.workers, self.beat):
                child.kill()
            self.redis.close()
            self.qdrant.close()

    def victims(self) -> list[Victim]:
        """Writers, workers, beat, Redis and Qdrant. Redis comes back empty the first time, with its data later."""
        writers = [_child_victim(child) for child in self.writers]
        workers = [_worker_victim(child) for child in self.workers]
        redis = _RedisVictim(self.redis)
        return [
            *writers,
            *workers,
            _child_victim(self.beat),
            Victim("redis", redis.kill, redis.start),
            _server_victim("qdrant", self.qdrant),
        ]

    def wait_until_calm(self, seconds: float) -> float:
        """Waits until no intent but expiries ahead is in the outbox; returns how long it took, or fails with what is left."""
        with cql_session(self.cql, self.keyspace) as session:
            return wait_until_calm(lambda: read_outbox(session), seconds)


class _RedisVictim:
    """Redis is emptied exactly once, at its first restart."""

    def __init__(self, server: Redis) -> None:
        self._server = server
        self._emptied = False

    def kill(self, dice: random.Random) -> None:
        self._server.kill()

    def start(self, dice: random.Random) -> None:
        self._server.start(empty=not self._emptied)
        self._emptied = True


def _child_victim(child: Child) -> Victim:
    return Victim(child.name, lambda dice: child.kill(), lambda dice: child.start(), lambda: child.exit_code == 0)


def _worker_victim(child: Child) -> Victim:
    """A third of the kills hits a pool process only: the worker has to notice and to give its task back."""

    def kill(dice: random.Random) -> None:
        if dice.random() >= 1 / 3 or not child.kill_one_child(dice.random()):
            child.kill()

    return Victim(child.name, kill, lambda dice: child.start())


def _server_victim(name: str, server: Server) -> Victim:
    return Victim(name, lambda dice: server.kill(), lambda dice: server.start())


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as environment variables."""
    return {
        f"SCYLLA_STORE_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }
