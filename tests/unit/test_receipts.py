"""What a receipt says about its write, all of it read from the database."""

from __future__ import annotations

import threading

import pytest

from scylla_store.clock import SECOND
from scylla_store.errors import DeadLettered, SyncTimeout
from scylla_store.intents import Bookkeeping
from scylla_store.items import SyncStatus
from scylla_store.testing import FailingEmbedder
from tests.unit.core import Core


@pytest.fixture
def core() -> Core:
    return Core()


def test_a_write_is_pending_until_it_is_indexed(core: Core) -> None:
    receipt = core.put()
    assert receipt.status() is SyncStatus.PENDING
    with pytest.raises(SyncTimeout, match="stays in the outbox"):
        receipt.wait(0.0)

    core.work(core.ref(receipt))

    assert receipt.status() is SyncStatus.SYNCED
    assert receipt.wait(0.0) is receipt


def test_a_write_that_failed_or_waits_for_a_dependency_is_retrying(core: Core) -> None:
    failed, delayed = core.put(), core.put()
    core.database.outbox.update(
        [Bookkeeping(failed.intent, core.clock(), 1), Bookkeeping(delayed.intent, core.clock(), 0, "down")]
    )

    assert [failed.status(), delayed.status()] == [SyncStatus.RETRYING, SyncStatus.RETRYING]


def test_a_write_that_was_replaced_is_superseded_once_its_intent_is_done(core: Core) -> None:
    first = core.put("one")
    second = core.put("two")
    assert first.status() is SyncStatus.PENDING

    core.work(core.ref(first), core.ref(second))

    assert [first.status(), second.status()] == [SyncStatus.SUPERSEDED, SyncStatus.SYNCED]
    assert first.wait(0.0) is first


def test_a_delete_is_synced_when_its_points_are_gone(core: Core) -> None:
    core.work(core.ref(core.put()))
    receipt = core.delete()

    core.work(core.ref(receipt))

    assert (receipt.status(), core.points()) == (SyncStatus.SYNCED, [])
    core.clock.advance(7200)
    assert receipt.status() is SyncStatus.SYNCED


def test_a_document_that_is_not_searchable_is_not_indexed(core: Core) -> None:
    receipt = core.put(index=False)
    assert receipt.status() is SyncStatus.PENDING

    core.work(core.ref(receipt))

    assert receipt.status() is SyncStatus.NOT_INDEXED


def test_an_expired_write_was_synced(core: Core) -> None:
    receipt = core.put(ttl=1.0)
    core.clock.advance(60)

    core.work(*core.refs())

    assert core.row().head.deleted  # type: ignore[union-attr]
    assert receipt.status() is SyncStatus.SYNCED


def test_a_dead_letter_is_said_with_its_reason_until_a_newer_write_comes() -> None:
    # Given
    core = Core(embedder=FailingEmbedder(error=lambda: ValueError("no such words")))
    receipt = core.put()
    ref = core.ref(receipt)
    for _ in range(core.settings.sync.max_attempts):
        core.work(ref, redelivered=True)

    # Then
    assert receipt.status() is SyncStatus.DEAD
    with pytest.raises(DeadLettered, match="no such words"):
        receipt.wait(0.0)

    # When
    newer = core.put("other")
    core.embedder.times = 0
    core.work(core.ref(newer))

    # Then
    assert [receipt.status(), newer.status()] == [SyncStatus.SUPERSEDED, SyncStatus.SYNCED]


def test_waiting_ends_when_the_write_is_indexed_meanwhile(core: Core) -> None:
    receipt = core.put()
    ref = core.ref(receipt)
    worker = threading.Timer(0.01, lambda: core.work(ref))
    worker.start()

    assert receipt.wait(30.0).status() is SyncStatus.SYNCED
    worker.join()


def test_a_refreshed_item_lives_on_in_the_index(core: Core) -> None:
    # Given
    core.work(core.ref(core.put(ttl=60.0)))
    core.clock.advance(30)

    # When its TTL is granted again, and its first expiry comes
    item = core.elsewhere.reader.get(("docs",), "k", refresh_ttl=True)
    core.work(*core.refs())
    core.clock.advance(50)
    core.work(*core.refs())

    # Then it is there until the second
    assert item is not None
    granted = core.row().expires_at  # type: ignore[union-attr]
    assert [point.payload["expires_at"] for point in core.points()] == [granted]
    assert granted == core.row().version + 90 * SECOND  # type: ignore[union-attr]
    core.clock.advance(60)
    core.work(*core.refs())
    assert core.points() == []
    assert core.refs() == []
