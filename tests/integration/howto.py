"""The projects that the howtos describe, laid out from their own code blocks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
_BLOCK = re.compile(r"^```python\n# (?P<path>\S+\.py)(?P<note>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_ANY_BLOCK = re.compile(r"^```python$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One code block. Its first line names its file, and says when it stands at the end of one that is there."""

    path: str
    note: str
    code: str


def blocks(page: str) -> list[Block]:
    """All Python blocks of a page of docs/howto; each has to name its file."""
    text = (ROOT / "docs" / "howto" / page).read_text()
    found = [Block(match["path"], match["note"].strip(" ,()"), match["code"]) for match in _BLOCK.finditer(text)]
    assert len(found) == len(_ANY_BLOCK.findall(text)), f"a block of {page} does not name its file"
    return found


def lay_out(folder: Path, chosen: Sequence[Block]) -> None:
    """Writes the files of a project."""
    for block in chosen:
        file = folder / block.path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if block.note == "at the end" else "w") as stream:
            stream.write(block.code)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of a user: no settings of ours but `more`."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCYLLA_STORE", "DJANGO", "CELERY"))
    }
    return {**ours, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(more or {})}


def run(folder: Path, *arguments: str, settings: Mapping[str, str] | None = None, fails: bool = False) -> str:
    """What `python ARGUMENTS` prints in the project, on both streams."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


@contextmanager
def running(folder: Path, *arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Callable[[], str]]:
    """`python ARGUMENTS` in the project while the block runs, its children too; gives what it has printed."""
    log = folder / f"{len(list(folder.glob('*.out')))}.out"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield log.read_text
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
