"""Bulk writes: any number of documents in bounded memory, and not more than the index can keep up with."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Backlogged, DatabaseUnavailable, PartialFailure, Put, Receipt, ValidationError
from scylla_store.drain import Scope
from scylla_store.identity import ItemId
from scylla_store.pressure import Pressure
from scylla_store.settings.options import BulkSettings, EmbedderSettings, Settings
from scylla_store.summary import load_summary
from scylla_store.testing import TestingStore
from tests.unit.core import SETTINGS, Core, raises
from tests.unit.test_batch import NS, Site


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TestingStore]:
    with TestingStore(tmp_path) as store:
        yield store


# -- a stream of documents


class Watched(dict[str, Any]):
    """A document; how many of its kind exist."""

    alive = 0

    def __init__(self, **fields: Any) -> None:
        super().__init__(fields)
        Watched.alive += 1

    def __del__(self) -> None:
        Watched.alive -= 1


def test_of_any_number_of_documents_few_are_in_memory(store: TestingStore) -> None:
    # Given documents that are made while they are taken
    most = 0

    def documents() -> Iterator[Put]:
        nonlocal most
        for number in range(5000):
            yield Put(NS, str(number), Watched(n=number))
            most = max(most, Watched.alive)

    # When they are stored with progress
    told: list[tuple[int, int]] = []
    returned = store.put_many(documents(), on_progress=lambda stored, receipts: told.append((stored, len(receipts))))
    # Then never more than a thousand and what was just taken were there
    assert returned == []
    assert told == [(1000 * part, 1000) for part in range(1, 6)]
    assert most <= 2001
    assert store.count(NS, exact=True) == 5000


def test_documents_that_are_large_together_are_stored_together(
    store: TestingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given documents of 1,000 bytes, of which five are all that fits in memory
    monkeypatch.setattr("scylla_store.pipeline.SCAN_BYTES", 5000)
    taken, told = 0, list[tuple[int, int]]()

    def documents() -> Iterator[Put]:
        nonlocal taken
        for taken in range(1, 13):
            yield Put(NS, str(taken), {"text": "x" * 1000})

    # When they are stored
    store.put_many(documents(), on_progress=lambda stored, _: told.append((taken, stored)))
    # Then no sixth is taken before those are stored
    assert told == [(5, 5), (10, 10), (12, 12)]


def test_a_pipeline_stores_what_is_large_together(store: TestingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.pipeline.SCAN_BYTES", 5000)
    stored = []
    with store.pipeline() as pipeline:
        for number in range(12):
            pipeline.put(NS, str(number), {"text": "x" * 1000})
            stored.append(len(pipeline.receipts))
    assert stored == [0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10, 10]


def test_progress_has_the_receipts(store: TestingStore) -> None:
    found: list[Receipt] = []
    store.put_many([Put(NS, key, {}) for key in "aba"], on_progress=lambda _, receipts: found.extend(receipts))
    assert [receipt.key for receipt in found] == ["a", "b", "a"]
    assert found[0] is found[2]


def test_what_is_wrong_is_named_by_its_place_and_what_was_told_is_stored(store: TestingStore) -> None:
    told: list[int] = []
    puts = [Put(NS, str(number), {}) for number in range(1500)]
    puts[1200] = Put(NS, "", {})

    with pytest.raises(ValidationError, match=r"puts\[1200\]\.key"):
        store.put_many(iter(puts), on_progress=lambda stored, _: told.append(stored))

    assert (told, store.count(NS, exact=True)) == ([1000], 1000)


def test_a_failure_says_how_many_were_stored_before(tmp_path: Path) -> None:
    site = Site(tmp_path)
    told: list[int] = []

    def fail_next(stored: int, _: list[Receipt]) -> None:
        told.append(stored)
        site.db.before["commit"] = lambda: raises(DatabaseUnavailable("it is down"))

    with site.store as store, pytest.raises(PartialFailure, match="2 of 2 writes failed, the others and 1000") as failure:
        store.put_many((Put(NS, str(number), {}) for number in range(1002)), on_progress=fail_next)

    assert (told, failure.value.before, failure.value.receipts) == ([1000], 1000, [None, None])
    copy = pickle.loads(pickle.dumps(failure.value))
    assert (copy.before, str(copy)) == (1000, str(failure.value))


@pytest.mark.parametrize(
    ("options", "named"), [({"on_progress": 5}, "on_progress"), ({"on_progress": print, "wait": 1.0}, "wait")]
)
def test_wrong_arguments_are_named(store: TestingStore, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        store.put_many([Put(NS, "k", {})], **options)
    assert store.list(NS).items == []


# -- back-pressure


class Waiting:
    """Pressure over a core, whose sleep is a hook and moves its own clock."""

    def __init__(self, *, counts: bool = True, patience: float = 30.0) -> None:
        self.core = Core(settings=SETTINGS)
        self.slept: list[float] = []
        self.on_sleep = lambda: None
        settings = Settings(bulk=BulkSettings(max_pending=10, patience=patience))
        self.pressure = Pressure(
            self.core.database,
            settings,
            self.core.clock,
            counts=counts,
            sleep=self._sleep,
            monotonic=lambda: sum(self.slept),
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()

    def fill(self, number: int) -> None:
        """Puts so many documents, which are pending then."""
        for one in range(number):
            self.core.put(item=ItemId(NS, str(one)))

    def index(self) -> None:
        """Brings them to the index."""
        self.core.clock.advance(60)
        self.core.elsewhere.drain.run(Scope.ALL)
        for refs in self.core.dispatcher.sent:
            self.core.elsewhere.worker.work(refs)


def test_without_a_limit_nobody_asks() -> None:
    core = Core()
    pressure = Pressure(core.db, Settings(), core.clock, counts=True)  # type: ignore[arg-type]
    pressure.admit(10**6)
    assert core.db.outbox.calls == []


def test_a_bulk_write_waits_until_there_is_room() -> None:
    waiting = Waiting()
    waiting.fill(8)
    waiting.pressure.admit(2)
    assert waiting.slept == []
    waiting.on_sleep = waiting.index

    waiting.pressure.admit(3)

    assert waiting.slept == [0.25]


def test_it_waits_no_longer_than_its_patience_and_says_why() -> None:
    waiting = Waiting()
    waiting.fill(8)

    with pytest.raises(Backlogged, match=r"About 8 writes wait .* bulk\.max_pending is 10.*status"):
        waiting.pressure.admit(3)

    assert sum(waiting.slept) == 30.0


def test_without_patience_it_fails_at_once() -> None:
    waiting = Waiting(patience=0)
    waiting.fill(8)
    with pytest.raises(Backlogged):
        waiting.pressure.admit(3)
    assert waiting.slept == []


def test_nothing_to_store_waits_for_nobody() -> None:
    waiting = Waiting(patience=0)
    waiting.fill(20)
    waiting.pressure.admit(0)


def test_more_than_the_limit_is_stored_when_nothing_waits() -> None:
    waiting = Waiting(patience=0)
    waiting.pressure.admit(50)
    waiting.fill(1)
    with pytest.raises(Backlogged):
        waiting.pressure.admit(50)


def test_a_fresh_summary_and_what_was_added_since_is_believed() -> None:
    # Given a drain that saw five, and three that were admitted since
    waiting = Waiting(counts=False, patience=0)
    waiting.fill(5)
    waiting.core.elsewhere.drain.run(Scope.DUE)
    waiting.pressure.admit(3)
    # When three more are to be stored, then there is no room
    with pytest.raises(Backlogged, match="About 8"):
        waiting.pressure.admit(3)
    # And when another drain has seen fewer, there is
    waiting.index()
    waiting.core.clock.advance(1)
    waiting.core.elsewhere.drain.run(Scope.DUE)
    waiting.pressure.admit(3)


def test_an_old_summary_is_not_believed() -> None:
    # Given a drain that saw nothing, a minute ago, and a backlog since
    waiting = Waiting(counts=False, patience=0)
    waiting.core.elsewhere.drain.run(Scope.DUE)
    assert load_summary(waiting.core.database).at == waiting.core.clock()  # type: ignore[union-attr]
    waiting.fill(9)
    waiting.pressure.admit(2)
    waiting.core.clock.advance(31)
    # When more are to be stored, then they are counted
    with pytest.raises(Backlogged, match="About 9"):
        waiting.pressure.admit(2)


def test_documents_that_expire_soon_count_like_others(tmp_path: Path) -> None:
    settings = Settings(embedder=EmbedderSettings(name="hashing"), bulk=BulkSettings(max_pending=3, patience=0))
    with TestingStore(tmp_path, settings=settings) as store:
        store.put_many([Put(NS, str(number), {}, ttl=5.0) for number in range(10)])

        with pytest.raises(Backlogged):
            store.put_many([Put(NS, "more", {}, ttl=5.0)])


def test_put_never_waits_and_put_many_and_pipelines_do(tmp_path: Path) -> None:
    settings = Settings(embedder=EmbedderSettings(name="hashing"), bulk=BulkSettings(max_pending=3, patience=0))
    with TestingStore(tmp_path, settings=settings) as store:
        for number in range(5):
            store.put(NS, str(number), {})
        puts = [Put(NS, "more", {})]
        for bulk in (lambda: store.put_many(puts), lambda: store.put_many(puts, on_progress=lambda *_: None)):
            with pytest.raises(Backlogged):
                bulk()
        pipeline = store.pipeline()
        pipeline.put(NS, "more", {})
        with pytest.raises(Backlogged):
            pipeline.flush()
        assert store.get(NS, "more") is None
        # When the index has caught up, what was collected is stored
        store.drain()
        pipeline.flush()
        assert store.get(NS, "more") is not None
