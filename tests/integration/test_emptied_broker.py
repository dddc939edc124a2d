"""A Redis that loses its data is seen by the next drain, once, and nothing else is taken for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis

from scylla_store.broker_data import load_broker
from scylla_store.contrib.celery import CeleryDispatcher
from scylla_store.drain import Drain, dispatch_lifetime
from scylla_store.settings.options import CelerySettings, Settings
from scylla_store.summary import DrainSummary
from tests.servers import Redis, started
from tests.unit.core import Core

pytestmark = pytest.mark.integration

WARNING = "The broker has lost its data: tasks in flight were lost; the outbox sends them again within"


@pytest.fixture(scope="module")
def broker() -> Iterator[Redis]:
    """One of its own: it is emptied."""
    with ExitStack() as stack:
        server = Redis()
        started(server, "SCYLLA_STORE_TEST_REDIS", stack)
        yield server


@pytest.fixture
def client(broker: Redis) -> Iterator[redis.Redis]:
    client = redis.Redis(port=broker.port)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def core() -> Core:
    return Core()


@contextmanager
def machine(core: Core, broker: Redis) -> Iterator[Drain]:
    """The drain of one machine over the database that all share."""
    settings = Settings(celery=CelerySettings(broker_url=broker.url))
    dispatcher = CeleryDispatcher(settings)
    try:
        yield Drain(core.database, dispatcher, settings, core.clock, lambda: None)
    finally:
        dispatcher.close()


def run(drain: Drain) -> DrainSummary:
    summary = drain.run()
    assert summary is not None
    return summary


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelno >= logging.WARNING]


def test_a_flush_is_told_by_the_next_drain_once_whichever_machine_drains(
    core: Core, broker: Redis, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with machine(core, broker) as one, machine(core, broker) as other:
        # Given drains, the first of all and those of another machine: they say nothing
        assert not any(run(drain).broker_emptied for drain in (one, other, one))
        assert warnings(caplog) == []
        assert load_broker(core.database).emptied_at is None
        # When Redis is emptied
        client.flushall()
        core.clock.advance(3)
        # Then the next drain says so, and no other does
        assert [run(drain).broker_emptied for drain in (other, one, other)] == [True, False, False]
    assert warnings(caplog) == [f"{WARNING} {dispatch_lifetime(Settings()):g} s"]
    assert load_broker(core.database).emptied_at == core.clock()


def test_a_broker_that_comes_back_without_its_data_is_told_and_one_that_kept_them_is_not(
    core: Core, broker: Redis, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with machine(core, broker) as drain:
        run(drain)
        # When it is down, and comes back with its data
        broker.kill()
        assert run(drain).backlog is None
        broker.start()
        assert run(drain).backlog == 0
        # Then nothing was lost
        assert not [line for line in warnings(caplog) if "lost" in line]
        # And when it comes back without them
        broker.kill()
        broker.start(empty=True)
        assert run(drain).broker_emptied
    assert [line for line in warnings(caplog) if WARNING in line]


def test_a_mark_that_redis_dropped_to_make_room_is_a_loss_and_a_full_redis_is_none(
    core: Core, broker: Redis, client: redis.Redis
) -> None:
    with machine(core, broker) as drain:
        run(drain)
        client.config_set("maxmemory", "1")
        try:
            # When a full Redis refuses every write, nothing can be said of it
            assert not run(drain).broker_emptied
            client.delete("scylla_store.mark")
            assert not run(drain).broker_emptied
        finally:
            client.config_set("maxmemory", "0")
        # Then it is told when there is room again
        assert run(drain).broker_emptied


def test_what_cannot_be_asked_stops_no_drain(core: Core, broker: Redis, client: redis.Redis) -> None:
    # Given a user of Redis that may not read the mark
    client.acl_setuser(
        "limited", enabled=True, passwords=["+secret"], keys=["scylla_store", "scylla_store\x06*"], commands=["+@all"]
    )
    limited = Settings(celery=CelerySettings(broker_url=f"redis://limited:secret@{broker.address}/0"))
    dispatcher = CeleryDispatcher(limited)
    try:
        summary = run(Drain(core.database, dispatcher, limited, core.clock, lambda: None))
    finally:
        dispatcher.close()
    assert (summary.backlog, summary.broker_emptied) == (0, False)
