"""`search_many` and `with_value`: many queries for the price of one, hits without their documents."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scylla_store import Put, Search, Settings, ValidationError
from scylla_store.embedders import HashingEmbedder
from scylla_store.identity import ItemId
from scylla_store.index.base import Match, Point, Question
from scylla_store.index.memory import MemoryIndex
from scylla_store.items import Hits
from scylla_store.search import Terms
from scylla_store.settings.options import EmbedderSettings, IndexSettings
from scylla_store.testing import FailingEmbedder, TestingStore
from tests.unit.core import Core

NS = ("docs",)
DRINKS = ("tea", "coffee", "water")


class Recording(MemoryIndex):
    """An index that keeps how many questions each request had."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        self.asked.append(len(questions))
        return super().query(questions)


@pytest.fixture
def embedder() -> FailingEmbedder:
    return FailingEmbedder(times=0)


@pytest.fixture
def index() -> Recording:
    return Recording()


@pytest.fixture
def store(tmp_path: Path, embedder: FailingEmbedder, index: Recording) -> Iterator[TestingStore]:
    """With some documents about each drink, all of them indexed."""
    with TestingStore(tmp_path, embedder=embedder, index=index) as opened:
        opened.setup()
        puts = [
            Put((*NS, drink), f"{drink}-{number}", {"text": f"{drink} " * (number + 1), "n": number})
            for drink in DRINKS
            for number in range(4)
        ]
        opened.put_many(puts, wait=0)
        embedder.calls.clear()
        yield opened


def names(hits: Hits) -> list[str]:
    return [hit.item.key for hit in hits]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 2},
        {"limit": 3, "offset": 2},
        {"min_score": 0.5},
        {"filter": {"n": {"$in": [1, 3]}}},
        {"filter": {"$key": "tea-1"}, "with_value": False},
    ],
)
def test_each_query_has_the_hits_that_it_has_alone(store: TestingStore, options: dict[str, Any]) -> None:
    vector = HashingEmbedder().embed(["water"])[0]
    queries = ["tea", np.asarray(vector), "coffee tea", "tea", "nothing of this", tuple(vector)]

    together = store.search_many(NS, queries, **options)

    alone = [
        store.search(NS, query, **options) if isinstance(query, str) else store.search(NS, vector=query, **options)
        for query in queries
    ]
    assert [[(hit.item, hit.score, hit.text) for hit in hits] for hits in together] == [
        [(hit.item, pytest.approx(hit.score), hit.text) for hit in hits] for hits in alone
    ]
    assert all(isinstance(hits, Hits) for hits in together)


def test_all_queries_cost_one_request_to_embedder_index_and_database(
    store: TestingStore, embedder: FailingEmbedder, index: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = _reads(store, monkeypatch)

    hits = store.search_many(NS, [*DRINKS, "tea"], limit=4)

    assert [set(names(one)) for one in hits[:3]] == [{f"{drink}-{n}" for n in range(4)} for drink in DRINKS]
    assert embedder.calls == [list(DRINKS)]
    assert index.asked == [4]
    assert [len(ids) for ids, _ in reads] == [12]


def test_only_the_queries_that_want_more_are_asked_again(tmp_path: Path, index: Recording) -> None:
    # Given many documents about tea, of which the nearest are deleted and still in the index, and some about coffee
    with TestingStore(tmp_path, index=index) as store:
        store.setup()
        store.put_many([Put(NS, f"tea-{n:02}", {"text": "tea"}) for n in range(50)], wait=0)
        store.put_many([Put(NS, f"coffee-{n}", {"text": "coffee"}) for n in range(8)], wait=0)
        nearest = names(store.search(NS, "tea", limit=45))
        index.asked.clear()
        store.delete_many([(NS, key) for key in nearest])
        # When both are searched for
        tea, coffee = store.search_many(NS, ["tea", "coffee"], limit=5)
        # Then tea is asked for until there is enough, and coffee once
        assert set(names(tea)) == {f"tea-{n:02}" for n in range(50)} - set(nearest)
        assert {key.partition("-")[0] for key in names(coffee)} == {"coffee"}
        assert index.asked == [2, 1, 1]


def test_no_hit_shares_its_document_with_another(store: TestingStore) -> None:
    first, second = store.search_many(NS, ["tea", "tea"], limit=1)

    first[0].item.value["text"] = "changed"

    assert second[0].item.value["text"].startswith("tea")


def test_no_queries_have_no_hits_and_ask_nobody(store: TestingStore, index: Recording) -> None:
    assert store.search_many(NS, []) == []
    assert store.search_many(NS, iter(())) == []
    assert index.asked == []


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ("tea", "queries must be a list of texts or vectors, not str"),
        ({"tea": 1}, "queries must be a list of texts or vectors, not dict"),
        ({"tea"}, "queries must be a list of texts or vectors, not set"),
        (None, "queries must be a list of texts or vectors, not NoneType"),
        (["tea"] * 101, "queries has more than 100 entries"),
        (itertools.repeat("tea"), "queries has more than 100 entries"),
        (["tea", ""], r"queries\[1\] has 0 bytes"),
        (["tea", " \n"], r"queries\[1\] must be a string with text in it"),
        (["tea", "\ud800"], r"queries\[1\] holds a lone surrogate"),
        (["tea", None], r"queries\[1\] must be a sequence of numbers"),
        (["tea", b"tea"], r"queries\[1\] must be a sequence of numbers"),
        ([0.1, 0.2], r"queries\[0\] must be a sequence of numbers"),
        (["tea", [1.0, 2.0]], r"queries\[1\] must have 256 finite numbers, it has 2"),
        (["tea", [float("nan")] * 256], r"queries\[1\] must have 256 finite numbers"),
        (["tea", [True] * 256], r"queries\[1\] must be a sequence of numbers"),
    ],
)
def test_what_is_wrong_with_a_query_is_said_with_its_position(
    store: TestingStore, index: Recording, queries: Any, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        store.search_many(NS, queries)
    assert index.asked == []


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"limit": 0}, "limit"),
        ({"offset": -1}, "offset"),
        ({"min_score": "1"}, "min_score"),
        ({"filter": 1}, "filter"),
        ({"with_value": "no"}, "with_value"),
        ({"refresh_ttl": 1}, "refresh_ttl"),
    ],
)
def test_the_terms_are_checked_although_there_are_no_queries(
    store: TestingStore, options: dict[str, Any], argument: str
) -> None:
    with pytest.raises(ValidationError, match=argument):
        store.search_many(NS, [], **options)


def test_a_hundred_queries_are_answered(store: TestingStore) -> None:
    assert [names(hits) for hits in store.search_many(NS, ["tea"] * 100, limit=4)] == [names(store.search(NS, "tea", limit=4))] * 100


def test_a_hit_without_its_document_says_what_it_is(store: TestingStore) -> None:
    full = store.search(NS, "tea", limit=4)

    bare = store.search(NS, "tea", limit=4, with_value=False)

    assert [(hit.item.namespace, hit.item.key, hit.item.version, hit.score, hit.path, hit.fresh) for hit in bare] == [
        (hit.item.namespace, hit.item.key, hit.item.version, hit.score, hit.path, hit.fresh) for hit in full
    ]
    assert {(hit.item.value, hit.text) for hit in bare} == {(None, None)}


@pytest.mark.parametrize(
    ("asked", "reads_body"),
    [
        (None, False),
        ({"$key": {"$startsWith": "tea"}, "$or": [{"$version": {"$gt": 0}}, {"$not": {"$key": "x"}}]}, False),
        ({"n": {"$gte": 0}}, True),
        ({"$or": [{"$key": "x"}, {"$not": {"n": 7}}]}, True),
    ],
)
def test_a_document_is_read_only_when_somebody_looks_at_it(
    tmp_path: Path, asked: dict[str, Any] | None, reads_body: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _ranged(tmp_path) as store:
        store.put_many([Put(NS, f"tea-{n}", {"text": "tea", "n": n}) for n in range(4)], wait=0)
        reads = _reads(store, monkeypatch)

        bare = store.search(NS, "tea", filter=asked, with_value=False)

        assert len(bare) == 4
        assert [hit.item.value for hit in bare] == [None] * 4
        assert [body for _, body in reads] == [reads_body]


def test_a_hit_without_its_document_is_checked_all_the_same(tmp_path: Path) -> None:
    # Given documents of which the index does not know yet what became of them
    with _ranged(tmp_path) as store:
        for key in ("deleted", "expired", "changed", "kept"):
            store.put(NS, key, {"text": "tea", "n": 1}, ttl=10 if key == "expired" else 100)
        store.drain()
        store.delete(NS, "deleted")
        store.put(NS, "changed", {"text": "tea", "n": 2})
        store.clock.advance(10.1)

        found = {hit.item.key: hit.fresh for hit in store.search(NS, "tea", with_value=False)}
        matching = names(store.search(NS, "tea", filter={"n": 1}, with_value=False))

    assert found == {"changed": False, "kept": True}
    assert matching == ["kept"]


def test_searches_of_a_batch_have_the_same_options(store: TestingStore) -> None:
    [full, bare] = store.batch([Search(NS, "tea", limit=1), Search(NS, "tea", limit=1, with_value=False)])

    assert full[0].item.value["text"].startswith("tea")
    assert bare[0].item.value is None


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"query": None}, {"filter": {"$x": 1}}, {"refresh_ttl": 1}])
def test_a_batch_with_a_wrong_search_grants_no_time(tmp_path: Path, wrong: dict[str, Any]) -> None:
    # Given a document half of whose time is over
    with TestingStore(tmp_path) as store:
        store.put(NS, "k", {"text": "tea"}, ttl=60, wait=0)
        store.clock.advance(30)
        good = Search(NS, "tea", refresh_ttl=True)
        # When a search that grants time comes with a wrong one
        with pytest.raises(ValidationError, match=r"^operations\[1\]\."):
            store.batch([good, replace(good, **wrong)])
        # Then nothing was granted, and with a right one it is
        assert _left(store) == 30
        store.batch([good, replace(good, limit=5)])
        assert _left(store) == 60


@pytest.mark.parametrize("damage", [{"namespace": None}, {"key": 5}, {"namespace": "docs"}, {"namespace": [1]}])
def test_a_point_that_does_not_say_whose_it_is_takes_no_hit_with_it(
    store: TestingStore, index: Recording, damage: dict[str, Any]
) -> None:
    [found] = index.query([Question(HashingEmbedder().embed(["tea"])[0], None, store.clock(), 1)])[0]
    [seen] = index.at([found.id]).values()
    payload = {name: value for name, value in {**seen.payload, **damage}.items() if value is not None}
    index.upsert([Point(found.id, HashingEmbedder().embed(["tea"])[0], payload)], at_most=seen.version)

    assert len(store.search(NS, "tea", limit=20)) == 11


def test_a_search_grants_the_time_of_what_it_shows_and_of_nothing_else(tmp_path: Path) -> None:
    # Given documents that live for a minute, half of which is over
    with TestingStore(tmp_path) as store:
        for key in ("a", "b", "c"):
            store.put(NS, key, {"text": "tea"}, ttl=60)
        store.put(NS, "immortal", {"text": "tea coffee"})
        store.drain()
        store.clock.advance(30)
        # When two of them are shown, twice, and one is passed over
        passed, *shown = names(store.search(NS, "tea", limit=3))
        pages = store.search_many(NS, ["tea", "tea"], limit=2, offset=1, refresh_ttl=True)
        # Then those have a minute from now, as their hits say
        assert [names(page) for page in pages] == [shown, shown]
        ends = {hit.item.expires_at for page in pages for hit in page}
        assert {(end - store.clock.now).total_seconds() for end in ends if end is not None} == {60.0}
        store.clock.advance(59)
        assert {item.key for item in store.list(NS).items} == {*shown, "immortal"}
        assert passed not in names(store.search(NS, "tea"))
        # And what lives for ever does so
        [hit] = store.search(NS, "coffee", limit=1, refresh_ttl=True)
        assert hit.item.expires_at is None


def test_what_expires_during_a_search_is_neither_shown_nor_revived(embedder: FailingEmbedder) -> None:
    # Given a document that expires when a search has read it
    core = Core(embedder=FailingEmbedder(times=0, inner=HashingEmbedder(8)))
    core.work(core.ref(core.put("tea", ttl=10)))
    core.work(core.ref(core.put("tea", ItemId(NS, "other"), ttl=100)))

    def search(**options: Any) -> list[str]:
        return names(core.parts.searcher.search(NS, "tea", None, Terms(**options)))

    core.db.after["read"] = lambda: core.clock.advance(10)
    # When the search grants time
    found = search(refresh_ttl=True)
    # Then the one document is not shown, and stays expired
    assert found == ["other"]
    assert core.elsewhere.reader.get(NS, "k") is None


def _left(store: TestingStore) -> float:
    [item] = store.list(NS).items
    assert item.expires_at is not None
    return round((item.expires_at - store.clock.now).total_seconds())


def _ranged(path: Path) -> TestingStore:
    return TestingStore(
        path, settings=Settings(embedder=EmbedderSettings(name="hashing"), index=IndexSettings(range_fields=("n",)))
    )


def _reads(store: TestingStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[ItemId], bool]]:
    """What is read of the database from now on, and whether with documents."""
    database, seen = store.parts.database, []
    read: Callable[..., Any] = database.read

    def recorded(ids: Sequence[ItemId], *, body: bool = True, serial: bool = False) -> Any:
        seen.append((list(ids), body))
        return read(ids, body=body, serial=serial)

    monkeypatch.setattr(database, "read", recorded)
    return seen
