"""Tasks on their way through a real broker: which one a worker gets first, and how long each is good for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from kombu import Connection

from scylla_store.contrib.celery import CeleryDispatcher
from scylla_store.drain import dispatch_lifetime
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.settings.options import CelerySettings, Settings

pytestmark = pytest.mark.integration

REF = Ref(new_intent(ItemId(("docs",), "k"), bytes(16), 1, Kind.WRITE, now=1, due=1))
AGAIN = Ref(REF.intent, again=True)


@pytest.fixture
def settings(redis_server: str) -> Settings:
    return Settings(celery=CelerySettings(broker_url=redis_server, queue=f"dispatcher_{uuid.uuid4().hex[:8]}"))


@pytest.fixture
def dispatcher(settings: Settings) -> Iterator[CeleryDispatcher]:
    dispatcher = CeleryDispatcher(settings)
    yield dispatcher
    dispatcher.close()


def taken(settings: Settings, count: int) -> list[Any]:
    """Messages in the order in which a consumer gets them."""
    with Connection(settings.celery.broker_url) as connection, connection.SimpleQueue(settings.celery.queue) as queue:
        messages = [queue.get(timeout=10) for _ in range(count)]
        for message in messages:
            message.ack()
        return messages


def test_a_new_writes_task_overtakes_those_of_a_drain(settings: Settings, dispatcher: CeleryDispatcher) -> None:
    # Given two tasks of a drain that wait, and then one of a new write
    for ref, name in ((AGAIN, "first"), (AGAIN, "second"), (REF, "new")):
        dispatcher.send([ref], name)
    assert dispatcher.backlog() == 3

    # When a worker takes them
    messages = taken(settings, 3)

    # Then
    assert [message.headers["id"] for message in messages] == ["new", "first", "second"]


def test_a_task_is_void_before_the_drain_sends_its_documents_again(
    settings: Settings, dispatcher: CeleryDispatcher
) -> None:
    before = datetime.now(timezone.utc)
    dispatcher.send([REF], "new")
    dispatcher.send([AGAIN], "again")

    new, again = (datetime.fromisoformat(message.headers["expires"]) for message in taken(settings, 2))

    # A row is due when its write's task is void, and again after the longest run of the drain's task
    second = timedelta(seconds=1)
    assert abs(new - before - timedelta(seconds=settings.sync.margin)) < 10 * second
    longest = timedelta(seconds=dispatch_lifetime(settings) - settings.sync.time_limit)
    assert abs(again - before - longest) < 10 * second
