"""put and put_many on the cluster, beside the driver's own statements."""

from __future__ import annotations

import time

from scylla_store import Put
from tests.bench.documents import Document, documents
from tests.bench.installation import Servers, Site
from tests.bench.measure import Row, Target, at_least, at_most, compared, median_time, rate, times
from tests.bench.raw import Namespace, intent, item_row

_KEYS = 300


def put(servers: Servers, quick: bool) -> list[Row]:
    """One document after another, each over an earlier version of itself."""
    rounds, calls = (60, 10) if quick else (300, 10)
    own, other = ("bench", "put"), ("raw", "put")
    found = documents(_KEYS)
    rows = [item_row(other, document, 0) for document in found]
    place = servers.site

    def ours(number: int) -> None:
        document = found[number % _KEYS]
        place.store.put(own, document.key, document.value)

    def raw(number: int) -> None:
        _, head, body, _, key = rows[number % _KEYS]
        place.cql.put(other, key, head, body)

    times(ours, range(_KEYS)), times(raw, range(_KEYS))
    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "head select, then logged batch of item and intent"
    return [compared("put, p50", "ms", *measures, rounds, at_most(1.3), raw_is=raw_is, scale=1000)]


def put_many(servers: Servers, quick: bool) -> list[Row]:
    """Many new documents at once, into one namespace and into one for each."""
    return [_one_namespace(servers.site, quick), _distinct_namespaces(servers.site, quick)]


def _one_namespace(place: Site, quick: bool) -> Row:
    rounds, count = (4, 2_000) if quick else (8, 10_000)
    found = documents(count)

    def ours(number: int) -> float:
        puts = [Put(("bench", f"round {number}"), document.key, document.value) for document in found]
        return rate(count, lambda: place.store.put_many(puts))

    def raw(number: int) -> float:
        now = time.time_ns() // 1000
        rows = [item_row(("raw", f"round {number}"), document, now) for document in found]
        return rate(count, lambda: place.cql.write_concurrently(rows))

    ours(-1), raw(-1)
    targets = at_least(1.0), Target("ours", "at least", 10_000)
    raw_is = "execute_concurrent of the items alone, no heads read, no intents"
    return compared("put_many, one namespace", "documents/s", ours, raw, rounds, *targets, raw_is=raw_is)


def _distinct_namespaces(place: Site, quick: bool) -> Row:
    rounds, count = (4, 1_000) if quick else (8, 3_000)
    found = documents(count)

    def ours(number: int) -> float:
        puts = [Put(("bench", f"each {number}", document.key), "k", document.value) for document in found]
        return rate(count, lambda: place.store.put_many(puts))

    def raw(number: int) -> float:
        steps = _statements([("raw", f"each {number}", document.key) for document in found], found)

        def run() -> None:
            for statement, rows in steps:
                place.cql.write_concurrently(rows, statement=statement)

        return rate(count, run)

    ours(-1), raw(-1)
    raw_is = "execute_concurrent of registrations, head selects, intents and items"
    return compared("put_many, a namespace each", "documents/s", ours, raw, rounds, at_least(0.7), raw_is=raw_is)


def _statements(namespaces: list[Namespace], found: list[Document]) -> list[tuple[str, list[tuple[object, ...]]]]:
    """What a write of these documents is in CQL: statement by statement, with the values of each."""
    now = time.time_ns() // 1000
    return [
        ("register", [(now, now, number % 32, list(namespace)) for number, namespace in enumerate(namespaces)]),
        ("head", [(list(namespace), "k") for namespace in namespaces]),
        ("file_intent", [intent(namespace, "k", now) for namespace in namespaces]),
        (
            "write_item",
            [
                item_row(namespace, Document("k", document.value), now)
                for namespace, document in zip(namespaces, found, strict=True)
            ],
        ),
    ]
