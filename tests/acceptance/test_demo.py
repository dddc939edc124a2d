"""The demo does what it says, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.processes import ROOT

pytestmark = pytest.mark.acceptance


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the demo where everything that it might leave would be found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "HOME": str(folder)}
    command = [sys.executable, "-m", "scylla_store.cli", "demo", "--documents", "2000", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_demo_checks_what_it_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = demo(tmp_path, "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["documents"] == 2000
    assert figures["crash"]["missing"] == 0
    assert figures["crash"]["acknowledged"] > 0
    assert figures["crash"]["indexed"] == figures["crash"]["stored"]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_tells_people_where_to_go_next(tmp_path: Path) -> None:
    done = demo(tmp_path, "--keep")

    assert done.returncode == 0, done.stderr
    assert "0 missing" in done.stdout
    assert "docs/quickstart.md" in done.stdout
    assert [path.name.startswith("scylla-store-demo-") for path in tmp_path.iterdir()] == [True]
