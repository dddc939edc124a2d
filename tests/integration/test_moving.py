"""Export and load between a cluster and an embedded store, both ways, killed once on each side: the same documents are found.

SCYLLA_STORE_TEST_DOCUMENTS says how many documents (3,000 unless it is set, 100,000 at most).
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Put, ScyllaStore
from tests.acceptance.cluster import as_environment
from tests.acceptance.processes import ROOT
from tests.acceptance.waiting import poll

pytestmark = pytest.mark.integration

COUNT = int(os.environ.get("SCYLLA_STORE_TEST_DOCUMENTS", "3000"))
SEARCHED = max(200, COUNT // 50)
"""Of them: the others are not indexed."""

INDEXED = SEARCHED - SEARCHED // 100
PATIENCE = 120.0

MOST_MEMORY = 200 * 1024
"""Of a command, in KiB; half of what an embedded one has are files that are mapped."""

_MEMORY = "memory.log"
_CLI = f"""
import atexit, re
def tell():  # the most that this program ever had; what getrusage says begins with what its parent had
    print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1], file=open("{_MEMORY}", "a"))
atexit.register(tell)
from scylla_store.cli import main
main()
"""
_KILLED = """
import os, signal
from scylla_store.moving import {owner}
done, calls = {owner}.{method}, []
def killed(self, what):
    result = done(self, what)
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
{owner}.{method} = killed
"""


def cluster(cassandra: str, qdrant: str) -> dict[str, Any]:
    """A keyspace and a collection of its own; the process that waits indexes."""
    host, port = cassandra.rsplit(":", 1)
    name = f"moving_{uuid.uuid4().hex[:8]}"
    return {
        "database__contact_points": [host],
        "database__port": int(port),
        "database__keyspace": name,
        "index__url": qdrant,
        "index__collection": name,
        "embedder__name": "hashing",
    }


def run(settings: dict[str, Any], *arguments: str, code: str = "", folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, after some code."""
    environment = {**os.environ, **as_environment(settings), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code + _CLI, *arguments, "--json"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False)


def answer(settings: dict[str, Any], *arguments: str, folder: Path) -> Any:
    done = run(settings, *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def killed(settings: dict[str, Any], *arguments: str, owner: str, method: str, call: int, folder: Path) -> None:
    """The command, killed after the call of that number."""
    code = _KILLED.format(owner=owner, method=method, call=call)
    assert run(settings, *arguments, code=code, folder=folder).returncode == -signal.SIGKILL


def fill(store: ScyllaStore) -> None:
    """Documents of all kinds, in namespaces that sort in hostile ways; some are deleted or expire."""
    namespaces = [("docs",), ("docs", "\U0001f600"), ("docs", "\uffff"), ("docs\0",), ("z/\\", '"')]
    store.put_many(
        Put(
            namespaces[number % 5],
            f"{number}\uffff",
            {"text": f"tea number {number}", "title": f"word{number}", "float": number / 7, "blob": "é" * 500},
            index=(None if number % 2 else ["title"]) if number < SEARCHED else False,
            ttl=3600.5 if number % 3 == 0 else None,
        )
        for number in range(COUNT)
    )
    store.delete_many((namespaces[number % 5], f"{number}\uffff") for number in range(0, COUNT, 100))


def lines(file: Path) -> list[bytes]:
    """But for the header."""
    return gzip.decompress(file.read_bytes()).splitlines()[1:]


def found(settings: dict[str, Any], queries: Sequence[str]) -> list[Any]:
    """What searches find."""
    with ScyllaStore.from_settings(**settings) as store:
        store.parts.open_index()
        assert poll(lambda: store.count(()) == INDEXED, PATIENCE)
        return [
            sorted((hit.item.namespace, hit.item.key, hit.path, hit.text, hit.fresh, round(hit.score, 4)) for hit in hits)
            for hits in (store.search((), query, limit=SEARCHED) for query in queries)
        ]


def test_there_and_back_killed_on_each_side_nothing_is_lost_and_the_same_is_found(
    cassandra: str, qdrant: str, tmp_path: Path
) -> None:
    # Given a cluster with documents
    source, target = cluster(cassandra, qdrant), cluster(cassandra, qdrant)
    embedded = {"path": str(tmp_path / "embedded"), "embedder__name": "hashing"}
    for settings in (source, target):
        with ScyllaStore.from_settings(**settings) as store:
            store.setup()
    with ScyllaStore.from_settings(**source) as store:
        fill(store)
    left = COUNT - COUNT // 100
    # When an export is killed, and given again
    killed(source, "export", "one.jsonl.gz", owner="ExportFile", method="add", call=2000, folder=tmp_path)
    exported = answer(source, "export", "one.jsonl.gz", folder=tmp_path)
    assert (exported["documents"], 0 < exported["resumed_at"] < 2000) == (left, True)
    # And loading it is killed after a batch was written, and given again
    killed(embedded, "load", "one.jsonl.gz", owner="Restorer", method="write", call=3, folder=tmp_path)
    loaded = answer(embedded, "load", "one.jsonl.gz", folder=tmp_path)
    assert (loaded["resumed_at"], loaded["kept"], loaded["stored"]) == (1001, 500, left - 1500)
    # And what the embedded store has goes back to another cluster
    answer(embedded, "export", "two.jsonl.gz", folder=tmp_path)
    killed(target, "load", "two.jsonl.gz", owner="Restorer", method="write", call=2, folder=tmp_path)
    answer(target, "load", "two.jsonl.gz", "--wait", folder=tmp_path)
    answer(target, "export", "three.jsonl.gz", folder=tmp_path)
    # Then no command took much memory, all exports are the same, and all three find the same
    memory = [int(line) for line in (tmp_path / _MEMORY).read_text().split()]
    print(f"{COUNT:,} documents; memory of the commands that were not killed, in KiB: {memory}")
    assert len(memory) == 5
    assert max(memory) < MOST_MEMORY
    assert len(lines(tmp_path / "one.jsonl.gz")) == left + 1
    assert lines(tmp_path / "two.jsonl.gz") == lines(tmp_path / "one.jsonl.gz")
    assert lines(tmp_path / "three.jsonl.gz") == lines(tmp_path / "one.jsonl.gz")
    queries = [f"word{number}" for number in (2, 8, 44)] + ["tea number 7", "tea number 99"]
    hits = found(source, queries)
    assert [len(some) for some in hits] == [INDEXED] * len(queries)
    assert found(embedded, queries) == hits
    assert found(target, queries) == hits


def test_a_namespace_of_a_cluster_is_deleted_from_where_a_killed_call_stopped(
    cassandra: str, qdrant: str, tmp_path: Path
) -> None:
    # Given a cluster with documents that are indexed
    settings = cluster(cassandra, qdrant)
    with ScyllaStore.from_settings(**settings) as store:
        store.setup()
        store.put_many([Put(("docs", str(n % 3)), str(n), {"text": f"tea {n}"}) for n in range(1500)], wait=120)
        store.put(("other",), "k", {"text": "tea"}, wait=60)
    # When deleting is killed after a page, and called again
    code = _KILLED.replace("scylla_store.moving", "scylla_store.writes")
    code = code.format(owner="Writer", method="write", call=1)
    done = run(settings, "delete-namespace", "docs", "--yes", code=code, folder=tmp_path)
    assert done.returncode == -signal.SIGKILL
    rest = answer(settings, "delete-namespace", "docs", "--yes", "--wait", folder=tmp_path)
    # Then all are gone, from the index too
    assert rest["deleted"] == 1000
    with ScyllaStore.from_settings(**settings) as store:
        assert [item.key for item in store.list(()).items] == ["k"]
        assert [hit.item.key for hit in store.search((), "tea")] == ["k"]
        assert poll(lambda: store.count(()) == 1, PATIENCE)
