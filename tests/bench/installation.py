"""Real servers, and stores and workers on them, each with keyspace, collection and queues of its own."""

from __future__ import annotations

import logging
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from scylla_store import Put, ScyllaStore
from scylla_store.intents import Ref
from scylla_store.settings import load
from tests.acceptance.cluster import as_environment
from tests.acceptance.processes import Child
from tests.bench.documents import Document
from tests.bench.raw import RawCql, RawIndex
from tests.servers import Cassandra, Qdrant, Redis, Server

AnyServer = TypeVar("AnyServer", bound=Server)

_PATIENCE = 60.0


class Servers:
    """Cassandra, Redis and Qdrant, each started when a row first needs it; raises `servers.Missing`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack

    @cached_property
    def cassandra(self) -> Cassandra:
        return self._started(Cassandra())

    @cached_property
    def redis(self) -> Redis:
        return self._started(Redis())

    @cached_property
    def qdrant(self) -> Qdrant:
        return self._started(Qdrant())

    @cached_property
    def site(self) -> Site:
        """A site without workers, for all rows that can share one."""
        return Site(self, self._stack)

    def _started(self, server: AnyServer) -> AnyServer:
        self._stack.callback(server.close)
        server.start()
        return server


class Site:
    """One store on the servers, with what rows need around it."""

    def __init__(self, servers: Servers, stack: ExitStack, **options: Any) -> None:
        self.servers = servers
        self._stack = stack
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self.settings: dict[str, Any] = {
            "database__contact_points": [servers.cassandra.host],
            "database__port": servers.cassandra.port,
            "database__keyspace": name,
            "index__url": servers.qdrant.url,
            "index__collection": name,
            "celery__broker_url": servers.redis.url,
            "celery__queue": name,
            "celery__maintenance_queue": f"{name}.maintenance",
            **options,
        }
        self.store = stack.enter_context(ScyllaStore.from_settings(**self.settings))
        self.store.setup()

    @cached_property
    def cql(self) -> RawCql:
        """The driver itself, in the same keyspace."""
        return self._stack.enter_context(RawCql(self.store.settings.database))

    @cached_property
    def index(self) -> RawIndex:
        """Qdrant's client itself, on the same collection."""
        return self._stack.enter_context(RawIndex(self.store.settings.index))

    @cached_property
    def holding(self) -> HoldingStore:
        """A store on the same data whose tasks are kept, to be sent when the clock runs."""
        return self._stack.enter_context(HoldingStore(self.settings))

    def worker(self, number: int = 0, *, options: Sequence[str] = (), **environment: str) -> Child:
        """A worker with one process, which consumes both queues; it is killed in the end."""
        queues = f"{self.settings['celery__queue']},{self.settings['celery__maintenance_queue']}"
        arguments = ["-m", "celery", "-A", "tasks", "worker", "-Q", queues, "-c", "1", "--without-mingle"]
        arguments += ["--without-gossip", "-n", f"{self.settings['celery__queue']}_{number}@localhost", *options]
        name = f"worker_{self.settings['celery__queue']}_{number}"
        child = Child(name, arguments, {**as_environment(self.settings), **environment}, self.servers.folder)
        self._stack.callback(child.kill)
        child.start()
        return child

    def wait_for(self, worker: Child) -> None:
        """Until something that is put now is in the index."""
        try:
            self.store.put(("bench", "ready"), "ready", {"text": "Are you there?"}, wait=_PATIENCE)
        except Exception as error:
            raise RuntimeError(f"The worker does not index:\n{worker.tail()}") from error


class HoldingStore:
    """A store whose refs wait here instead of going to the broker."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._dispatcher = _Held()
        self.store = ScyllaStore(load(**settings), dispatcher=self._dispatcher)

    def __enter__(self) -> HoldingStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def write(self, namespace: tuple[str, ...], found: Sequence[Document]) -> list[tuple[list[Ref], str]]:
        """Puts the documents; returns their tasks: refs and task id."""
        assert self.store.flush(_PATIENCE)
        self._dispatcher.tasks.clear()
        self.store.put_many(Put(namespace, document.key, document.value) for document in found)
        assert self.store.flush(_PATIENCE)
        taken, self._dispatcher.tasks = self._dispatcher.tasks, []
        return taken


class _Held:
    """A dispatcher that keeps everything."""

    def __init__(self) -> None:
        self.tasks: list[tuple[list[Ref], str]] = []

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        self.tasks.append((list(refs), task_id))

    def backlog(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing to end."""


@contextmanager
def machine() -> Iterator[Servers]:
    """A folder and the servers; nothing is left of them."""
    logging.basicConfig(level=logging.ERROR)  # or the raw model's package sets up its own, at INFO
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Servers(Path(folder), stack)


@contextmanager
def site(servers: Servers, **options: Any) -> Iterator[Site]:
    """A site that is closed in the end."""
    with ExitStack() as stack:
        yield Site(servers, stack, **options)
