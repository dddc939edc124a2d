"""The project of docs/howto/django.md, made by Django's own command and the page's blocks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.acceptance.waiting import poll
from tests.integration.howto import PATIENCE, blocks, lay_out, run, running
from tests.integration.web import answers, call, keys
from tests.servers import free_port

pytest.importorskip("django", reason="Django is not installed; pip install django")
pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path) -> Path:
    run(tmp_path, "-m", "django", "startproject", "shop", ".")
    lay_out(tmp_path, blocks("django.md"))
    return tmp_path


def test_the_tests_of_the_page_pass(project: Path) -> None:
    printed = run(project, "-W", "error::RuntimeWarning", "manage.py", "test")

    assert "Ran 5 tests" in printed
    assert "OK" in printed


def test_with_the_test_settings_a_put_that_waits_is_indexed_by_the_real_thread(project: Path) -> None:
    (project / "shop" / "tests.py").write_text(
        "from django.test import SimpleTestCase\n"
        "from shop.documents import store\n"
        "class WaitingTest(SimpleTestCase):\n"
        "    def test_it(self):\n"
        "        store.put(('notes',), 'tea', {'text': 'boiling water'}, wait=10)\n"
        "        hits = self.client.get('/search', {'q': 'boiling water'}).json()['hits']\n"
        "        self.assertEqual(hits[0]['text'], 'boiling water')\n"
    )

    printed = run(project, "manage.py", "test", "--settings", "shop.settings_test")

    assert "OK" in printed
    assert not (project / "documents").exists()


def test_under_the_debug_reloader_the_serving_process_has_the_index_and_the_next_one_takes_it_over(
    project: Path,
) -> None:
    # Given the development server: one process that watches, one that serves
    site = f"http://127.0.0.1:{free_port()}"
    search = f"{site}/search?q=boiling+water"
    with running(project, "manage.py", "runserver", site.removeprefix("http://")) as printed:
        assert answers(f"{site}/notes/none", PATIENCE), printed()
        # When a note is put, Then it is found
        assert call(f"{site}/notes/tea", "PUT", {"text": "boiling water"})[0] == 201
        assert poll(lambda: keys(search) == ["tea"], PATIENCE), printed()
        # When a shell beside it puts another one, Then the server indexes that too, but the shell cannot search
        run(project, "manage.py", "shell", "-c", _PUT)
        assert poll(lambda: sorted(keys(search)) == ["coffee", "tea"], PATIENCE), printed()
        refused = run(project, "manage.py", "shell", "-c", _SEARCH, fails=True)
        assert re.search(
            r"EmbeddedIndexBusy: Another process \(\d+\) owns the embedded index in .*/index: search there", refused
        )
        # When the code changes, Then the next process takes the index over
        _change(project / "shop" / "views.py", after="Watching for file changes")
        assert poll(lambda: printed().count("Starting development server") == 2, PATIENCE), printed()
        assert poll(lambda: sorted(keys(search)) == ["coffee", "tea"], PATIENCE), printed()
        assert call(f"{site}/notes/tea", "PUT", [])[0] == 400


_IMPORT = "from shop.documents import store; "
_PUT = _IMPORT + "store.put(('notes',), 'coffee', {'text': 'boiling water too'}); store.close()"
_SEARCH = _IMPORT + "store.search(('notes',), 'boiling water')"


def test_a_store_that_is_used_while_the_project_is_loaded_makes_the_watching_process_keep_the_index(
    project: Path,
) -> None:
    # Given a project that does what the page warns of
    (project / "shop" / "apps.py").write_text(_EAGER_APP)
    with (project / "shop" / "settings.py").open("a") as stream:
        stream.write("INSTALLED_APPS = [*INSTALLED_APPS, 'shop.apps.Shop']\n")
    site = f"http://127.0.0.1:{free_port()}"
    with running(project, "manage.py", "runserver", site.removeprefix("http://")) as printed:
        assert answers(f"{site}/notes/tea", PATIENCE), printed()
        # When the serving process searches, Then the middleware of the page says: later
        assert call(f"{site}/search?q=boiling+water")[0] == 503
        # And reading by key is not touched
        assert call(f"{site}/notes/tea") == (200, {"text": "boiling water"})


_EAGER_APP = """
from django.apps import AppConfig


class Shop(AppConfig):
    name = "shop"

    def ready(self):
        from shop.documents import store

        store.put(("notes",), "tea", {"text": "boiling water"})
"""


def _change(file: Path, after: str) -> None:
    """Makes the reloader see a change, whatever the resolution of its clock."""
    file.write_text(file.read_text() + f"\n# {after}\n")
    os.utime(file, (file.stat().st_mtime + 2, file.stat().st_mtime + 2))
