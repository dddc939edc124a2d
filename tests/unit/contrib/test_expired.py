"""A drain that expired before a worker got it is dropped by Celery; somebody has to say so."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest
from celery import Celery, signals
from celery.app.task import Context

from scylla_store.contrib.celery import install
from scylla_store.settings.options import CelerySettings, Settings


@pytest.fixture
def shop() -> Celery:
    made = Celery("shop", set_as_current=False, fixups=[])
    install(made, Settings(celery=CelerySettings(broker_url="redis://127.0.0.1:6399/0")))
    return made


def expire(app: Celery, name: str, seconds: float) -> None:
    """What a worker does with a task that expired so long ago."""
    expires = (datetime.now(timezone.utc) - timedelta(seconds=seconds)).isoformat()
    signals.task_revoked.send(
        sender=app.tasks[name], request=Context(expires=expires), terminated=False, signum=None, expired=True
    )


def test_a_drain_of_a_beat_whose_clock_is_an_hour_slow_is_named_once(
    shop: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        expire(shop, "scylla_store.drain_outbox", 3600)
        expire(shop, "scylla_store.drain_outbox", 3600)

    (record,) = caplog.records
    assert "A drain expired 3600 s before it came here" in record.getMessage()
    assert "scylla_store.maintenance" in record.getMessage()


@pytest.mark.parametrize(
    ("name", "seconds"), [("scylla_store.drain_outbox", 5), ("scylla_store.sync_items", 3600)]
)  # fmt: skip
def test_a_worker_that_was_busy_for_a_moment_and_other_tasks_are_no_news(
    shop: Celery, caplog: pytest.LogCaptureFixture, name: str, seconds: float
) -> None:
    with caplog.at_level(logging.WARNING):
        expire(shop, name, seconds)

    assert caplog.records == []
