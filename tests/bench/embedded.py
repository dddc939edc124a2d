"""Embedded mode: put, get, sync and search, beside sqlite3, the engine and the model alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scylla_store.database.sqlite.database import FILE
from scylla_store.identity import namespace_digest
from tests.bench.documents import QUERIES, documents
from tests.bench.installation import HoldingStore, Servers
from tests.bench.measure import Row, compared, median_time, rate, times
from tests.bench.model import word_llama
from tests.bench.raw import item_row
from tests.bench.raw_embedded import RawEdge, RawSqlite
from tests.bench.serial import SerialParts

_KEYS = 300
_FETCHED = 20


@dataclass(frozen=True)
class Place:
    """A store that indexes when the row says so, and the same work without it."""

    holding: HoldingStore
    sqlite: RawSqlite
    edge: RawEdge


def embedded(servers: Servers, quick: bool) -> list[Row]:
    """All rows of one process without servers."""
    with _place(servers.folder) as place:
        return [_put(place, quick), _get(place, quick), _sync(place, quick), _search(place, quick)]


@contextmanager
def _place(folder: Path) -> Iterator[Place]:
    home = folder / "embedded"
    with HoldingStore({"path": str(home)}) as holding:
        parts = holding.store.parts
        parts.open_index()
        with RawSqlite(home / FILE) as sqlite, RawEdge(folder / "edge", parts.embedder.dimensions) as edge:
            yield Place(holding, sqlite, edge)


def _put(place: Place, quick: bool) -> Row:
    rounds, calls = (60, 10) if quick else (400, 10)
    found = documents(_KEYS)
    rows = [item_row(("raw", "put"), document, 0) for document in found]

    def ours(number: int) -> None:
        document = found[number % _KEYS]
        place.holding.store.put(("bench", "put"), document.key, document.value)

    def raw(number: int) -> None:
        _, head, body, _, key = rows[number % _KEYS]
        place.sqlite.put(("raw", "put"), key, head, body)

    times(ours, range(_KEYS)), times(raw, range(_KEYS))
    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "sqlite3: head, item and intent in one transaction"
    return compared("embedded put, p50", "ms", *measures, rounds, raw_is=raw_is, scale=1000)


def _get(place: Place, quick: bool) -> Row:
    rounds, calls = (60, 50) if quick else (300, 50)
    keys = [document.key for document in documents(_KEYS)]

    def ours(number: int) -> None:
        place.holding.store.get(("bench", "put"), keys[number % _KEYS])

    def raw(number: int) -> None:
        place.sqlite.get(("bench", "put"), keys[number % _KEYS])

    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "sqlite3: one select, not decoded"
    return compared("embedded get, p50", "ms", *measures, rounds, raw_is=raw_is, scale=1000)


def _sync(place: Place, quick: bool) -> Row:
    rounds, count = (4, 500) if quick else (10, 1_500)
    found = documents(count)
    parts = SerialParts(place.holding, place.sqlite, place.edge)
    worker = place.holding.store.parts.worker

    def ours(number: int) -> float:
        tasks = place.holding.write(_namespace("bench"), found)
        acked: list[int] = []
        reached = rate(count, lambda: acked.extend(worker.work(refs).acked for refs, _ in tasks))
        assert sum(acked) == count, f"{sum(acked)} of {count} documents were indexed"
        return reached

    def raw(number: int) -> float:
        return parts.rate(_namespace("raw"), found)

    ours(-1), raw(-1)
    parts.seconds.clear()
    raw_is = "sqlite3, engine and model: points, rows, embed, upsert, verify and ack"
    row = compared("embedded sync", "documents/s", ours, raw, rounds, raw_is=raw_is)
    return replace(row, details={"seconds_by_part": parts.shares()})


def _search(place: Place, quick: bool) -> Row:
    """Over what `_sync` has left: the same documents in both, in one namespace of them."""
    rounds, calls = (40, 5) if quick else (200, 5)
    own, other = _namespace("bench"), _namespace("raw")
    found = documents(500)
    for refs, _ in place.holding.write(own, found):
        place.holding.store.parts.worker.work(refs)
    SerialParts(place.holding, place.sqlite, place.edge).rate(other, found)

    def ours(number: int) -> None:
        place.holding.store.search(own, QUERIES[number % len(QUERIES)])

    def raw(number: int) -> None:
        vector = word_llama().embed([QUERIES[number % len(QUERIES)]])[0].tolist()
        points = place.edge.query(vector, namespace_digest(other), time.time_ns() // 1000, _FETCHED)
        place.sqlite.get_many(other, list(dict.fromkeys(point.payload["key"] for point in points))[:10])

    times(ours, range(20)), times(raw, range(20))
    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "embed, one filtered query of the engine, one select with IN"
    return compared("embedded search, p50", "ms", *measures, rounds, raw_is=raw_is, scale=1000)


def _namespace(first: str) -> tuple[str, str]:
    return first, os.urandom(4).hex()
