"""`find` against a model: random documents, filters, orders and pages, with writes between the pages."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scylla_store import Item, Put, Settings
from scylla_store.clock import EPOCH
from scylla_store.filters import Subject, parse_filter
from scylla_store.identity import ItemId, item_digest, point_id
from scylla_store.index.memory import MemoryIndex
from scylla_store.settings.options import EmbedderSettings, IndexSettings
from scylla_store.testing import TestingStore

_EXAMPLES = int(os.environ.get("SCYLLA_STORE_TEST_FIND_WALKS", "60"))
"""Walks that are tried on each index."""

RANGES = ("n", "at.time")
SETTINGS = Settings(embedder=EmbedderSettings(name="hashing"), index=IndexSettings(range_fields=RANGES))
ORDERS = [f"{sign}{name}" for sign in ("", "-") for name in ("$updated_at", "$created_at", "$version", *RANGES)]

_NUMBERS = st.sampled_from([0, -0.0, 1, 1.0, 1.5, -1, -1.5, 2, 1e300, -1e300, 5e-324, 2**52, 2**52 + 1, 10**400])
_TIMES = st.sampled_from(
    ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z", "2026-02-01", "", "é", "a\0", "a"]
)
_VALUES = st.one_of(_NUMBERS, _NUMBERS, _TIMES, _TIMES, st.sampled_from([None, True, [1], {}]))
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"n": _VALUES, "at": st.fixed_dictionaries({"time": _VALUES}), "odd": st.booleans()}
)
FILTERS = st.sampled_from(
    [
        None,
        None,
        {"odd": True},
        {"odd": {"$ne": True}},
        {"n": {"$gte": 1}},
        {"n": {"$exists": False}},
        {"at": {"time": "a"}},
    ]
)
KEYS = st.integers(0, 11).map(str)
CHANGES = st.lists(st.tuples(KEYS, st.none() | DOCUMENTS, st.booleans()), max_size=2)


@pytest.fixture(scope="module", params=["memory", "edge"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestingStore]:
    index = MemoryIndex() if request.param == "memory" else None
    with TestingStore(tmp_path_factory.mktemp("find"), settings=SETTINGS, index=index) as store:
        store.setup()
        yield store


_namespaces = itertools.count()


def place(item: Item, order_by: str) -> tuple[Any, ...]:
    """What the model sorts by: numbers, text, neither; equal ones by the id of their point."""
    name, sign = order_by.removeprefix("-"), -1 if order_by.startswith("-") else 1
    identifier = point_id(item_digest(_id(item)), 0)
    if name.startswith("$"):
        moment = item.created_at if name == "$created_at" else item.updated_at
        return (0, sign * ((moment - EPOCH) // timedelta(microseconds=1)), identifier)
    value = item.value.get("n") if name == "n" else item.value.get("at", {}).get("time")
    if type(value) in (int, float):
        return (sign, sign * min(value, 2e300), identifier)
    if type(value) is str:
        text = value.rstrip("\0")
        return (2 * sign, _Reversed(text) if sign < 0 else text, identifier)
    return (3, identifier)


class _Reversed(str):
    """A text that sorts the other way round."""

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def expected(
    store: TestingStore, namespace: tuple[str, ...], asked: dict[str, Any] | None, order_by: str
) -> list[ItemId]:
    """Items as the model has them."""
    where = parse_filter(asked)
    items = [item for item in store.list(namespace, limit=1000).items if where is None or where.matches(_subject(item))]
    return [_id(item) for item in sorted(items, key=lambda item: place(item, order_by))]


def _id(item: Item) -> ItemId:
    return ItemId(item.namespace, item.key)


def _subject(item: Item) -> Subject:
    return Subject(item.key, item.value, 0, item.version)


def filled(store: TestingStore, documents: list[tuple[str, dict[str, Any]]]) -> tuple[str, ...]:
    """A namespace with these documents, of which some were written twice; all are indexed."""
    namespace = ("find", str(next(_namespaces)))
    for at, (key, value) in enumerate(documents):
        store.clock.advance(at % 3)
        store.put((*namespace, "below") if at % 4 == 0 else namespace, key, {"text": f"tea {key}", **value})
    store.drain()
    return namespace


def in_pages(store: TestingStore, namespace: tuple[str, ...], **options: Any) -> Iterator[list[Item]]:
    """The pages of a walk."""
    cursor = None
    while True:
        page = store.find(namespace, cursor=cursor, **options)
        yield page.items
        cursor = page.cursor
        if cursor is None:
            return


_SOME = st.lists(st.tuples(KEYS, DOCUMENTS), max_size=16)


@given(documents=_SOME, asked=FILTERS, order_by=st.sampled_from(ORDERS), size=st.integers(1, 6))
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_pages_are_the_sorted_list_cut_in_pieces(
    store: TestingStore,
    documents: list[tuple[str, dict[str, Any]]],
    asked: dict[str, Any] | None,
    order_by: str,
    size: int,
) -> None:
    namespace = filled(store, documents)

    pages = list(in_pages(store, namespace, filter=asked, order_by=order_by, limit=size))

    assert [_id(item) for page in pages for item in page] == expected(store, namespace, asked, order_by)
    assert all(len(page) == size for page in pages[:-1])


@given(
    documents=_SOME, asked=FILTERS, order_by=st.sampled_from(ORDERS), size=st.integers(1, 4),
    changes=st.lists(CHANGES, min_size=1, max_size=6),
)  # fmt: skip
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_walk_during_writes_shows_what_stayed_as_it_was_exactly_once_in_order(
    store: TestingStore, documents: list[tuple[str, dict[str, Any]]], asked: dict[str, Any] | None, order_by: str,
    size: int, changes: list[list[tuple[str, dict[str, Any] | None, bool]]],
) -> None:  # fmt: skip
    namespace = filled(store, documents)
    before = expected(store, namespace, asked, order_by)
    known = _versions(store, namespace)
    where = parse_filter(asked)
    shown: list[Item] = []
    # When documents are written, changed and deleted between the pages, and indexed or not yet
    for page, some in itertools.zip_longest(
        in_pages(store, namespace, filter=asked, order_by=order_by, limit=size), changes
    ):
        for item in page or []:
            assert store.get(item.namespace, item.key) == item
            assert where is None or where.matches(_subject(item))
        shown += page or []
        if page is None:
            break
        for key, value, is_indexed in some or []:
            store.clock.advance(1)
            if value is None:
                store.delete(namespace, key)
            else:
                store.put_many([Put(namespace, key, {"text": "new", **value})])
            if is_indexed:
                store.drain()
    # Then what nobody touched came once, in the order that it had
    now = _versions(store, namespace)
    same = {one for one, version in known.items() if now.get(one) == version}
    assert [_id(item) for item in shown if _id(item) in same] == [one for one in before if one in same]


def _versions(store: TestingStore, namespace: tuple[str, ...]) -> dict[ItemId, int]:
    return {_id(item): item.version for item in store.list(namespace, limit=1000).items}
