"""Several operations in one call, and writes that are collected: order, what reads see, and what failed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import (
    BatchFailed,
    DatabaseUnavailable,
    Delete,
    Get,
    IndexUnavailable,
    List,
    ListNamespaces,
    PartialFailure,
    Put,
    Receipt,
    Search,
    ValidationError,
)
from scylla_store.database.memory import MemoryDatabase
from scylla_store.index.memory import MemoryIndex
from scylla_store.testing import SettableClock, TestingStore
from tests.unit.core import Hooked, HookedDatabase, raises

NS = ("docs",)


class Site:
    """A store over stubs that can be told to fail."""

    def __init__(self, folder: Path) -> None:
        clock = SettableClock()
        self.db = HookedDatabase(MemoryDatabase(clock=clock))
        self.ix = Hooked(MemoryIndex())
        self.store = TestingStore(folder, clock=clock, database=self.db, index=self.ix)  # type: ignore[arg-type]
        self.store.setup()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.store:
        yield site


@pytest.fixture
def store(site: Site) -> TestingStore:
    return site.store


def test_results_come_in_input_order_and_reads_see_what_was_there_before(store: TestingStore) -> None:
    # Given two documents, one of which is indexed
    store.put(NS, "old", {"text": "green tea", "n": 1})
    store.drain()
    store.put(("other",), "k", {})
    # When a batch writes before it reads
    written, gone, absent, old, hits, page, names, new = store.batch(
        [
            Put(NS, "new", {"text": "tea", "n": 2}),
            Delete(NS, "old"),
            Get(NS, "new"),
            Get(NS, "old"),
            Search(NS, "green tea"),
            List(NS, filter={"n": {"$gte": 1}}),
            ListNamespaces((), ("other",)),
            Put(NS, "new", {"text": "tea", "n": 3}),
        ]
    )
    # Then the reads know nothing of it
    assert absent is None
    assert old.value["n"] == 1
    assert [hit.item.key for hit in hits] == ["old"]
    assert [item.key for item in page.items] == ["old"]
    assert names.items == [("other",)]
    # And of two writes of one key the last one is stored
    assert (written, gone.existed, written.created) == (new, True, True)
    assert [item.value["n"] for item in store.list(NS).items] == [3]


def test_the_last_of_a_put_and_a_delete_wins(store: TestingStore) -> None:
    store.batch([Put(NS, "a", {}), Delete(NS, "a"), Delete(NS, "b"), Put(NS, "b", {})])

    assert [item.key for item in store.list(NS).items] == ["b"]


def test_gets_are_one_request(site: Site) -> None:
    site.store.put_many([Put(NS, str(number), {}) for number in range(5)])
    site.db.calls.clear()

    found = site.store.batch([Get(NS, str(number)) for number in range(6)])

    assert [item and item.key for item in found] == ["0", "1", "2", "3", "4", None]
    assert site.db.calls == ["read"]


def test_time_is_granted_by_a_get_that_asks_for_it(store: TestingStore) -> None:
    store.put(NS, "k", {}, ttl=60.0)
    store.clock.advance(30)  # type: ignore[attr-defined]

    before, after = store.batch([Get(NS, "k"), Get(NS, "k", refresh_ttl=True)])

    assert (after.expires_at - before.expires_at).total_seconds() == 30


def test_an_empty_batch_asks_nobody(site: Site) -> None:
    site.db.calls.clear()
    assert site.store.batch(iter(())) == []
    assert site.db.calls == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (Put(NS, "", {}), r"operations\[2\]\.key"),
        (Put(NS, "k", {"a": b""}), r"operations\[2\]\.value"),
        (Delete((), "k"), r"operations\[2\]\.namespace"),
        (Get(NS, 5), r"operations\[2\]\.key"),  # type: ignore[arg-type]
        (Get("docs", "k"), r"operations\[2\]\.namespace"),
        (Search(NS, ""), r"operations\[2\]\.query"),
        (Search(NS, "words", filter={"a": {"$gtr": 1}}), r"operations\[2\]\.filter"),
        (List(NS, limit=0), r"operations\[2\]\.limit"),
        (List(NS, cursor="x"), r"operations\[2\]\.cursor"),
        (ListNamespaces(max_depth=0), r"operations\[2\]\.max_depth"),
        ((NS, "k"), r"operations\[2\] must be one of Put, Get, Delete"),
        (None, r"operations\[2\] must be"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(store: TestingStore, wrong: Any, named: str) -> None:
    store.put(NS, "short", {}, ttl=60.0)
    store.clock.advance(30)  # type: ignore[attr-defined]
    before = store.get(NS, "short")

    with pytest.raises(ValidationError, match=named):
        store.batch([Put(NS, "k", {}), Get(NS, "short", refresh_ttl=True), wrong])

    assert store.list(NS).items == [before]


@pytest.mark.parametrize(
    "wrong", [{"query": ""}, {"limit": 0}, {"prefix": "docs"}, {"filter": 5}, {"min_score": "x"}, {"refresh_ttl": "yes"}]
)
def test_a_wrong_search_is_named_before_another_one_grants_time(store: TestingStore, wrong: dict[str, Any]) -> None:
    store.put(NS, "short", {"text": "words"}, ttl=60.0, wait=0)
    store.clock.advance(30)  # type: ignore[attr-defined]
    right = {"prefix": NS, "query": "words", "refresh_ttl": True}
    before = store.get(NS, "short")

    with pytest.raises(ValidationError, match=rf"operations\[1\]\.{next(iter(wrong))}"):
        store.batch([Search(**right), Search(**{**right, **wrong})])

    assert store.get(NS, "short") == before


def test_no_batch_at_all_is_named(store: TestingStore) -> None:
    with pytest.raises(ValidationError, match="operations"):
        store.batch(5)  # type: ignore[arg-type]


def test_when_a_read_fails_nothing_was_written(site: Site) -> None:
    site.ix.before["query"] = lambda: raises(IndexUnavailable("it is down"))

    with pytest.raises(IndexUnavailable):
        site.store.batch([Put(NS, "k", {}), Search(NS, "tea")])

    assert site.store.list(NS).items == []


@pytest.mark.parametrize("writes", [1, 2])
def test_a_failure_says_which_operations_were_done(site: Site, writes: int) -> None:
    site.store.put(NS, "old", {"n": 1})
    site.db.before["commit"] = lambda: raises(DatabaseUnavailable("it is down"))

    with pytest.raises(BatchFailed, match=f"{writes} of {writes + 1} writes failed") as failure:
        site.store.batch([Get(NS, "old"), *[Put(NS, str(number), {}) for number in range(writes)]])

    failed = failure.value
    assert failed.results[0].value == {"n": 1}
    assert failed.results[1:] == [None] * writes
    assert [type(error) for error in failed.errors] == [type(None), *[DatabaseUnavailable] * writes]
    assert isinstance(pickle.loads(pickle.dumps(failed)), BatchFailed)


# -- pipelines


def test_a_pipeline_stores_what_it_collected_and_reports_on_each(site: Site) -> None:
    site.store.put(NS, "2", {})
    with site.store.pipeline(size=3) as pipeline:
        for number in range(7):
            pipeline.put(NS, str(number), {"n": number})
            assert len(pipeline.receipts) == (number + 1) // 3 * 3
        pipeline.delete(NS, "0")

    receipts = [receipt for receipt in pipeline.receipts if isinstance(receipt, Receipt)]
    assert [receipt.key for receipt in receipts] == ["0", "1", "2", "3", "4", "5", "6", "0"]
    assert [receipt.existed for receipt in receipts] == [False, False, True, False, False, False, False, True]
    assert pipeline.errors == [None] * 8
    assert [item.value["n"] for item in site.store.list(NS).items] == [1, 2, 3, 4, 5, 6]


def test_a_value_is_taken_as_it_is_when_it_is_collected(store: TestingStore) -> None:
    value = {"n": 1}
    with store.pipeline() as pipeline:
        pipeline.put(NS, "k", value)
        value["n"] = 2

    assert store.get(NS, "k").value == {"n": 1}  # type: ignore[union-attr]


def test_what_is_wrong_is_not_collected(store: TestingStore) -> None:
    with store.pipeline() as pipeline:
        for key in ("a", "", "b"):
            try:
                pipeline.put(NS, key, {})
            except ValidationError as exc:
                assert "key" in str(exc)  # noqa: PT017

    assert [item.key for item in store.list(NS).items] == ["a", "b"]


def test_a_block_that_fails_drops_what_was_not_stored_yet(store: TestingStore) -> None:
    with pytest.raises(KeyError), store.pipeline(size=2) as pipeline:
        _three_and_then(pipeline.put, KeyError("mine"))

    assert [item.key for item in store.list(NS).items] == ["0", "1"]
    assert len(pipeline.receipts) == 2


def _three_and_then(put: Callable[..., None], error: Exception) -> None:
    for number in range(3):
        put(NS, str(number), {})
    raise error


def test_a_write_that_fails_holds_up_no_other_and_is_raised_at_the_end(site: Site) -> None:
    site.db.before["commit"] = lambda: raises(DatabaseUnavailable("it is down"))
    with pytest.raises(PartialFailure, match="2 of 3 writes failed") as failure, site.store.pipeline(size=2) as pipeline:
        _three(pipeline.put)

    assert [receipt is None for receipt in failure.value.receipts] == [True, True, False]
    assert [error is None for error in pipeline.errors] == [False, False, True]
    assert [item.key for item in site.store.list(NS).items] == ["2"]


def _three(put: Callable[..., None]) -> None:
    for number in range(3):
        put(NS, str(number), {})


@pytest.mark.parametrize("size", [0, 10_001, True, "5"])
def test_a_wrong_size_is_named(store: TestingStore, size: Any) -> None:
    with pytest.raises(ValidationError, match="size"):
        store.pipeline(size=size)
