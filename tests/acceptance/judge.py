"""The judge: says whether what the writers were promised is what database and index hold. Shares no code with the library.

It reads the writers' own records, all rows by plain CQL or sqlite3, and all points by a plain scroll; it exits with 1
when anything is wrong.

    python -m tests.acceptance.judge --records FOLDER --cql HOST:PORT --keyspace K --qdrant URL --collection C
    python -m tests.acceptance.judge --records FOLDER --folder EMBEDDED_STORE
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.cells import Document, Identity, StoredRow, Torn, decode
from tests.acceptance.points import examine
from tests.acceptance.processes import ROOT
from tests.acceptance.record import SECOND, Write, digest_of, errors, writes
from tests.acceptance.sources import State, read_cluster, read_embedded, under

CLEANING = 10 * SECOND
"""How long after its expiry an item may still be there: max_clock_skew and the time of one drain."""

KEPT = 3600 * SECOND - CLEANING
"""How long a deleted head stays at least: an hour, less what clocks may differ by."""

APART = 10 * SECOND
"""How far the clocks of two writers may be apart: twice max_clock_skew."""

LONGEST = 60 * SECOND
"""How long a write takes at most whose end nobody saw: all timeouts of an operation together."""

_SHOWN = 10


@dataclass
class Verdict:
    """What was counted, and every finding by its kind.

    lost: an acknowledged write is not there; wrong: its version is there with another value or expiry, or
    its points say what they should not (points.py); unexplained: nobody
    wrote this; torn: a row cannot be decoded; uncleaned: an expired row is still there; missing, stale, incomplete,
    unembedded, orphan: see points.py; outbox: an intent is still waiting; dead: a dead letter.
    """

    counts: dict[str, int] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, what: object, why: str) -> None:
        self.findings.setdefault(kind, []).append(f"{what}: {why}")

    @property
    def is_clean(self) -> bool:
        return not self.findings

    def report(self) -> dict[str, object]:
        """Counts, number of findings of each kind, and the first of them."""
        return {
            "counts": self.counts,
            "found": {kind: len(found) for kind, found in self.findings.items()},
            "first": {kind: found[:_SHOWN] for kind, found in self.findings.items()},
        }


def judge(record: Sequence[Write], state: State, *, now: int) -> Verdict:
    """Compares the writers' record with rows, points, outbox and dead letters.

    Args:
        record: all writes of all writers.
        state: what database and index hold.
        now: microseconds, not earlier than the reading of `state`.
    """
    verdict = Verdict()
    documents = _documents(state.rows, verdict)
    _judge_rows(record, documents, verdict, now)
    examine(documents, state.points, verdict, now, dimensions=state.dimensions)
    _judge_leftovers(state, verdict, now)
    verdict.counts.update(
        writes=len(record),
        acknowledged=sum(write.version is not None for write in record),
        rows=len(state.rows),
        live=sum(document.belongs_in_index(now) for document in documents.values()),
        points=len(state.points),
        expiries_ahead=sum(entry.kind == "expiry" and entry.due > now for entry in state.outbox),
    )
    return verdict


def _documents(rows: Iterable[StoredRow], verdict: Verdict) -> dict[Identity, Document]:
    found = {}
    for row in rows:
        try:
            found[row.namespace, row.key] = decode(row)
        except Torn as exc:
            verdict.add("torn", (row.namespace, row.key), str(exc))
    return found


def _judge_rows(record: Sequence[Write], documents: Mapping[Identity, Document], verdict: Verdict, now: int) -> None:
    history: dict[Identity, list[Write]] = {}
    for write in record:
        history.setdefault((write.namespace, write.key), []).append(write)
    for identity in history.keys() | documents.keys():
        document = documents.get(identity)
        fault = _fault_of(document, history.get(identity, []), now)
        if fault is not None:
            verdict.add(fault[0], identity, fault[1])
        if document is not None and not document.deleted and document.is_expired(now - CLEANING):
            verdict.add("uncleaned", identity, f"expired at {document.expires_at}")


def _fault_of(document: Document | None, history: Sequence[Write], now: int) -> tuple[str, str] | None:
    """Kind and reason of what is wrong with one item. The newest acknowledged write must be there, or an unknown one after it.

    A row is gone only when its deleted head is, so nothing but an end of some time ago explains that.
    """
    newest = max((write.version for write in history if write.version is not None), default=0)
    last = [write for write in history if newest and write.version == newest]
    unknown = [write for write in history if write.version is None and _may_follow(write, last)]
    if document is None:
        may_be_gone = not last or any(_has_gone(write, now) for write in last + unknown)
        return None if may_be_gone else ("lost", f"version {newest} was acknowledged and there is no row")
    if document.version < newest:
        return "lost", f"version {newest} was acknowledged and the row has {document.version}"
    if document.version == newest:
        return (
            None
            if any(_explains(write, document, now) for write in last)
            else ("wrong", f"version {newest} holds something else")
        )
    if any(_explains(write, document, now) for write in unknown):
        return None
    return "unexplained", f"no write explains version {document.version} (acknowledged last: {newest})"


def _may_follow(unknown: Write, last: Sequence[Write]) -> bool:
    """Whether an unknown write may have got a version above the acknowledged one: not when its writer had done with it before."""
    ended_at = unknown.started_at + LONGEST if unknown.ended_at is None else unknown.ended_at
    return not last or ended_at >= min(write.started_at for write in last) - APART


def _has_gone(write: Write, now: int) -> bool:
    """Whether the head that this write's end left behind may be gone."""
    if write.digest is not None and write.ttl is None:
        return False
    return write.started_at + int((write.ttl or 0.0) * SECOND) <= now - KEPT


def _explains(write: Write, document: Document, now: int) -> bool:
    """Whether this write left the row as it is; an expired item is cleaned up at its own version."""
    if document.deleted:
        return write.digest is None or _has_expired(write, now)
    if write.digest is None or document.value is None or digest_of(document.value) != write.digest:
        return False
    return document.indexed == write.indexed and _has_its_expiry(write, document.expires_at)


def _has_its_expiry(write: Write, expires_at: int | None) -> bool:
    """A TTL counts from the version that was acknowledged, which lies ahead of the writer's clock where it wrote over a
    document of a faster one."""
    if write.ttl is None or expires_at is None:
        return write.ttl is None and expires_at is None
    ttl = int(write.ttl * SECOND)
    if expires_at < write.started_at + ttl - SECOND:
        return False
    return write.finished_at is None or expires_at <= max(write.finished_at, write.version or 0) + ttl + SECOND


def _has_expired(write: Write, now: int) -> bool:
    return write.ttl is not None and write.started_at + int(write.ttl * SECOND) <= now


def _judge_leftovers(state: State, verdict: Verdict, now: int) -> None:
    """Nothing may wait but the expiries that lie ahead."""
    for entry in state.outbox:
        if entry.kind != "expiry" or entry.due <= now - CLEANING:
            verdict.add(
                "outbox",
                entry.item,
                f"a {entry.kind} intent due at {entry.due} waits, {entry.attempts} attempts, {entry.error}",
            )
    for letter in state.letters:
        verdict.add("dead", letter, "dead letter")


def judged(*arguments: object) -> dict[str, Any]:
    """What the judge prints for these arguments; it runs in a process of its own."""
    command = [sys.executable, "-m", "tests.acceptance.judge", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"The judge failed: {done.stderr}")
    return dict(json.loads(done.stdout))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, required=True, help="folder of the writers' files (*.log)")
    parser.add_argument("--folder", type=Path, help="folder of an embedded store that is closed")
    parser.add_argument("--cql", help="host:port")
    parser.add_argument("--keyspace", default="scylla_store")
    parser.add_argument("--qdrant", help="URL of the REST interface")
    parser.add_argument("--collection", default="scylla_store")
    parser.add_argument("--root", help="looks at namespaces that begin with this label only")
    parser.add_argument("--texts", type=Path, help="file for the hashes of all texts that the index holds, one a line")
    options = parser.parse_args(arguments)
    logs = sorted(options.records.glob("*.log"))
    if options.folder:
        state = read_embedded(options.folder)
    else:
        state = read_cluster(options.cql, options.keyspace, options.qdrant, options.collection)
    if options.texts:
        options.texts.write_text("\n".join({point.payload.get("text_hash", "") for point in state.points}))
    if options.root:
        state = under(options.root, state)
    verdict = judge(writes(logs), state, now=time.time_ns() // 1000)
    print(json.dumps({**verdict.report(), "errors": errors(logs)}, indent=2, ensure_ascii=False))
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
