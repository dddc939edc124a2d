"""The projects of docs/howto/celery.md: an app of one's own, with real servers, and without any (task_always_eager)."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from scylla_store import ScyllaStore
from tests.acceptance.cluster import as_environment
from tests.acceptance.waiting import poll
from tests.integration.howto import PATIENCE, Block, blocks, lay_out, run, running

pytestmark = pytest.mark.integration


def _is_django(block: Block) -> bool:
    return block.note == "Django" or block.path in {
        "shop/settings.py",
        "shop/__init__.py",
        "shop/settings_eager.py",
        "shop/tests_eager.py",
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project without Django."""
    lay_out(tmp_path, [block for block in blocks("celery.md") if not _is_django(block)])
    (tmp_path / "shop" / "__init__.py").touch()
    return tmp_path


@pytest.fixture
def django_project(tmp_path: Path) -> Path:
    """The project of the page on Django, and what this page adds."""
    pytest.importorskip("django", reason="Django is not installed; pip install django")
    run(tmp_path, "-m", "django", "startproject", "shop", ".")
    lay_out(tmp_path, blocks("django.md"))
    lay_out(tmp_path, [block for block in blocks("celery.md") if _is_django(block)])
    return tmp_path


def test_the_eager_test_of_the_page_passes(project: Path) -> None:
    assert "1 passed" in run(project, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests")


def test_the_eager_test_of_the_page_passes_with_django(django_project: Path) -> None:
    printed = run(django_project, "manage.py", "test", "--settings", "shop.settings_eager", "shop.tests_eager")

    assert "Ran 1 test" in printed
    assert "OK" in printed


@pytest.fixture
def settings(redis_server: str, qdrant: str, tmp_path: Path) -> dict[str, str]:
    """A real broker and a real index, empty; the database is SQLite, which several processes of a machine can share."""
    name = f"howto_{uuid.uuid4().hex[:8]}"
    options = {
        "path": str(tmp_path / "data"),
        "embedder__name": "hashing",
        "index__url": qdrant,
        "index__collection": name,
        "celery__broker_url": redis_server,
        "celery__queue": name,
        "celery__maintenance_queue": f"{name}.maintenance",
        "celery__drain_interval": 1.0,
    }
    with ScyllaStore.from_settings(**options) as store:
        store.setup()
    return as_environment(options)


def test_workers_and_beat_of_an_app_of_ones_own_index_what_is_put(project: Path, settings: dict[str, str]) -> None:
    queue = settings["SCYLLA_STORE_CELERY__QUEUE"]
    # Given a worker that is not told the queues
    with running(project, *_WORKER, settings=settings) as printed:
        assert poll(lambda: "ready." in printed(), PATIENCE), printed()
        # Then health says what is wrong, and what helps
        health = run(project, "-m", "scylla_store.cli", "health", settings=settings)
        assert f"no worker answered within 1 s that consumes {queue} or {queue}.maintenance" in health
    # When it is told, and beat runs
    with (
        running(project, *_WORKER, "-Q", f"celery,{queue},{queue}.maintenance", settings=settings) as printed,
        running(project, "-m", "celery", "-A", "shop", "beat", "--schedule", "beat", settings=settings),
    ):
        # Then what is put is indexed, what a task puts too, and nothing is wrong any more
        run(project, "-c", _USE, settings=settings)
        assert poll(lambda: "shouted" in run(project, "-c", _LOOK, settings=settings), PATIENCE), printed()
        health = run(project, "-m", "scylla_store.cli", "health", settings=settings)
        assert "no worker answered" not in health
        assert poll(
            lambda: "never" not in run(project, "-m", "scylla_store.cli", "status", settings=settings), PATIENCE
        )


_WORKER = ("-m", "celery", "-A", "shop", "worker", "--concurrency", "1", "--without-gossip", "--loglevel", "info")
_USE = """
from shop.celery import shout
from shop.documents import store

store.put(("notes",), "tea", {"text": "boiling water"}, wait=30)
shout.delay("tea")
store.close()
"""
_LOOK = "from shop.documents import store; print([hit.item.namespace for hit in store.search((), 'water')])"


def test_an_app_with_another_broker_is_refused_and_both_are_named(project: Path) -> None:
    refused = run(
        project,
        "-c",
        "import shop.celery",
        settings={"SCYLLA_STORE_CELERY__BROKER_URL": "redis://:geheim@one/0", "CELERY_BROKER_URL": "redis://two/0"},
        fails=True,
    )

    assert "redis://:**@one/0" in refused
    assert "redis://two/0" in refused
    assert "geheim" not in refused
