"""The steps of the demo. Every claim goes through `_check`, so that nothing is printed that was not so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from scylla_store.cli.corpus import ROOT, corpus
from scylla_store.cli.invocation import LeftToOutbox, wait_for_index
from scylla_store.cli.output import Output, item_name, shorten
from scylla_store.cli.progress import Progress
from scylla_store.errors import PermanentError
from scylla_store.identity import Namespace
from scylla_store.items import Hit, Put
from scylla_store.settings.options import Settings
from scylla_store.spelling import format_namespace
from scylla_store.store import ScyllaStore

SINGLE_PUTS = 300
QUERIES = (
    "read a file line by line",
    "run a function later in another thread",
    "make a temporary folder that is removed afterwards",
    "what happens when nobody handles an exception",
)
_PATIENCE = 120.0
_HITS = 3
_PASSAGE = 150


class DemoFailed(PermanentError):
    """Something that the demo says is not so."""


class Tour:
    """The demo in one folder."""

    def __init__(self, folder: Path, output: Output, documents: int | None) -> None:
        self._folder = folder
        self._settings = Settings(path=str(folder / "store"))
        self._output = output
        self._limit = documents
        self._figures: dict[str, Any] = {}
        self._step = 0

    def run(self, keep: bool) -> dict[str, Any]:
        """All steps; returns their figures. Raises DemoFailed when a claim does not hold."""
        started = time.perf_counter()
        self._say(f"scylla_store on Python's own documentation: embedded, offline, in {self._folder}")
        puts = self._read()
        with ScyllaStore(self._settings) as store:
            self._write(store, puts)
            self._catch_up(store, len(puts))
            hits = self._search(store)
            self._delete(store, hits[0], len(puts))
        self._crash(puts, before=len(puts) - 1)
        self._figures["seconds"] = round(time.perf_counter() - started, 1)
        self._goodbye(keep)
        return self._figures

    def _read(self) -> list[Put]:
        self._head("Reading the corpus")
        started = time.perf_counter()
        puts = corpus()[: self._limit]
        _check(
            len(puts) >= SINGLE_PUTS // 2, "this Python has its documentation (its standard library has no sources?)"
        )
        self._note(documents=len(puts))
        self._say(f"{len(puts):,} documents: topics of the language reference and docstrings of the standard library")
        self._say(f"(read in {time.perf_counter() - started:.1f} s)")
        return puts

    def _write(self, store: ScyllaStore, puts: list[Put]) -> None:
        """Single puts with their latency, then the rest at once; at the end something must still wait for the index."""
        self._head("put returns before anything is indexed")
        latencies = []
        for put in puts[:SINGLE_PUTS]:
            before = time.perf_counter()
            receipt = store.put(put.namespace, put.key, put.value, index=put.index)
            latencies.append(1000 * (time.perf_counter() - before))
            _check(receipt.created, f"{item_name(receipt)} is new")
        latencies.sort()
        p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
        self._note(put_p50_ms=round(p50, 2), put_p99_ms=round(p99, 2))
        self._say(f"{len(latencies):,} documents by put: {p50:.2f} ms each (p99 {p99:.2f} ms)")
        started = time.perf_counter()
        store.put_many(puts[SINGLE_PUTS:])
        seconds = time.perf_counter() - started
        rest = len(puts) - len(latencies)
        self._note(put_many_per_second=round(rest / seconds))
        self._say(f"{rest:,} documents by put_many: {seconds:.1f} s ({rest / seconds:,.0f}/s)")
        waiting = store.status().pending
        _check(waiting > 0, "puts return before they are indexed")
        _check(store.count((ROOT,), exact=True) == len(puts), "every document is stored")
        self._say(f"All of them are stored and can be read; {waiting:,} still wait for the index.")

    def _catch_up(self, store: ScyllaStore, expected: int) -> None:
        self._head("The index catches up")
        seconds, caught_up = self._wait(store)
        _check(store.count((ROOT,)) == expected, f"the index knows all {expected:,} documents")
        self._note(indexed_per_second=round(caught_up / seconds))
        self._say(
            f"The other {caught_up:,} took {seconds:.1f} s ({caught_up / seconds:,.0f}/s); nothing is pending now."
        )

    def _wait(self, store: ScyllaStore) -> tuple[float, int]:
        started = time.perf_counter()
        waiting = store.status().pending
        with Progress(self._output, "   Indexing", waiting) as progress:
            left = wait_for_index(
                store, _PATIENCE, lambda pending: progress.update(waiting - pending, waiting - pending)
            )
        _check(left == 0, f"nothing is pending after {_PATIENCE:.0f} s")
        _check(store.status().dead == 0, "there are no dead letters")
        return max(1e-3, time.perf_counter() - started), waiting

    def _search(self, store: ScyllaStore) -> list[Hit]:
        self._head("Searching by meaning")
        best: list[Hit] = []
        for query in QUERIES:
            before = time.perf_counter()
            hits = store.search((ROOT,), query, limit=_HITS)
            milliseconds = 1000 * (time.perf_counter() - before)
            _check(len(hits) == _HITS, f"{query!r} finds {_HITS} documents")
            _check(all(hit.fresh and hit.text for hit in hits), "every hit shows a passage of the current document")
            self._say(f'"{query}" ({milliseconds:.1f} ms)')
            for hit in hits:
                self._say(f"  {hit.score:.2f}  {item_name(hit.item)}: {shorten(hit.text or '', _PASSAGE)}")
            best = best or hits
        return best

    def _delete(self, store: ScyllaStore, hit: Hit, before: int) -> None:
        self._head("A deleted document disappears")
        item = hit.item
        receipt = store.delete(item.namespace, item.key)
        found = store.search((ROOT,), QUERIES[0], limit=_HITS)
        _check(
            all((one.item.namespace, one.item.key) != (item.namespace, item.key) for one in found), "it is not found"
        )
        _check(store.get(item.namespace, item.key) is None, "it cannot be read")
        self._say(f"{item_name(item)} is deleted, and not found from then on;")
        receipt.wait(_PATIENCE)
        _check(store.count((ROOT,)) == before - 1, "the index has one document less")
        self._say("a moment later the index has forgotten it too.")

    def _crash(self, puts: list[Put], before: int) -> None:
        """A child writes and indexes, and is killed. What it was told to be stored must be there, and be found."""
        self._head("kill -9 in mid-indexing")
        acknowledged = self._killed_writer(puts)
        with ScyllaStore(self._settings, dispatcher=LeftToOutbox()) as store:
            waiting = store.status().pending
        _check(waiting > 0, "the child was killed while documents waited for the index")
        self._say(f"A child process was told that {acknowledged:,} documents are stored, and killed (SIGKILL)")
        self._say(f"while {waiting:,} of them waited for the index. Open it again:")
        with ScyllaStore(self._settings) as store:
            keys = [(_crashed(put.namespace), put.key) for put in puts[:acknowledged]]
            items = [item for start in range(0, len(keys), 1000) for item in store.get_many(keys[start : start + 1000])]
            missing = sum(item is None or item.value != put.value for item, put in zip(items, puts, strict=False))
            _check(missing == 0, f"no acknowledged document is missing ({missing} are)")
            seconds, _ = self._wait(store)
            stored, indexed = store.count((_CRASHED,), exact=True), store.count((_CRASHED,))
            _check(stored >= acknowledged, "all that was acknowledged is stored")
            _check(indexed == stored, f"the index equals the documents ({indexed} and {stored})")
            _check(store.count((ROOT,)) == before, "what was there before is still there")
        self._note(
            crash={"acknowledged": acknowledged, "pending": waiting, "stored": stored, "indexed": indexed, "missing": 0}
        )
        self._say(
            f"{acknowledged:,} acknowledged, {stored:,} stored, {indexed:,} searchable {seconds:.1f} s later; 0 missing."
        )

    def _killed_writer(self, puts: list[Put]) -> int:
        """Returns how many of the puts were acknowledged to a child that was killed while it indexed them."""
        work = self._folder / "corpus.jsonl"
        work.write_text("".join(_line(put) for put in puts), encoding="utf-8")
        command = [sys.executable, "-m", "scylla_store.cli.crashing", self._settings.path, str(work)]
        acknowledged = 0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    acknowledged, pending = (int(number) for number in line.split())
                    if acknowledged >= len(puts) // 4 and 0 < pending < acknowledged:
                        break
            finally:
                child.kill()
            for line in child.stdout:  # what it was told before the signal came
                acknowledged = int(line.split()[0]) if line.endswith("\n") else acknowledged
        _check(acknowledged > 0, "the child stored documents")
        return acknowledged

    def _goodbye(self, keep: bool) -> None:
        self._head(f"Done in {self._figures['seconds']} s, and all of it was checked")
        if keep:
            self._say(f"scylla-store --path {self._settings.path} search / 'sort a list'")
            self._say(f"scylla-store --path {self._settings.path} list {format_namespace((ROOT, 'json'))}")
        else:
            self._say("The folder is removed; with --keep it stays, to look around in it.")
        self._say('scylla-store put notes tea \'{"text": "Pour boiling water over the leaves."}\'')
        self._say("scylla-store search notes 'brewing tea'")
        self._say("README.md and docs/quickstart.md go on from here: Django, Flask, Celery, a cluster.")

    def _head(self, text: str) -> None:
        self._step += 1
        if not self._output.as_json:
            click.echo()
            click.secho(f"{self._step}. {text}", bold=True)

    def _say(self, text: str) -> None:
        if not self._output.as_json:
            click.echo(f"   {text}" if self._step else text)

    def _note(self, **figures: Any) -> None:
        self._figures.update(figures)


_CRASHED = "crash"


def _crashed(namespace: Namespace | Any) -> Namespace:
    return (_CRASHED, *namespace)


def _line(put: Put) -> str:
    return json.dumps({"namespace": list(_crashed(put.namespace)), "key": put.key, "value": put.value}) + "\n"


def _check(holds: bool, claim: str) -> None:
    if not holds:
        raise DemoFailed(f"The demo could not show that {claim}")
