"""find, list and a filtered search among 50,000 documents of one namespace: page beside page, and all beside their parts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from scylla_store.filters.tokens import equals, path_of, text_of
from scylla_store.identity import namespace_digest
from tests.bench.documents import QUERIES, Document, documents
from tests.bench.filling import fill
from tests.bench.installation import Servers, Site, site
from tests.bench.measure import Row, at_most, compared, median_time, times
from tests.bench.model import word_llama

_NAMESPACE = ("bench", "many")
_PAGE = 100
_WRITE_ID = 16
_ASKED = {"kind": "method"}
_FETCHED = 20
"""Points that a search for ten items asks for at first."""


def many(servers: Servers, quick: bool) -> list[Row]:
    """All rows over one store, that is filled once."""
    count, page = (3_000, 25) if quick else (50_000, 400)
    rounds = 30 if quick else 200
    with site(servers, index__range_fields=["length"]) as place:
        fill(place, _NAMESPACE, [_measured(document) for document in documents(count)])
        found = [_find(place, page, rounds, order_by) for order_by in ("-$updated_at", "length")]
        return [*found, _list(place, rounds, count), _search(place, rounds, count)]


def _measured(document: Document) -> Document:
    """With a number to order by."""
    return Document(document.key, {**document.value, "length": len(document.value["text"])})


def _find(place: Site, page: int, rounds: int, order_by: str) -> Row:
    """One late page beside the first one."""
    store = place.store
    cursor = None
    for _ in range(page - 1):
        cursor = store.find(_NAMESPACE, order_by=order_by, limit=_PAGE, cursor=cursor).cursor
    assert cursor is not None, f"there is no page {page}"

    def late(number: int) -> None:
        assert len(store.find(_NAMESPACE, order_by=order_by, limit=_PAGE, cursor=cursor).items) == _PAGE

    def first(number: int) -> None:
        assert len(store.find(_NAMESPACE, order_by=order_by, limit=_PAGE).items) == _PAGE

    measures = _settled(late), _settled(first)
    title = f"find({_PAGE}) by {order_by}, page {page}, p50"
    return compared(title, "ms", *measures, rounds, at_most(1.5), raw_is="ours: page 1", scale=1000)


def _list(place: Site, rounds: int, count: int) -> Row:
    statement = place.cql.prepared["scan_from_start"]

    def ours(number: int) -> None:
        assert len(place.store.list(_NAMESPACE, limit=_PAGE).items) == _PAGE

    def raw(number: int) -> None:
        rows = list(place.cql.session.execute(statement, (list(_NAMESPACE), _PAGE)))
        assert len([json.loads(row[-1][_WRITE_ID:]) for row in rows]) == _PAGE

    title = f"list({_PAGE}) at {count:,} items, p50"
    raw_is = "one select of a page, each body through json.loads"
    return compared(title, "ms", _settled(ours), _settled(raw), rounds, at_most(1.25), raw_is=raw_is, scale=1000)


def _search(place: Site, rounds: int, count: int) -> Row:
    digest = namespace_digest(_NAMESPACE)
    token = equals(path_of(("kind",)), text_of(_ASKED["kind"]))

    def ours(number: int) -> None:
        assert place.store.search(_NAMESPACE, QUERIES[number % len(QUERIES)], filter=_ASKED)

    def raw(number: int) -> None:
        vector = word_llama().embed([QUERIES[number % len(QUERIES)]])[0].tolist()
        found = place.index.query(vector, digest, time.time_ns() // 1000, _FETCHED, token=token)
        keys = list(dict.fromkeys(point.payload["key"] for point in found))[:10]
        assert place.cql.get_many(_NAMESPACE, keys)

    title = f"filtered search at {count:,} items, p50"
    raw_is = "embed, one query with the filter's token, one select with IN"
    return compared(title, "ms", _settled(ours), _settled(raw), rounds, at_most(1.3), raw_is=raw_is, scale=1000)


def _settled(action: Callable[[int], object], calls: int = 5) -> Callable[[int], float]:
    times(action, range(30))
    return median_time(action, calls)
