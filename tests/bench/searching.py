"""search on the cluster, beside its parts: embed the query, ask the index, read the items."""

from __future__ import annotations

import time

from scylla_store.identity import namespace_digest
from tests.bench.documents import QUERIES, documents
from tests.bench.filling import fill
from tests.bench.installation import Servers
from tests.bench.measure import Row, at_most, compared, median_time, times
from tests.bench.model import word_llama

_NAMESPACE = ("bench", "search")
_LIMIT = 10
_FETCHED = 20
"""Points that a search for ten items asks for at first: an item may have several."""


def search(servers: Servers, quick: bool) -> list[Row]:
    """Ten hits for a query in words."""
    rounds, calls, count = (50, 5, 1_000) if quick else (300, 5, 8_000)
    place = servers.site
    fill(place, _NAMESPACE, documents(count))
    digest = namespace_digest(_NAMESPACE)

    def ours(number: int) -> None:
        place.store.search(_NAMESPACE, QUERIES[number % len(QUERIES)])

    def raw(number: int) -> None:
        vector = word_llama().embed([QUERIES[number % len(QUERIES)]])[0].tolist()
        found = place.index.query(vector, digest, time.time_ns() // 1000, _FETCHED)
        keys = list(dict.fromkeys(point.payload["key"] for point in found))[:_LIMIT]
        place.cql.get_many(_NAMESPACE, keys)

    times(ours, range(50)), times(raw, range(50))
    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "embed, one filtered query, one select with IN"
    return [compared("search, p50", "ms", *measures, rounds, at_most(1.3), raw_is=raw_is, scale=1000)]
