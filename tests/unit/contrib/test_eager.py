"""`task_always_eager`: the tasks run in the process that puts, in the thread that would have sent them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from scylla_store import DeadLettered, ScyllaStore, SyncStatus
from scylla_store.contrib.celery import install
from scylla_store.settings.options import CelerySettings, EmbedderSettings, Settings, SyncSettings
from scylla_store.testing import FailingEmbedder

NAMESPACE = ("eager",)
PATIENCE = 20.0


def settings(path: Path, **sync: Any) -> Settings:
    return Settings(
        path=str(path),
        embedder=EmbedderSettings(name="hashing"),
        celery=CelerySettings(broker_url="redis://127.0.0.1:1/0"),  # nobody is there
        sync=SyncSettings(**sync),
    )


def app_for(store: ScyllaStore, **configuration: Any) -> Celery:
    """An app with the store's tasks. The caller keeps it: the store knows its apps only as long as they live."""
    app = Celery("shop", set_as_current=False, fixups=[])
    app.conf.update(task_always_eager=True, **configuration)
    install(app, store=store)
    return app


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ScyllaStore]:
    with ScyllaStore(settings(tmp_path)) as store:
        yield store


def test_a_put_is_indexed_without_broker_and_worker(store: ScyllaStore) -> None:
    app = app_for(store)

    receipt = store.put(NAMESPACE, "tea", {"text": "boiling water"}, wait=PATIENCE)

    assert receipt.status() is SyncStatus.SYNCED
    assert [hit.item.key for hit in store.search(NAMESPACE, "boiling water")] == ["tea"]
    assert store.health()["broker"].state == "ok"
    assert app.conf.task_always_eager


@pytest.mark.parametrize("propagates", [False, True])
def test_a_document_that_fails_is_left_to_the_outbox_and_blocks_no_other(
    tmp_path: Path, propagates: bool, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = FailingEmbedder(lambda text: text == "bad")
    with ScyllaStore(settings(tmp_path), embedder=embedder) as store:
        app = app_for(store, task_eager_propagates=propagates)

        bad = store.put(NAMESPACE, "bad", {"text": "bad"})
        store.put(NAMESPACE, "good", {"text": "good"}, wait=PATIENCE)

        assert store.flush()
        assert bad.status() is SyncStatus.RETRYING
        assert "could not be published" not in caplog.text
        assert app.conf.task_eager_propagates is propagates


def test_with_one_attempt_it_is_a_dead_letter_at_once(tmp_path: Path) -> None:
    with ScyllaStore(settings(tmp_path, max_attempts=1), embedder=FailingEmbedder()) as store:
        app = app_for(store)

        with pytest.raises(DeadLettered):
            store.put(NAMESPACE, "bad", {"text": "bad"}, wait=PATIENCE)

        assert app.tasks["scylla_store.drain_outbox"].apply().get() is not None


def test_an_app_of_other_settings_does_not_run_the_tasks_of_this_store(tmp_path: Path) -> None:
    with ScyllaStore(settings(tmp_path / "one")) as one, ScyllaStore(settings(tmp_path / "other")) as other:
        app = app_for(other)

        receipt = one.put(NAMESPACE, "tea", {"text": "boiling water"})

        assert one.flush()
        assert receipt.status() is SyncStatus.PENDING
        assert app.conf.task_always_eager
