"""docs/howto/moving-data.md, on embedded stores."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scylla_store import ScyllaStore
from tests.integration.howto import ROOT, environment

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("zcat") is None, reason="there is no zcat on the PATH (apt-get install gzip)")
def test_the_commands_of_the_page_run_from_top_to_bottom(tmp_path: Path) -> None:
    # Given the program under its name
    program = tmp_path / "bin" / "scylla-store"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scylla_store.cli "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    page = (ROOT / "docs" / "howto" / "moving-data.md").read_text()
    # When its commands are given, then each of them works
    printed = []
    for block in _BLOCK.findall(page):
        settings = environment({"PATH": path, "SCYLLA_STORE_EMBEDDER__NAME": "hashing"})
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, (block, done.stderr)
        printed.append(done.stdout)
    # And they do what the page says
    assert "docs/alice tea" in printed[1]
    assert "1 were there already" not in printed[1]
    assert len(printed) == 6
    with ScyllaStore.from_settings(path=str(tmp_path / "laptop"), embedder__name="hashing") as store:
        assert [item.key for item in store.list(()).items] == ["note"]
