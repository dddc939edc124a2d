"""The application of docs/howto/flask.md, made of the page's blocks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.acceptance.waiting import poll
from tests.integration.howto import PATIENCE, blocks, lay_out, run, running
from tests.integration.web import answers, call, keys
from tests.servers import free_port

pytest.importorskip("flask", reason='Flask is not installed; pip install "flask[async]"')
pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path) -> Path:
    lay_out(tmp_path, blocks("flask.md"))
    return tmp_path


def test_the_tests_of_the_page_pass(project: Path) -> None:
    printed = run(project, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *_plugin())

    assert "5 passed" in printed


def _plugin() -> list[str]:
    """What an installed package needs no option for."""
    from importlib.metadata import entry_points

    installed = any(entry.value == "scylla_store.testing.plugin" for entry in entry_points(group="pytest11"))
    return [] if installed else ["-p", "scylla_store.testing.plugin"]


def test_under_the_debug_reloader_the_serving_process_has_the_index_and_the_next_one_takes_it_over(
    project: Path,
) -> None:
    # Given the development server: one process that watches, one that serves
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    search = f"{site}/search?q=boiling+water"
    server = ["-m", "flask", "--app", "notes", "run", "--debug", "--port", str(port)]
    with running(project, *server) as printed:
        assert answers(f"{site}/notes/none", PATIENCE), printed()
        # When a note is put, Then it is found
        assert call(f"{site}/notes/tea", "PUT", {"text": "boiling water"})[0] == 201
        assert poll(lambda: keys(search) == ["tea"], PATIENCE), printed()
        # When another process searches, Then it is told who can
        refused = run(project, "-c", _SEARCH, fails=True)
        assert re.search(
            r"EmbeddedIndexBusy: Another process \(\d+\) owns the embedded index in .*/index: search there", refused
        )
        # When the code changes, Then the next process takes the index over
        _change(project / "notes" / "views.py")
        assert poll(lambda: "Detected change" in printed(), PATIENCE), printed()
        assert poll(lambda: keys(search) == ["tea"], PATIENCE), printed()
        assert call(f"{site}/notes/coffee", "PUT", {"text": "boiling water too"})[0] == 201
        assert poll(lambda: sorted(keys(f"{site}/search_async?q=water")) == ["coffee", "tea"], PATIENCE), printed()


_SEARCH = "from notes import create_app; create_app().extensions['documents'].search(('notes',), 'boiling water')"


def _change(file: Path) -> None:
    """Makes the reloader see a change, whatever the resolution of its clock."""
    file.write_text(file.read_text() + "\n# changed\n")
    os.utime(file, (file.stat().st_mtime + 2, file.stat().st_mtime + 2))
