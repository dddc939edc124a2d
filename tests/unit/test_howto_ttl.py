"""docs/howto/ttl.md, on an embedded store."""

from __future__ import annotations

from pathlib import Path

from tests.integration.howto import blocks, lay_out, run


def test_the_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    lay_out(tmp_path, blocks("ttl.md"))

    assert run(tmp_path, "-W", "error", "sessions.py") == ""
