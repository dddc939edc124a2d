"""What only the engine in process promises: one owner, nothing acknowledged is lost, forks do no harm."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scylla_store.errors import CollectionMismatch, EmbeddedIndexBusy, IndexRefused
from scylla_store.index.base import Question
from scylla_store.index.edge import QdrantEdge
from tests.contract.index.points import NOW, SPECIFICATION, count, keys, point

_WRITER = """
import sys
from pathlib import Path
from scylla_store.index.edge import QdrantEdge
from tests.contract.index.points import SPECIFICATION, point
index = QdrantEdge(Path(sys.argv[1]))
index.setup(SPECIFICATION)
for number in range(100_000):
    index.upsert([point(f"{number}-{part}") for part in range(10)], at_most=2**50)
    print(number, flush=True)
"""
_OWNER = """
import sys
from pathlib import Path
from scylla_store.index.edge import QdrantEdge
index = QdrantEdge(Path(sys.argv[1]))
index.connect()
print("owns", flush=True)
sys.stdin.read()
"""
_FORKER = """
import os, sys
from pathlib import Path
from scylla_store.index.edge import QdrantEdge
from tests.contract.index.points import NOW, SPECIFICATION, keys, point
index = QdrantEdge(Path(sys.argv[1]))
index.setup(SPECIFICATION)
index.upsert([point()], at_most=NOW)
keys(index)
if child := os.fork():
    os.waitpid(child, 0)
print("ended", flush=True)
"""


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    """A process that opens the folder and prints a line."""
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[QdrantEdge]:
    index = QdrantEdge(tmp_path)
    index.setup(SPECIFICATION)
    yield index
    index.close()


def test_a_second_process_is_refused_and_takes_over_when_the_first_one_dies(tmp_path: Path) -> None:
    # Given a process that owns the folder
    index = QdrantEdge(tmp_path)
    with start(_OWNER, tmp_path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owns\n"
        # When another one opens it, then it is told who owns it and what to configure
        with pytest.raises(EmbeddedIndexBusy, match=rf"\({owner.pid}\).*index\.url"):
            index.setup(SPECIFICATION)
        # When the owner is killed, then the other one gets it
        owner.kill()
        owner.wait()
        index.setup(SPECIFICATION)
    assert count(index) == 0
    index.close()


def test_a_second_store_of_this_process_is_refused_until_the_first_one_closes(
    index: QdrantEdge, tmp_path: Path
) -> None:
    second = QdrantEdge(tmp_path)
    with pytest.raises(EmbeddedIndexBusy, match="Another store of this process"):
        second.connect()

    index.close()

    second.connect()
    assert count(second) == 0
    second.close()


@pytest.mark.parametrize("batches", [1, 40, 600])
def test_a_process_killed_in_the_middle_of_writing_loses_nothing_acknowledged(tmp_path: Path, batches: int) -> None:
    # Given a process that writes and says what was acknowledged
    with start(_WRITER, tmp_path) as writer:
        assert writer.stdout is not None
        for _ in range(batches):
            writer.stdout.readline()
        # When it is killed
        writer.kill()
        acknowledged = batches + len(writer.stdout.read().splitlines())
    # Then everything that it acknowledged is there
    index = QdrantEdge(tmp_path)
    index.setup(SPECIFICATION)
    wanted = {point(f"{number}-{part}").payload["item"] for number in range(acknowledged) for part in range(10)}
    assert wanted - set(index.points_of(sorted(wanted))) == set()
    index.close()


def test_an_index_that_was_dropped_without_closing_gives_its_folder_back(tmp_path: Path) -> None:
    index = QdrantEdge(tmp_path)
    index.setup(SPECIFICATION)
    index.upsert([point()], at_most=NOW)
    del index
    gc.collect()

    again = QdrantEdge(tmp_path)

    assert keys(again) == ["k"]
    again.close()


def test_what_was_written_is_there_after_closing_and_opening(index: QdrantEdge, tmp_path: Path) -> None:
    index.upsert([point("a"), point("b", vector=None)], at_most=NOW)
    index.close()

    again = QdrantEdge(tmp_path)

    assert (keys(again), count(again)) == (["a"], 2)
    again.close()


def test_a_forked_child_is_refused_while_its_parent_lives_and_takes_over_afterwards(tmp_path: Path) -> None:
    # Given a process with an open index, and its child
    reports, report = os.pipe()
    gone, alive = os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            _fork_and_report(tmp_path, report, gone, alive)
        finally:
            os._exit(1)
    os.close(report)
    os.close(alive)
    # When the parent ends without closing it, then the child was refused before, and owns the index now
    os.waitpid(parent, 0)
    with os.fdopen(reports) as lines:
        assert lines.read().split() == ["EmbeddedIndexBusy", "['parent']", "['child']"]
    # And when the child is gone too, nobody does
    index = QdrantEdge(tmp_path)
    assert count(index) == 2
    index.close()


def _fork_and_report(folder: Path, report: int, gone: int, alive: int) -> None:
    """In the parent: writes, forks, waits for the child's first report and dies."""
    index = QdrantEdge(folder)
    index.setup(SPECIFICATION)
    index.upsert([point("parent")], at_most=NOW)
    first, done = os.pipe()
    if os.fork() != 0:
        os.read(first, 1)
        os.kill(os.getpid(), signal.SIGKILL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)  # an engine that hangs hears nothing else
    os.close(alive)
    try:
        keys(index)
    except EmbeddedIndexBusy as exc:
        os.write(report, f"{type(exc).__name__}\n".encode())
    os.write(done, b".")
    os.read(gone, 1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.write(report, f"{keys(index)}\n".encode())
            break
        except EmbeddedIndexBusy:
            continue
    index.upsert([point("child"), point("parent", vector=None)], at_most=NOW)
    os.write(report, f"{keys(index)}\n".encode())
    index.close()
    os._exit(0)


def test_a_process_that_ends_without_closing_ends(tmp_path: Path) -> None:
    # Given a process that forks after it opened the index, and leaves both halves to the interpreter
    process = start(_FORKER, tmp_path)
    # When both end
    out, _ = process.communicate("", timeout=60)
    # Then neither hangs in the engine
    assert (process.returncode, out) == (0, "ended\nended\n")


def test_what_a_setup_left_unfinished_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "index" / "unfinished" / "shard"
    unfinished.mkdir(parents=True)
    (unfinished / "edge_config.json").write_text("{")

    index = QdrantEdge(tmp_path)
    index.setup(SPECIFICATION)

    assert count(index) == 0
    index.close()


@pytest.mark.parametrize("record", ["", "{}", json.dumps({"format": 99, "distance": "Cosine"})])
def test_a_collection_of_another_version_is_refused(index: QdrantEdge, tmp_path: Path, record: str) -> None:
    index.close()
    (tmp_path / "index" / "collection" / "collection.json").write_text(record)

    again = QdrantEdge(tmp_path)

    with pytest.raises(CollectionMismatch, match=r"collection\.json"):
        again.setup(SPECIFICATION)
    again.close()


def test_what_the_engine_refuses_is_an_error_of_ours(index: QdrantEdge) -> None:
    with pytest.raises(IndexRefused, match="dimension"):
        index.query([Question([1.0], None, NOW, 1)])
