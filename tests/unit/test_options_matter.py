"""Options that no other test sets: each changes what can be seen from outside."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ValidationError
from scylla_store.clock import SECOND, Clock
from scylla_store.contrib.celery import CeleryDispatcher, make_app
from scylla_store.contrib.celery.names import SYNC_ITEMS
from scylla_store.database.base import ClockReading
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import BrokerUnavailable, EmbedderUnavailable
from scylla_store.settings.options import (
    BreakerSettings,
    CelerySettings,
    ClockSettings,
    DatabaseSettings,
    EmbedderSettings,
    IndexSettings,
    LimitSettings,
    Settings,
    SyncSettings,
)
from scylla_store.skew import SkewGuard
from scylla_store.testing import FailingEmbedder, SettableClock, TestingStore
from scylla_store.worker import Worker
from tests.unit.core import SETTINGS, START, Core

NS = ("docs",)
PATIENCE = 20.0


def as_text(value: object) -> str:
    """An encoder."""
    return str(value)


def store(path: Path, **options: Any) -> TestingStore:
    """A store whose settings have these options."""
    return TestingStore(path, settings=Settings(embedder=EmbedderSettings(name="hashing"), **options))


@pytest.mark.parametrize("encoder", [as_text, f"{__name__}:as_text"])
def test_encoder(tmp_path: Path, encoder: Any) -> None:
    with store(tmp_path, encoder=encoder) as one:
        one.put(NS, "k", {"price": Decimal("1.50")})
        item = one.get(NS, "k")
    with TestingStore(tmp_path / "other") as other, pytest.raises(ValidationError, match="encoder"):
        other.put(NS, "k", {"price": Decimal("1.50")})

    assert item is not None
    assert item.value == {"price": "1.50"}


@pytest.mark.parametrize(("fields", "path"), [((), "$"), (("title",), "title")])
def test_index_fields(tmp_path: Path, fields: tuple[str, ...], path: str) -> None:
    with store(tmp_path, index=IndexSettings(fields=fields)) as one:
        one.put(NS, "k", {"title": "tea", "text": "leaves"}, wait=0)
        hits = one.search(NS, "tea")

    assert [hit.path for hit in hits] == [path]


def test_limits(tmp_path: Path) -> None:
    with store(tmp_path, limits=LimitSettings(max_depth=2, max_document_bytes=1024)) as one:
        one.put(NS, "k", {"a": {"b": 1}, "text": "x" * 900})
        with pytest.raises(ValidationError, match="2 levels"):
            one.put(NS, "k", {"a": {"b": {}}})
        with pytest.raises(ValidationError, match="1024"):
            one.put(NS, "k", {"text": "x" * 1024})


@pytest.mark.parametrize(("limit", "dispatched"), [(2, 2), (10, 5)])
def test_sync_drain_limit(limit: int, dispatched: int) -> None:
    core = Core(settings=replace(SETTINGS, sync=SyncSettings(drain_limit=limit)))
    for number in range(5):
        core.put(item=core.put().item._replace(key=str(number)))
    core.database.outbox.ack([ref.intent.key for ref in core.refs() if ref.intent.item.key == "k"])
    core.clock.advance(3600)

    summary = core.parts.drain.run()

    assert summary is not None
    assert summary.dispatched == dispatched


def _delay(core: Core, settings: SyncSettings, *, attempts: int) -> float:
    """How long a write waits after so many failures of a worker whose dice always show a half."""
    ref = core.ref(core.put())
    worker = Worker(core.parts.sync, core.database, core.parts.clock, settings, lambda: 0.5, lambda: None)
    for attempt in range(attempts):
        entry = core.database.outbox.get([ref.intent.key])[ref.intent.key]
        worker.work([replace(ref, attempts=entry.attempts, again=attempt > 0)])
    entry = core.database.outbox.get([ref.intent.key])[ref.intent.key]
    return (entry.next_attempt - core.clock()) / SECOND


@pytest.mark.parametrize(
    ("backoff", "most", "attempts", "delay"), [(8.0, 3600.0, 1, 4.0), (40.0, 3600.0, 1, 20.0), (40.0, 50.0, 2, 25.0)]
)
def test_sync_backoff_and_its_most(backoff: float, most: float, attempts: int, delay: float) -> None:
    core = Core(embedder=FailingEmbedder(inner=HashingEmbedder(8)))

    assert _delay(core, SyncSettings(backoff=backoff, backoff_most=most), attempts=attempts) == delay


@pytest.mark.parametrize(("failures", "asked"), [(2, 2), (4, 4)])
def test_breaker_failures(tmp_path: Path, failures: int, asked: int) -> None:
    embedder = FailingEmbedder(error=EmbedderUnavailable("away"))
    settings = Settings(breaker=BreakerSettings(failures=failures))
    with TestingStore(tmp_path, embedder=embedder, settings=settings) as one:
        for _ in range(6):
            with pytest.raises(EmbedderUnavailable, match="away"):
                one.search(NS, "tea")

    assert len(embedder.calls) == asked


@pytest.mark.parametrize(("reset", "asked"), [(5.0, 2), (60.0, 1)])
def test_breaker_reset(tmp_path: Path, reset: float, asked: int) -> None:
    embedder, clock = FailingEmbedder(error=EmbedderUnavailable("away")), SettableClock()
    settings = Settings(breaker=BreakerSettings(failures=1, reset=reset))
    with TestingStore(tmp_path, embedder=embedder, settings=settings, clock=clock) as one:
        for _ in range(2):
            with pytest.raises(EmbedderUnavailable, match="away"):
                one.search(NS, "tea")
            clock.advance(10)

    assert len(embedder.calls) == asked


@pytest.mark.parametrize("seconds", [15.0, 90.0])
def test_sync_outage_delay(seconds: float) -> None:
    core = Core(embedder=FailingEmbedder(error=EmbedderUnavailable("away"), inner=HashingEmbedder(8)))

    assert _delay(core, SyncSettings(outage_delay=seconds), attempts=1) == seconds


@pytest.mark.parametrize(("limit", "points"), [(60.0, 0), (300.0, 1)])
def test_sync_time_limit(limit: float, points: int) -> None:
    # Given an embedder that takes two minutes
    core = Core(settings=replace(SETTINGS, sync=SyncSettings(time_limit=limit)))
    ref = core.ref(core.put("text"))
    core.db.after["read"] = lambda: core.clock.advance(120)

    core.work(ref)

    assert len(core.points()) == points


@pytest.mark.parametrize(("limit", "named"), [(0.5, ["slow"]), (1.0, [])])
def test_clock_max_node_clock_difference(limit: float, named: list[str]) -> None:
    settings = ClockSettings(max_node_clock_difference=limit)
    guard = SkewGuard(_Cluster(lambda: START), settings, lambda: START)  # type: ignore[arg-type]

    guard.check()

    assert list(guard.slow_nodes) == named


def test_clock_check_interval() -> None:
    # Given two processes that compare their clocks
    often, seldom = _Cluster(_running), _Cluster(_running)
    first = SkewGuard(often, ClockSettings(check_interval=1.0), _running)  # type: ignore[arg-type]
    second = SkewGuard(seldom, ClockSettings(check_interval=3600.0), _running)  # type: ignore[arg-type]
    # When they are at it for a while
    deadline = time.monotonic() + PATIENCE
    while often.asked < 2 and time.monotonic() < deadline:
        first.check()
        second.check()
        threading.Event().wait(0.05)
    # Then one has done so again
    assert (often.asked, seldom.asked) == (2, 1)


def _running() -> int:
    """A clock that does not jump."""
    return START + int(time.monotonic() * SECOND)


class _Cluster:
    """A database whose clock is right, but for one node's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked = 0

    def clock(self) -> ClockReading:
        self.asked += 1
        return ClockReading(self._clock(), {"right": 0, "slow": -int(0.7 * SECOND)})


def test_celery_publish_timeout() -> None:
    # Given a broker that accepts and never answers
    with _silent_server() as port:
        url = f"redis://127.0.0.1:{port}/0"
        dispatcher = CeleryDispatcher(Settings(celery=CelerySettings(broker_url=url, publish_timeout=1.5)))
        ref = Core().repair()
        # When a task is sent
        with pytest.raises(BrokerUnavailable) as failure:
            dispatcher.send([ref], "task")
        dispatcher.close()
    # Then it is given up after that time
    took = re.search(r"\(([\d.]+) s\)", str(failure.value))
    assert took is not None
    assert float(took[1]) >= 1.5


@contextmanager
def _silent_server() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("retries", [0, 7])
def test_celery_retries(retries: int) -> None:
    app = make_app(Settings(celery=CelerySettings(broker_url="redis://localhost:1/0", retries=retries)))

    assert app.tasks[SYNC_ITEMS].max_retries == retries


@contextmanager
def _driver(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[Any]:
    """The driver's cluster as these settings configure it, not connected."""
    from cassandra.cluster import Cluster

    from scylla_store.database.cql.cluster import open_cluster

    monkeypatch.setattr(Cluster, "connect", lambda self: None)
    cluster, _ = open_cluster(DatabaseSettings(contact_points=("127.0.0.1", "127.0.0.2:9999"), **options))
    try:
        yield cluster
    finally:
        cluster.shutdown()


def test_options_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    from cassandra import ConsistencyLevel

    from scylla_store.database.cql.cluster import CONDITIONAL

    options = {
        "consistency": "QUORUM", "serial_consistency": "SERIAL", "timeout": 7.0, "connect_timeout": 8.0, "port": 9043,
        "username": "u", "password": "p", "local_datacenter": "dc2",
    }  # fmt: skip
    with _driver(monkeypatch, **options) as cluster:
        profiles = [cluster.profile_manager.default, cluster.profile_manager.profiles[CONDITIONAL]]
        assert {profile.consistency_level for profile in profiles} == {ConsistencyLevel.QUORUM}
        assert {profile.serial_consistency_level for profile in profiles} == {ConsistencyLevel.SERIAL}
        assert {profile.request_timeout for profile in profiles} == {7.0}
        assert (cluster.connect_timeout, cluster.port) == (4.0, 9043)
        assert [str(point) for point in cluster.contact_points] == ["('127.0.0.1', 9043)", "('127.0.0.2', 9999)"]
        assert (cluster.auth_provider.username, cluster.auth_provider.password) == ("u", "p")
        assert cluster.ssl_context is None


def test_options_of_the_driver_at_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    from cassandra import ConsistencyLevel

    with _driver(monkeypatch) as cluster:
        profile = cluster.profile_manager.default
        assert profile.consistency_level == ConsistencyLevel.LOCAL_QUORUM
        assert profile.serial_consistency_level == ConsistencyLevel.LOCAL_SERIAL
        assert cluster.auth_provider is None
