"""Filters in `list` and `count`: exact, from the database, bounded in each call."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Item, Put, ScanLimitReached, Settings, ValidationError
from scylla_store.settings.options import LimitSettings
from scylla_store.testing import TestingStore

NS = ("docs",)
EVEN = {"even": True}


def puts(count: int, namespace: tuple[str, ...] = NS) -> list[Put]:
    """Documents whose keys sort as their numbers."""
    return [Put(namespace, f"{number:03}", {"number": number, "even": number % 2 == 0}) for number in range(count)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TestingStore]:
    """A store that looks at 10 rows in one call."""
    with TestingStore(tmp_path, settings=Settings(limits=LimitSettings(max_scanned=10))) as store:
        yield store


def walk(store: TestingStore, prefix: tuple[str, ...] = NS, **options: Any) -> Iterator[list[str]]:
    """Keys of each page, to the end."""
    cursor = None
    while True:
        page = store.list(prefix, cursor=cursor, **options)
        yield [item.key for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return


def test_a_listing_shows_what_matches_and_nothing_else(store: TestingStore) -> None:
    store.put_many(puts(5))

    page = store.list(NS, filter={"number": {"$gte": 2}, "even": False})

    assert [(item.key, item.value) for item in page.items] == [("003", {"number": 3, "even": False})]
    assert page.cursor is None
    assert page.items == [store.get(NS, "003")]


def test_a_call_looks_at_no_more_rows_than_the_limit_and_the_next_one_goes_on(store: TestingStore) -> None:
    store.put_many(puts(35))

    pages = list(walk(store, filter={"number": {"$in": [3, 19, 34]}}))

    assert pages == [["003"], ["019"], [], ["034"]]


def test_a_full_page_ends_where_the_next_one_begins(store: TestingStore) -> None:
    store.put_many(puts(9))

    assert list(walk(store, filter=EVEN, limit=2)) == [["000", "002"], ["004", "006"], ["008"]]
    assert list(walk(store, filter={}, limit=4)) == [
        ["000", "001", "002", "003"],
        ["004", "005", "006", "007"],
        ["008"],
    ]


def test_rows_that_nobody_sees_any_more_are_looked_at_too(store: TestingStore) -> None:
    store.put_many(puts(30))
    store.delete_many([(NS, f"{number:03}") for number in range(29)])

    assert list(walk(store, filter={})) == [[], [], ["029"]]


def test_a_walk_during_writes_shows_once_what_was_there_all_the_time(store: TestingStore) -> None:
    # Given 40 documents, and a walk of which some pages were read
    store.put_many(puts(40))
    seen, cursor = list[str](), None
    # When others are written, changed and deleted between its pages
    for number in range(1000):
        page = store.list((), filter=EVEN, limit=3, cursor=cursor)
        seen += [item.key for item in page.items]
        cursor = page.cursor
        if cursor is None:
            break
        store.put(NS, f"{number:03}a", {"even": True})
        store.put(NS, "039", {"even": True, "again": number})
        store.delete(NS, "001")
    # Then it shows each of those exactly once
    assert [key for key in seen if len(key) == 3 and key != "039"] == [f"{number:03}" for number in range(0, 40, 2)]
    assert len(seen) == len(set(seen))


def test_a_walk_goes_through_namespaces(store: TestingStore) -> None:
    for name in ("a", "b", "c"):
        store.put_many(puts(6, ("docs", name)))

    pages = list(walk(store, ("docs",), filter={"number": 5}))

    assert pages == [["005"], ["005", "005"]]


def test_a_cursor_belongs_to_its_filter(store: TestingStore) -> None:
    store.put_many(puts(9))
    cursor = store.list(NS, filter=EVEN, limit=1).cursor
    plain = store.list(NS, limit=1).cursor

    for options in ({"filter": {"even": False}}, {}, {"filter": {}}):
        with pytest.raises(ValidationError, match="cursor belongs to another call"):
            store.list(NS, cursor=cursor, **options)
    with pytest.raises(ValidationError, match="cursor belongs to another call"):
        store.list(NS, cursor=plain, filter=EVEN)
    assert [item.key for item in store.list(NS, filter=EVEN, limit=1, cursor=cursor).items] == ["002"]


def test_an_expired_document_does_not_match(store: TestingStore) -> None:
    store.put(NS, "short", {"a": 1}, ttl=10)
    store.put(NS, "long", {"a": 1}, ttl=20)

    store.clock.advance(10)

    assert [item.key for item in store.list(NS, filter={"a": 1}).items] == ["long"]
    assert store.count(NS, filter={"a": 1}) == 1


def test_fields_of_the_item_are_those_that_it_shows(store: TestingStore) -> None:
    first = store.put(NS, "first", {})
    store.clock.advance(60)
    store.put(NS, "second", {})
    store.put(NS, "first", {"changed": True})
    (item, other) = store.list(NS).items

    def found(**asked: Any) -> list[Item]:
        return store.list(NS, filter={f"${name}": operand for name, operand in asked.items()}).items

    assert found(created_at=item.created_at) == [item]
    assert found(created_at={"$gt": item.created_at}) == [other]
    assert found(updated_at={"$gt": item.created_at}) == [item, other]
    assert found(version=item.version) == [item]
    assert found(version=first.version) == []
    assert found(key={"$startsWith": "s"}) == [other]


def test_count_with_a_filter_is_exact_or_says_why_not(store: TestingStore) -> None:
    # Given as many documents as one call may look at, of which nothing is indexed
    store.put_many(puts(10))
    assert store.count(NS, filter=EVEN) == 5
    assert store.count(("other",), filter=EVEN) == 0
    # When there is one more
    store.put(NS, "more", {"even": True})
    # Then it is counted when all may be read, and else nothing is guessed
    assert store.count(NS, filter=EVEN, exact=True) == 6
    with pytest.raises(
        ScanLimitReached, match=r"limits.max_scanned = 10 rows lie under the prefix: count with exact=True"
    ):
        store.count(NS, filter=EVEN)


def test_the_encoder_of_the_settings_is_used_for_filters_too(tmp_path: Path) -> None:
    with TestingStore(tmp_path, settings=Settings(encoder=str)) as store:
        store.put(NS, "k", {"price": Decimal("1.50")})

        assert store.count(NS, filter={"price": Decimal("1.50")}) == 1


@pytest.mark.parametrize(("most", "pages"), [(2, [["000"], ["002"], ["004"]]), (100, [["000", "002", "004"]])])
def test_limits_max_scanned(tmp_path: Path, most: int, pages: list[list[str]]) -> None:
    with TestingStore(tmp_path, settings=Settings(limits=LimitSettings(max_scanned=most))) as store:
        store.put_many(puts(5))

        assert list(walk(store, filter=EVEN)) == pages
