"""The pytest plugin in a project of somebody else."""

import os
import subprocess
import sys
import textwrap

PROJECT = """
import pytest

from scylla_store.settings.options import EmbedderSettings, LimitSettings, Settings
from scylla_store.testing import FailingEmbedder


def test_the_store_starts_empty(scylla_store):
    assert scylla_store.list(()).items == []
    scylla_store.put(("docs",), "k", {"text": "something"}, wait=0)


def test_the_store_of_the_next_test_is_empty_too(scylla_store, scylla_store_clock):
    assert scylla_store.count(()) == 0
    assert scylla_store.put(("docs",), "k", {"text": "x"}).version == scylla_store_clock()


class TestOverrides:
    @pytest.fixture
    def scylla_store_embedder(self):
        return FailingEmbedder()

    @pytest.fixture
    def scylla_store_settings(self):
        return Settings(embedder=EmbedderSettings(name="hashing"), limits=LimitSettings(max_document_bytes=1024))

    def test_embedder_and_settings_can_be_others(self, scylla_store):
        scylla_store.put(("docs",), "k", {"text": "x"})
        scylla_store.drain()
        assert scylla_store.status().dead == 1
        with pytest.raises(ValueError, match="1024"):
            scylla_store.put(("docs",), "k", {"text": "x" * 2000})
"""


def run(tmp_path, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    # Coverage would import modules of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_fixtures_work_and_can_be_overridden(tmp_path):
    (tmp_path / "test_project.py").write_text(textwrap.dedent(PROJECT))

    result = run(tmp_path, "-p", "scylla_store.testing.plugin")

    assert "3 passed" in result.stdout, result.stdout + result.stderr


def test_a_run_that_does_not_use_them_imports_no_database_and_no_model(tmp_path):
    modules = ("sqlite3", "cassandra", "qdrant_client", "qdrant_edge", "celery", "wordllama", "numpy", "dynaconf")
    (tmp_path / "test_project.py").write_text(
        f"import sys\n\ndef test_imports():\n    assert [name for name in {modules!r} if name in sys.modules] == []\n"
    )

    result = run(
        tmp_path, "-p", "scylla_store.testing.plugin", "-p", "no:celery", "-p", "no:cov", "-p", "no:hypothesispytest"
    )

    assert "1 passed" in result.stdout, result.stdout + result.stderr
