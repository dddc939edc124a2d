"""The index is deleted under load, and rebuilt by the two commands: how long that takes, and what searches say meanwhile.

python -m tests.campaign.rebuild --documents 50000 --markdown docs/proof/rebuild.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from scylla_store import Put, ScyllaStore
from scylla_store.errors import StoreError
from tests.acceptance.cluster import Cluster
from tests.acceptance.judge import judged
from tests.acceptance.processes import Child
from tests.acceptance.test_cluster import reading
from tests.acceptance.waiting import poll
from tests.campaign.__main__ import commit
from tests.servers import Cassandra

_NAMESPACE = ("rebuild",)
_SETTINGS = {"embedder__name": "hashing", "sync__time_limit": 60.0, "celery__visibility_timeout": 120.0}
_PATIENCE = 3600.0
_BATCH = 500


@dataclass
class Searches:
    """What searches answered: how many of each kind, and how long they took at most."""

    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Searcher:
    """A thread that searches five times a second, as an application would."""

    def __init__(self, store: ScyllaStore) -> None:
        self._store = store
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.phase = "before"
        self.seen: dict[str, Searches] = {}

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            seen, began = self.seen.setdefault(self.phase, Searches()), time.monotonic()
            try:
                hits = self._store.search(_NAMESPACE, "document about number 7", limit=10)
                answer = f"{len(hits)} hits{', says that it is rebuilt' if hits.is_rebuilding else ''}"
            except StoreError as exc:
                answer = type(exc).__name__
            seen.answers[answer] += 1
            seen.seconds.append(time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument(
        "--rate", type=float, default=20.0, help="documents a second of the writer that goes on meanwhile"
    )
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cassandra() as node:
        cluster = Cluster(node.address, Path(folder), f"rebuild_{uuid.uuid4().hex[:8]}")
        cluster.settings.update(_SETTINGS)
        for child in (*cluster.workers, cluster.beat):
            child.change(cluster.environment)
        with cluster.running(), ScyllaStore.from_settings(**cluster.settings) as store:
            found = _measure(cluster, store, options.documents, options.rate)
    print(json.dumps(found, indent=2))
    if options.markdown:
        options.markdown.write_text("\n".join(_page(found)) + "\n")
    return 0 if not found["judge"]["found"] else 1


def _measure(cluster: Cluster, store: ScyllaStore, documents: int, rate: float) -> dict[str, object]:
    for start in range(0, documents, _BATCH):
        store.put_many([_document(number) for number in range(start, min(documents, start + _BATCH))])
    filled = _until_indexed(store, documents)
    cluster.add_writers(1, 10**9, rate)
    cluster.writers[0].start()
    searcher = Searcher(store)
    searcher.start()
    time.sleep(5.0)
    searcher.phase = "deleted"
    request = urllib.request.Request(f"{cluster.qdrant.url}/collections/{cluster.keyspace}", method="DELETE")
    urllib.request.urlopen(request, timeout=60).close()
    time.sleep(5.0)
    searcher.phase, began = "rebuilding", time.monotonic()
    _command(cluster, "setup")
    set_up = time.monotonic() - began
    output = _command(cluster, "reconcile", "--full")
    compared = time.monotonic() - began
    rebuilt = _until_indexed(store, documents)
    assert poll(lambda: not store.parts.rebuild.is_on(), 120.0, every=0.5)
    whole = time.monotonic() - began
    searcher.phase = "after"
    time.sleep(3.0)
    searcher.close()
    cluster.stop_file.touch()
    cluster.writers[0].kill()
    cluster.wait_until_calm(_PATIENCE)
    # The judge has no record of the documents that were put here: it is asked for the writer's only, and count for these.
    missing = documents - store.count(_NAMESPACE)
    verdict = judged(*reading(cluster), "--root", "acceptance")
    return {
        "commit": commit(), "documents": documents, "filled": round(filled), "setup": round(set_up, 1),
        "compared": round(compared, 1), "indexed": round(rebuilt, 1), "whole": round(whole, 1), "missing": missing,
        "output": output.strip().splitlines(), "judge": {"counts": verdict["counts"], "found": verdict["found"]},
        "searches": {
            phase: {
                "answers": dict(seen.answers),
                "p50_ms": round(1000 * statistics.median(seen.seconds), 1),
                "most_ms": round(1000 * max(seen.seconds), 1),
            }
            for phase, seen in searcher.seen.items()
        },
    }  # fmt: skip


def _document(number: int) -> Put:
    return Put(_NAMESPACE, f"k{number}", {"text": f"document about number {number} and its neighbour {number + 1}"})


def _until_indexed(store: ScyllaStore, documents: int) -> float:
    began = time.monotonic()

    def is_there() -> bool:
        try:
            return store.count(_NAMESPACE) == documents
        except StoreError:
            return False

    assert poll(is_there, _PATIENCE, every=0.5), store.count(_NAMESPACE)
    return time.monotonic() - began


def _command(cluster: Cluster, *arguments: str) -> str:
    child: Child = cluster.child(arguments[0], ["-m", "scylla_store.cli", *arguments])
    child.start()
    code = child.wait(_PATIENCE)
    assert code == 0, child.tail()
    return child.tail()


def _page(found: dict[str, object]) -> list[str]:
    searches = found["searches"]
    assert isinstance(searches, dict)
    output = found["output"]
    assert isinstance(output, list)
    return [
        "# The index deleted under load",
        "",
        f"`python -m tests.campaign.rebuild --documents {found['documents']} --markdown docs/proof/rebuild.md`, version {found['commit']}; one Cassandra node,",
        "Redis, Qdrant, two workers, beat, one writer that goes on all the time, one thread that searches five times a second, hashing",
        "embedder. The collection is deleted by plain REST; five seconds later `scylla-store setup && scylla-store reconcile --full`.",
        "",
        "| | seconds after the first command |",
        "| --- | --- |",
        f"| `setup` has ended | {found['setup']} |",
        f"| `reconcile --full` has compared everything and filed the repairs | {found['compared']} |",
        f"| all {found['documents']:,} documents are found again, and health and searches say so | {found['whole']} |",
        "",
        "```",
        *output,
        "```",
        f"Documents missing at the end: {found['missing']}; what the judge found about those written meanwhile: {json.dumps(found['judge'])}.",
        "",
        "| searches | answers | p50, ms | longest, ms |",
        "| --- | --- | --- | --- |",
        *[
            f"| {phase} | {', '.join(f'{count} x {answer}' for answer, count in seen['answers'].items())} | {seen['p50_ms']} | {seen['most_ms']} |"
            for phase, seen in searches.items()
        ],
    ]


if __name__ == "__main__":
    sys.exit(main())
