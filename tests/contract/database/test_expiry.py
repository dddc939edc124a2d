"""On each database an item is there until the microsecond at which it expires, whoever looks, and whoever writes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scylla_store.batch import Get
from scylla_store.identity import ItemId, Namespace
from scylla_store.index.memory import MemoryIndex
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.items import Put
from scylla_store.moving import Export
from scylla_store.receipts import Receipt
from scylla_store.testing import SettableClock, TestingStore
from tests.contract.database.subject import Subject

KEY = "k"
BRIEF = 0.01
"""Seconds: clocks may run ahead of a server's by little."""

_numbers = itertools.count()

Look = Callable[[TestingStore, Namespace], bool]
Change = Callable[[TestingStore, Namespace, int], bool]


def exported(store: TestingStore, namespace: Namespace) -> bool:
    export = Export(store.parts.database, store.parts.reader, store.clock, namespace)
    return any(json.loads(line)["key"] == KEY for lines in export.lines() for line in lines)


LOOKS: dict[str, Look] = {
    "get": lambda store, ns: store.get(ns, KEY) is not None,
    "get_many": lambda store, ns: store.get_many([(ns, KEY)]) != [None],
    "get in a batch": lambda store, ns: store.batch([Get(ns, KEY)]) != [None],
    "list": lambda store, ns: store.list(ns).items != [],
    "list with a filter": lambda store, ns: store.list(ns, filter={"text": "tea"}).items != [],
    "count": lambda store, ns: store.count(ns, exact=True) == 1,
    "count with a filter": lambda store, ns: store.count(ns, filter={"text": "tea"}) == 1,
    "exact count with a filter": lambda store, ns: store.count(ns, filter={"text": "tea"}, exact=True) == 1,
    "count by the index": lambda store, ns: store.count(ns) == 1,
    "search": lambda store, ns: store.search(ns, "tea") != [],
    "search with a filter": lambda store, ns: store.search(ns, "tea", filter={"text": "tea"}) != [],
    "search without documents": lambda store, ns: store.search(ns, "tea", with_value=False) != [],
    "search_many": lambda store, ns: store.search_many(ns, ["tea"]) != [[]],
    "find": lambda store, ns: store.find(ns).items != [],
    "find with a filter": lambda store, ns: store.find(ns, filter={"text": "tea"}).items != [],
    "export": exported,
}

CHANGES: dict[str, Change] = {
    "put replaces": lambda store, ns, version: not store.put(ns, KEY, {}).created,
    "put in a batch replaces": lambda store, ns, version: store.batch([Put(ns, KEY, {})])[0].existed,
    "delete": lambda store, ns, version: store.delete(ns, KEY).existed,
    "put_if_not_exists refuses": lambda store, ns, version: not store.put_if_not_exists(ns, KEY, {}),
    "update_if_exists": lambda store, ns, version: bool(store.update_if_exists(ns, KEY, {})),
    "compare_and_set": lambda store, ns, version: bool(store.compare_and_set(ns, KEY, {}, expected_version=version)),
    "delete_if_exists": lambda store, ns, version: bool(store.delete_if_exists(ns, KEY)),
    "delete_if_version": lambda store, ns, version: bool(store.delete_if_version(ns, KEY, expected_version=version)),
    "update": lambda store, ns, version: bool(store.update(ns, KEY, {"a": 1})),
    "get that refreshes": lambda store, ns, version: store.get(ns, KEY, refresh_ttl=True) is not None,
    "search that refreshes": lambda store, ns, version: store.search(ns, "tea", refresh_ttl=True) != [],
}


@pytest.fixture
def store(subject: Subject, tmp_path: Path) -> Iterator[TestingStore]:
    """Its clock stands still at the database's time."""
    clock = SettableClock(subject.now())
    with TestingStore(tmp_path / "store", database=subject.database, index=MemoryIndex(), clock=clock) as opened:
        opened.parts.index.setup(opened.parts.specification)
        yield opened


@pytest.mark.parametrize("look", LOOKS)
def test_it_is_seen_until_the_microsecond_at_which_it_expires(store: TestingStore, look: str) -> None:
    namespace, receipt = _indexed(store)
    end = _end(store, namespace)

    seen = []
    for moment in (receipt.version, end - 1, end, end + 1):
        store.clock.set(moment)
        seen.append(LOOKS[look](store, namespace))

    assert seen == [True, True, False, False]


@pytest.mark.parametrize("look", LOOKS)
def test_one_that_was_granted_more_time_is_seen_until_that_is_over(store: TestingStore, look: str) -> None:
    namespace, _ = _indexed(store)
    first = _end(store, namespace)
    store.clock.set(first - 1)
    assert store.get(namespace, KEY, refresh_ttl=True) is not None
    _index(store, namespace)
    end = _end(store, namespace)

    seen = []
    for moment in (first, end - 1, end):
        store.clock.set(moment)
        seen.append(LOOKS[look](store, namespace))

    assert seen == [True, True, False]
    assert end == first - 1 + int(BRIEF * 1_000_000)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("moment", "is_there"), [(-1, True), (0, False)])
def test_a_write_finds_it_until_the_microsecond_at_which_it_expires(
    store: TestingStore, change: str, moment: int, is_there: bool
) -> None:
    namespace, receipt = _indexed(store)
    assert receipt.version is not None
    store.clock.set(_end(store, namespace) + moment)

    assert CHANGES[change](store, namespace, receipt.version) is is_there


@pytest.mark.parametrize(("ttl", "is_mortal"), [(None, False), (1.0, True)])
def test_a_refresh_beside_a_put_undoes_nothing_of_it(store: TestingStore, ttl: float | None, is_mortal: bool) -> None:
    # Given an item that a reader wants to grant more time, and a put that comes in between
    namespace, _ = _indexed(store)
    began = store.parts.reader.moment()
    read = store.parts.reader.rows([ItemId(namespace, KEY)]).values()
    store.clock.advance(BRIEF / 2)
    new = store.put(namespace, KEY, {"text": "new"}, ttl=ttl)
    # When the time is granted
    store.parts.reader.refresh(read, began)
    # Then the item is the put's, and lives as long as that says
    item = store.get(namespace, KEY)
    assert item is not None
    assert (item.value, item.version) == ({"text": "new"}, new.version)
    assert (item.expires_at is not None) == is_mortal
    assert not is_mortal or (item.expires_at - item.updated_at).total_seconds() == ttl  # type: ignore[operator]


def test_a_refresh_takes_nothing_away_that_another_process_granted(store: TestingStore, tmp_path: Path) -> None:
    # Given two processes; the versions of one lie ahead of its clock
    parts = store.parts
    namespace, _ = _indexed(store)
    first = _end(store, namespace)
    parts.clock.version(store.clock() + 4_000_000)

    # When they grant time in turn, Then each of them does
    granted = []
    with TestingStore(tmp_path / "other", database=parts.database, index=parts.index, clock=store.clock) as other:
        for reader in (store, other, store, other):
            store.clock.advance(BRIEF / 4)
            assert reader.get(namespace, KEY, refresh_ttl=True) is not None
            granted.append(_end(store, namespace) - first)
    quarter = int(BRIEF / 4 * 1_000_000)
    assert granted == [granted[0] + quarter * turn for turn in range(4)]
    assert granted[0] > 0


def _indexed(store: TestingStore) -> tuple[Namespace, Receipt]:
    """A document that lives for a moment, alone in its namespace."""
    namespace = ("expiry", str(next(_numbers)))
    receipt = store.put(namespace, KEY, {"text": "tea"}, ttl=BRIEF)
    _index(store, namespace)
    return namespace, receipt


def _index(store: TestingStore, namespace: Namespace) -> None:
    """Brings it to the index, and nothing of what other tests left in the outbox."""
    now = store.clock()
    intent = new_intent(ItemId(namespace, KEY), bytes(16), 0, Kind.REPAIR, now=now, due=now)
    store.parts.database.outbox.file([intent])
    assert store.parts.worker.work([Ref(intent)]).acked


def _end(store: TestingStore, namespace: Namespace) -> int:
    """When it expires (microseconds)."""
    [row] = store.parts.reader.rows([ItemId(namespace, KEY)]).values()
    assert row.expires_at is not None
    return row.expires_at
