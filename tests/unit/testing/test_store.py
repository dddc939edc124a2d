"""The testing store and its fixtures: indexed when the test says so."""

import threading

import pytest

from scylla_store import DeadLettered, EmbedderUnavailable, Put, SyncStatus, SyncTimeout
from scylla_store.testing import FailingEmbedder, NonsenseEmbedder, TestingStore

DOCS = ("docs",)


def test_nothing_is_indexed_before_drain_and_everything_after_it(scylla_store):
    receipt = scylla_store.put(DOCS, "tea", {"text": "boiling water over leaves"})

    assert receipt.status() is SyncStatus.PENDING
    assert scylla_store.search(DOCS, "boiling water") == []
    assert scylla_store.drain() == 0
    assert receipt.status() is SyncStatus.SYNCED
    assert [hit.item.key for hit in scylla_store.search(DOCS, "boiling water")] == ["tea"]


def test_a_write_that_waits_drains_first(scylla_store):
    scylla_store.put(DOCS, "a", {"text": "one"}, wait=0)
    scylla_store.put_many([Put(DOCS, "b", {"text": "two"})], wait=0)

    assert scylla_store.count(DOCS) == 2

    scylla_store.delete(DOCS, "a", wait=0)
    scylla_store.delete_many([(DOCS, "b")], wait=0)

    assert scylla_store.count(DOCS) == 0


def test_no_thread_indexes_beside_the_test(scylla_store):
    scylla_store.put(DOCS, "tea", {"text": "leaves"})
    scylla_store.flush()

    assert not [thread for thread in threading.enumerate() if "executor" in thread.name]
    assert scylla_store.status().pending == 1


def test_an_expiry_is_carried_out_once_the_clock_has_passed_it(scylla_store, scylla_store_clock):
    scylla_store.put(DOCS, "tea", {"text": "leaves"}, ttl=60, wait=0)

    scylla_store_clock.advance(59)
    scylla_store.drain()
    assert scylla_store.get(DOCS, "tea") is not None

    scylla_store_clock.advance(2)
    assert scylla_store.get(DOCS, "tea") is None

    scylla_store_clock.advance(60)
    assert scylla_store.drain() == 0
    assert scylla_store.parts.index.count(prefix=None, now=0) == 0


def test_a_document_that_fails_some_times_is_indexed_in_the_end(tmp_path):
    with TestingStore(tmp_path, embedder=FailingEmbedder(times=3)) as store:
        receipt = store.put(DOCS, "tea", {"text": "leaves"})

        assert store.drain(attempts=1) == 1
        assert receipt.status() is SyncStatus.RETRYING
        assert store.drain() == 0
        assert receipt.status() is SyncStatus.SYNCED


def test_a_document_that_always_fails_is_a_dead_letter_and_blocks_no_other(tmp_path):
    with TestingStore(tmp_path, embedder=FailingEmbedder(lambda text: "poison" in text)) as store:
        bad = store.put(DOCS, "bad", {"text": "poison"})
        store.put(DOCS, "good", {"text": "leaves"})

        assert store.drain() == 0

        assert [letter.item.key for letter in store.dead_letters.list().items] == ["bad"]
        assert [hit.item.key for hit in store.search(DOCS, "leaves")] == ["good"]
        with pytest.raises(DeadLettered):
            bad.wait(0)


@pytest.mark.parametrize("kind", ["nan", "size", "count"])
def test_nonsense_of_the_embedder_never_reaches_the_index(tmp_path, kind):
    with TestingStore(tmp_path, embedder=NonsenseEmbedder(kind)) as store:
        store.put(DOCS, "tea", {"text": "leaves"})

        store.drain()

        assert [letter.reason for letter in store.dead_letters.list().items] == ["BadVector"]


def test_what_waits_for_a_dependency_that_is_out_stays_pending(tmp_path):
    embedder = FailingEmbedder(times=1, error=EmbedderUnavailable)
    with TestingStore(tmp_path, embedder=embedder) as store:
        receipt = store.put(DOCS, "tea", {"text": "leaves"})

        assert store.drain() == 1
        with pytest.raises(SyncTimeout):
            receipt.wait(0)
        assert store.drain() == 0


def test_it_opens_again_with_what_was_there(tmp_path):
    with TestingStore(tmp_path) as store:
        store.put(DOCS, "tea", {"text": "boiling water"})
    with TestingStore(tmp_path) as store:
        assert store.drain() == 0

        assert [hit.item.key for hit in store.search(DOCS, "boiling")] == ["tea"]


def test_settings_of_the_environment_are_not_read(monkeypatch, tmp_path):
    monkeypatch.setenv("SCYLLA_STORE_DATABASE__CONTACT_POINTS", "192.0.2.1")

    with TestingStore(tmp_path) as store:
        assert store.settings.database.contact_points == ()
