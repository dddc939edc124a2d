"""Filters in `search`: what comes matches as it is now, and what is not looked at is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Put, ScyllaStore, Settings, ValidationError
from scylla_store.conditions import NEVER
from scylla_store.coverage import Coverage
from scylla_store.filters.facts import facts_of, made_otherwise
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import IndexSpecification, Point, Question
from scylla_store.index.memory import MemoryIndex
from scylla_store.settings.options import EmbedderSettings, IndexSettings, LimitSettings
from scylla_store.testing import FailingEmbedder, SettableClock, TestingStore

NS = ("docs",)
HASHING = EmbedderSettings(name="hashing")

Make = Callable[..., TestingStore]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes stores on one folder; each closes the one before."""
    made: list[TestingStore] = []

    def make(most: int = 10_000, ranges: tuple[str, ...] = ("year",), **options: Any) -> TestingStore:
        for store in made:
            store.close()
        settings = Settings(
            embedder=HASHING, limits=LimitSettings(max_scanned=most), index=IndexSettings(range_fields=ranges)
        )
        made.append(TestingStore(tmp_path, settings=settings, **options))
        return made[-1]

    yield make
    for store in made:
        store.close()


def found(store: ScyllaStore, asked: dict[str, Any], **options: Any) -> set[str]:
    """Keys of the hits."""
    return {hit.item.key for hit in store.search(NS, "tea", filter=asked, **options)}


def test_a_search_finds_what_matches_and_nothing_else(make: Make) -> None:
    store = make()
    store.put(NS, "a", {"text": "tea", "year": 1990, "tags": ["green"], "author": {"name": "Ann"}})
    store.put(NS, "b", {"text": "tea", "year": 2020, "tags": ["black", "green"]})
    store.put(NS, "c", {"text": "tea", "year": "2020"}, wait=0)

    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"a", "b", "c"}),
        ({"author.name": "Ann"}, {"a"}),
        ({"author.name": {"$ne": "Ann"}}, {"b", "c"}),
        ({"year": {"$gte": 1990, "$lt": 2020.5}}, {"a", "b"}),
        ({"year": {"$not": {"$gt": 2000}}}, {"a", "c"}),
        ({"year": {"$startsWith": "20"}}, {"c"}),
        ({"tags": {"$contains": "green"}, "tags[0]": "green"}, {"a"}),
        ({"tags": ["black", "green"]}, {"b"}),
        ({"tags": {"$nin": [["green"], None]}}, {"b", "c"}),
        ({"$key": {"$in": ["a", "x"]}}, {"a"}),
        ({"$key": {"$gt": "a"}}, {"b", "c"}),
        ({"$or": [{"year": 2020}, {"tags[*]": "green"}]}, {"a", "b"}),
        ({"$created_at": {"$lt": "2000-01-01T00:00Z"}}, set()),
        ({"$version": {"$gt": 5}, "$updated_at": {"$exists": True}}, {"a", "b", "c"}),
    ]
    for asked, expected in cases:
        assert expected == found(store, asked), asked
        assert expected == {item.key for item in store.list(NS, filter=asked).items}, asked


def test_a_hit_matches_as_it_is_now_and_not_as_it_was_indexed(make: Make) -> None:
    # Given two documents of which one is changed, and the index does not know it yet
    store = make()
    store.put_many([Put(NS, key, {"text": "tea", "lang": "en"}) for key in "ab"], wait=0)
    store.put(NS, "a", {"text": "tea", "lang": "de"})
    # Then it is not found by what it was
    assert found(store, {"lang": "en"}) == {"b"}
    # And by what it is once the index knows
    assert found(store, {"lang": "de"}) == set()
    store.drain()
    assert found(store, {"lang": "de"}) == {"a"}


def test_what_the_index_cannot_answer_is_looked_at_until_there_is_enough(make: Make) -> None:
    # Given many documents, of which the index cannot tell the few that match
    store = make()
    store.put_many([Put(NS, f"{number:03}", {"text": "tea", "at": [number, -1]}) for number in range(150)], wait=0)

    hits = store.search(NS, "tea", filter={"at[0]": {"$in": [-1, 140, 141]}}, limit=10)

    assert {hit.item.key for hit in hits} == {"140", "141"}
    assert hits.is_partial is False


def test_a_search_that_gives_up_says_so(make: Make) -> None:
    # Given a store that looks at few points in one search, and documents that the index lets through in vain
    store = make(most=30)
    store.put_many([Put(NS, f"{number:03}", {"text": "tea", "at": [number, -1]}) for number in range(60)], wait=0)
    in_vain = {"at[0]": -1}
    # When nothing is found among those that it looked at, then it says that there may be more
    hits = store.search(NS, "tea", filter=in_vain)
    assert (list(hits), hits.is_partial) == ([], True)
    # But not when what was asked for was found, nor without a filter, nor when the index answers alone
    assert store.search(NS, "tea", filter={"at[0]": {"$ne": -1}}, limit=5).is_partial is False
    assert store.search(NS, "tea", limit=60).is_partial is False
    assert len(store.search(NS, "tea", limit=60)) == 60
    assert store.search(NS, "tea", filter={"at": 5}).is_partial is False


def test_pages_of_a_filtered_search_follow_each_other(make: Make) -> None:
    store = make()
    puts = [Put(NS, f"{number:02}", {"text": "tea " * (number + 1), "even": number % 2 == 0}) for number in range(20)]
    store.put_many(puts, wait=0)

    pages = [
        [hit.item.key for hit in store.search(NS, "tea", filter={"even": True}, limit=4, offset=at)]
        for at in (0, 4, 8, 12)
    ]
    keys = [key for page in pages for key in page]

    assert list(map(len, pages)) == [4, 4, 2, 0]
    assert sorted(keys) == [f"{number:02}" for number in range(0, 20, 2)]


def test_an_expired_document_does_not_match(make: Make) -> None:
    store = make()
    store.put(NS, "a", {"text": "tea"}, ttl=10, wait=0)

    store.clock.advance(10)

    assert found(store, {"text": "tea"}) == set()


def test_a_document_without_a_live_text_still_says_what_it_is(make: Make) -> None:
    store = make()
    store.put(NS, "a", {"number": 1}, wait=0)
    store.put(NS, "b", {"text": "tea"}, index=False, wait=0)

    assert found(store, {"number": 1}) == set()
    assert store.count(NS, filter={"number": 1}) == 1
    assert store.count(NS, filter={"text": "tea"}) == 1


def test_a_range_that_is_not_declared_is_refused_before_anything_is_asked(make: Make) -> None:
    store = make(ranges=())

    with pytest.raises(ValidationError, match=r"index\.range_fields"):
        store.search(NS, "tea", filter={"year": {"$gt": 5}})
    assert store.list(NS, filter={"year": {"$gt": 5}}).items == []


def test_a_range_field_that_is_added_works_at_once_and_nothing_is_embedded_again(make: Make) -> None:
    # Given documents that were indexed before the field was declared
    make(ranges=()).put_many([Put(NS, str(year), {"text": "tea", "year": year}) for year in range(2000, 2010)], wait=0)
    embedder = FailingEmbedder(times=0)
    store = make(ranges=("year",), embedder=embedder)
    wanted = {"filter": {"year": {"$gt": 2007}}, "vector": embedder.inner.embed(["tea"])[0]}
    # Then they are found
    assert {hit.item.key for hit in store.search(NS, **wanted)} == {"2008", "2009"}
    # And when a reconciliation has been round, the index answers alone
    store.clock.advance(60)
    assert store.reconcile().stale == 10
    assert store.drain() == 0
    store.clock.advance(60)
    assert store.reconcile().stale == 0
    assert store.parts.index.count(prefix=None, now=0, where=made_otherwise(("year",))) == 0
    assert {hit.item.key for hit in store.search(NS, **wanted)} == {"2008", "2009"}
    assert embedder.calls == []


@pytest.mark.parametrize(("ranges", "is_taken"), [((), False), (("year",), True)])
def test_index_range_fields(make: Make, ranges: tuple[str, ...], is_taken: bool) -> None:
    store = make(ranges=ranges)
    store.put(NS, "a", {"text": "tea", "year": 5}, wait=0)

    if is_taken:
        assert found(store, {"year": {"$gte": 5}}) == {"a"}
    else:
        with pytest.raises(ValidationError):
            found(store, {"year": {"$gte": 5}})


class _Counting(MemoryIndex):
    """An index that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.setup(IndexSpecification(2, "m"))
        self.counts = 0

    def count(self, **options: Any) -> int:
        self.counts += 1
        return super().count(**options)


def _point(number: int, ranges: tuple[str, ...]) -> Point:
    payload = {"item": "i", "fingerprint": "f", "version": 1, "ordinal": 0, "expires_at": 2**60}
    return Point(str(number), [1.0, 0.0], {**payload, **facts_of({"a": number}, "k", ranges)})


def test_points_that_do_not_say_it_yet_are_let_through_until_they_do() -> None:
    # Given one point of today's way and one of another
    index, clock = _Counting(), SettableClock()
    index.upsert([_point(1, ("year",)), _point(2, ())], at_most=1)
    coverage = Coverage(index, ("year",), clock)

    def let_through() -> list[str]:
        [found] = index.query([Question([1.0, 0.0], None, 0, 9, where=coverage.widened(NEVER))])
        return [match.id for match in found]

    assert let_through() == ["2"]
    # When it is made anew, then that is seen a minute later
    index.upsert([_point(2, ("year",))], at_most=1)
    assert (let_through(), index.counts) == ([], 1)
    clock.advance(60)
    assert (let_through(), index.counts) == ([], 2)
    # And from then on the index is asked once an hour
    clock.advance(3000)
    assert (coverage.widened(NEVER), index.counts) == (NEVER, 2)
    index.upsert([_point(1, ())], at_most=1)
    clock.advance(600)
    assert (let_through(), index.counts) == (["1"], 3)


@pytest.mark.parametrize("what", ["epoch", "clock"])
def test_what_is_remembered_of_the_points_ends_with_another_index_or_a_clock_that_steps_back(what: str) -> None:
    # Given an index of which it is known for an hour that all points can be asked
    index, clock, epochs = _Counting(), SettableClock(), ["first"]
    index.upsert([_point(1, ("year",))], at_most=1)
    coverage = Coverage(index, ("year",), clock, lambda: epochs[-1])
    clock.advance(600)
    assert coverage.widened(NEVER) == NEVER
    # When an older one takes its place, and somebody says so or the clock is set back
    index.upsert([_point(1, ())], at_most=1)
    assert (coverage.widened(NEVER), index.counts) == (NEVER, 1)
    if what == "epoch":
        epochs.append("second")
    else:
        clock.advance(-1)
    # Then it is asked again, once
    assert coverage.widened(NEVER) == coverage.widened(NEVER) == made_otherwise(("year",))
    assert index.counts == 2


def test_setup_ends_what_a_search_remembers_of_a_backup_that_was_put_back(make: Make) -> None:
    # Given searches that know that all points can be asked
    store = make()
    store.put(NS, "a", {"text": "tea", "n": 1}, wait=0)
    assert found(store, {"n": 1}) == {"a"}
    # When the points of an older version are put back
    index, digest = store.parts.index, item_digest(ItemId(NS, "a"))
    for seen in index.points_of([digest])[digest]:
        older = {name: value for name, value in seen.payload.items() if name not in ("facts", "tokens")}
        index.upsert([Point(seen.id, [1.0] * 256, older)], at_most=seen.version)
    assert found(store, {"n": 1}) == set()
    # Then setup is enough
    store.setup()
    assert found(store, {"n": 1}) == {"a"}
    assert [item.key for item in store.find(NS, filter={"n": 1}).items] == ["a"]


def test_filtered_searches_of_several_threads_are_right(make: Make) -> None:
    store = make()
    store.put_many([Put(NS, str(number), {"text": "tea", "n": number}) for number in range(20)], wait=0)
    results: list[set[str]] = []

    threads = [threading.Thread(target=lambda n=n: results.append(found(store, {"n": n}))) for n in range(8)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(map(sorted, results)) == [[str(number)] for number in range(8)]
