"""README and quickstart do what they say: their code runs, their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#\s]+)")


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return _BLOCK.findall((ROOT / page).read_text())


def run(code: str, folder: Path) -> str:
    """What a program prints that stands in `folder`."""
    (folder / "program.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCYLLA_STORE")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_twelve_lines_of_the_readme_find_the_tea(tmp_path: Path) -> None:
    (code,) = blocks("README.md")

    printed = run(code, tmp_path).splitlines()

    assert re.match(r"0\.\d\d \('docs', 'alice'\) tea: ", printed[0])
    assert "Status(" in printed[-1]


def test_the_quickstart_runs_from_top_to_bottom(tmp_path: Path) -> None:
    outputs = [run(code, tmp_path) for code in blocks("docs/quickstart.md")]

    first = outputs[0].splitlines()
    assert re.fullmatch(r"\d{16} True", first[0])
    assert any(" k1 " in line for line in first)
    assert first[-1] == "None"
    assert outputs[2].strip() == "['0', '1', '2']"
    assert len(outputs) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    lost = [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert lost == []
