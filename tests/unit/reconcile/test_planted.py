"""What other hands may write into the index: found, counted once, repaired by the real engine, and then gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scylla_store.identity import ItemId, item_digest, item_slice, point_id
from scylla_store.index.base import Index, Point, SeenPoint
from scylla_store.letters import DeadLetter
from scylla_store.reconcile import ReconcileReport
from scylla_store.testing import SettableClock, TestingStore
from tests.unit.core import SETTINGS, Core
from tests.unit.reconcile.test_reconciler import (
    LONG,
    NAMESPACE,
    alter,
    everything,
    indexed,
    item,
    kinds,
    orphan,
    run,
    settle,
)

ABSENT = ItemId(NAMESPACE, "never was")
ABSENT_POINT = point_id(item_digest(ABSENT), 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TestingStore]:
    """Four documents in the real engine, indexed, and older than any grace."""
    with TestingStore(tmp_path, clock=SettableClock()) as store:
        for number in range(4):
            store.put(NAMESPACE, f"k{number}", {"text": f"tea number {number}"})
        store.drain()
        store.clock.advance(SETTINGS.reconcile.grace + 60)
        yield store


def index_of(store: TestingStore) -> Index:
    store.parts.open_index()
    return store.parts.index


def points(store: TestingStore, of: ItemId) -> list[SeenPoint]:
    return index_of(store).points_of([item_digest(of)]).get(item_digest(of), [])


def of_nobody(point: SeenPoint) -> dict[str, Any]:
    """The payload of a point of a document that never was."""
    digest = item_digest(ABSENT)
    return {**point.payload, "item": digest, "key": ABSENT.key, "slice": item_slice(digest)}


def rounds(store: TestingStore, number: int = 3) -> list[dict[str, int]]:
    """What some rounds found, each repaired before the next."""
    found = []
    for _ in range(number):
        report: ReconcileReport = store.reconcile()
        assert report.in_flight == 0
        found.append(kinds(report))
        store.drain()
        store.clock.advance(SETTINGS.reconcile.grace + 60)
    assert store.dead_letters.list().items == []
    return found


def plant(store: TestingStore, identifier: str, payload: dict[str, Any]) -> None:
    """Writes a point behind everybody's back."""
    index_of(store).delete([(one.id, one.fingerprint) for one in index_of(store).at([identifier]).values()])
    vector = [1.0] + [0.0] * (store.parts.embedder.dimensions - 1)
    index_of(store).upsert([Point(identifier, vector, payload)], at_most=2**62)


def test_an_orphan_under_a_number_is_taken_away(store: TestingStore) -> None:
    [point] = points(store, item(0))
    plant(store, "7", of_nobody(point))

    assert rounds(store) == [{"orphan": 1}, {}, {}]
    assert points(store, ABSENT) == []


def test_a_copy_of_a_point_under_a_number_is_taken_away(store: TestingStore) -> None:
    [point] = points(store, item(0))
    plant(store, "9", {**point.payload, "version": 5, "fingerprint": "f" * 32})

    assert rounds(store) == [{"stale": 1}, {}, {}]
    assert points(store, item(0)) == [point]


@pytest.mark.parametrize("full", [False, True])
def test_an_orphan_is_found_although_a_repair_of_it_was_given_up(full: bool) -> None:
    # Given an orphan, and the dead letter of a repair that failed
    core = indexed(3)
    orphan(core, ABSENT.key)
    letter = DeadLetter(item_digest(ABSENT), ABSENT, b"reconciliation  ", None, "X", "X", 8, 1, 1, core.clock())
    core.database.bury(letter)
    core.clock.advance(60)
    # When it is reconciled
    found = run(core, full=full)
    # Then it is found, and goes together with its letter
    assert (kinds(found), found.in_flight, found.repaired) == ({"orphan": 1}, 0, 1)
    settle(core)
    assert core.points(ABSENT) == []
    assert core.database.letters(after=None, limit=10) == []


@pytest.mark.parametrize("order", ["$created_at", "-$updated_at"])
def test_a_find_goes_on_behind_a_copy_under_a_number(store: TestingStore, order: str) -> None:
    # Given two copies of a point under numbers
    [point] = points(store, item(0))
    plant(store, "9", dict(point.payload))
    plant(store, "10", dict(point.payload))
    # When all is found, one at a time
    met, cursor = [], None
    while True:
        page = store.find(NAMESPACE, limit=1, order_by=order, cursor=cursor)
        met += [one.key for one in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    # Then each document comes
    assert set(met) == {"k0", "k1", "k2", "k3"}


ODD: list[dict[str, Any]] = [
    *({"version": version} for version in ([2**52], [5], 1e18, "x", None, {"a": 1}, -3, [], True, 5.5, 1e300)),
    {"fingerprint": ["ff"]},
    {"fingerprint": 7},
    {"version": [2**52, 5], "fingerprint": ["", "ff"]},
]


@pytest.mark.parametrize("fields", ODD, ids=str)
def test_a_point_whose_mark_or_version_has_another_form_is_repaired(
    store: TestingStore, fields: dict[str, Any]
) -> None:
    # Given a point of a document, and one of none
    [point] = points(store, item(0))
    plant(store, point.id, {**point.payload, **fields})
    plant(store, point_id(item_digest(ABSENT), 0), {**of_nobody(point), **fields})
    # When some rounds go over them
    # Then the first one finds both, and no other finds them again
    assert rounds(store) == [{"damaged": 2}, {}, {}]
    assert (points(store, item(0)), points(store, ABSENT)) == ([point], [])


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"ordinal": False}, "damaged"),
        ({"ordinal": 0.0}, "damaged"),
        ({"count": True}, "damaged"),
        ({"slice": [5]}, "damaged"),
        ({"expires_at": float(2**60)}, "damaged"),
        ({"text_hash": ["x"], "version": 5, "write": "00", "fingerprint": "f"}, "stale"),
    ],
    ids=str,
)
def test_a_field_that_only_equals_what_it_should_be_is_repaired(
    store: TestingStore, fields: dict[str, Any], kind: str
) -> None:
    [point] = points(store, item(0))
    plant(store, point.id, {**point.payload, **fields})

    assert rounds(store) == [{kind: 1}, {}, {}]
    assert points(store, item(0)) == [point]
    assert {type(point.payload[name]) for name in ("ordinal", "count", "slice", "expires_at")} == {int}


def test_a_version_that_only_equals_the_documents_is_repaired(store: TestingStore) -> None:
    [point] = points(store, item(0))
    plant(store, point.id, {**point.payload, "version": float(point.version)})

    assert rounds(store) == [{"damaged": 1}, {}, {}]
    assert type(points(store, item(0))[0].payload["version"]) is int


@pytest.mark.parametrize("said", [2**40, 2**53, 2**60, 2**63 - 1, 1e18, [3, 2**60], -1, 2.5, "x"], ids=str)
def test_an_orphan_is_found_in_whatever_slice_it_says_that_it_is(store: TestingStore, said: Any) -> None:
    [point] = points(store, item(0))
    plant(store, point_id(item_digest(ABSENT), 0), {**of_nobody(point), "slice": said})

    assert rounds(store, 2) == [{"orphan": 1}, {}]


@pytest.mark.parametrize("ordinal", range(4))
def test_a_wrong_count_is_found_on_each_chunk(ordinal: int) -> None:
    core = indexed(3)
    alter(core, item(1), ordinal, count=9)

    assert kinds(run(core)) == {"incomplete": 1}

    settle(core)
    assert {point.payload["count"] for point in core.points(item(1))} == {4}
    assert kinds(run(core)) == {}


def bare(core: Core, of: ItemId, identifier: str = "", **fields: Any) -> None:
    """Plants a point of the item that has no tokens, and is else like those that another item has."""
    digest = item_digest(of)
    payload = (
        dict(core.points(item(0))[0].payload) | {"item": digest, "key": of.key, "slice": item_slice(digest)} | fields
    )
    for field in ("tokens", "facts", "facts_digest"):
        payload.pop(field)
    core.index.upsert([Point(identifier or point_id(digest, payload["ordinal"]), [1.0] * 8, payload)], at_most=2**62)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("full", [True, False])
def test_points_without_tokens_that_no_row_asks_for_are_found(full: bool, dry_run: bool) -> None:
    # Given a document that is not searchable, a deleted one and some that are right
    core = indexed(9)
    core.put(LONG, item(1), index=False)
    core.delete(item(2))
    settle(core)
    core.clock.advance(60)
    right = everything(core)
    # When each of them, and one that never was, has a point without tokens beside what it should have
    for number in (1, 2):
        bare(core, item(number))
    bare(core, ABSENT)
    mark = {number: core.points(item(number))[0].payload for number in (3, 4, 5)}
    bare(core, item(3), **{**mark[3], "ordinal": 7})
    bare(core, item(4), **{**mark[4], "ordinal": 8, "fingerprint": "f" * 32})
    bare(core, item(5), "7", **mark[5])
    # And something is wrong with others that their rows tell
    alter(core, item(6), tokens=[])
    alter(core, item(7), version=5, write="00" * 16, fingerprint="f" * 32)
    # Then each is counted once
    expected = {"stale": 3, "orphan": 2, "damaged": 3}
    found = run(core, full=full, dry_run=dry_run)
    assert (kinds(found), found.in_flight) == (expected, 0)
    if dry_run:
        return
    # And repaired
    settle(core)
    core.clock.advance(60)
    assert everything(core) == right
    assert (kinds(run(core)), kinds(run(core, full=True))) == ({}, {})


def test_of_documents_whose_points_are_all_stale_no_more_than_a_hundred_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an older index that was put back: all points are of earlier writes
    core = indexed(250)
    for number in range(250):
        alter(core, item(number), version=5, write="00" * 16, fingerprint="f" * 32)
    read, sizes = core.database.read, []

    def watched(items: Sequence[ItemId], **options: Any) -> Any:
        if options.get("body", True):
            sizes.append(len(items))
        return read(items, **options)

    monkeypatch.setattr(core.database, "read", watched)
    # When all is compared
    assert kinds(run(core)) == {"stale": 250}
    # Then whole documents were read in small parts
    assert sum(sizes) >= 250
    assert max(sizes) <= 100


@pytest.mark.parametrize("repair", ["reconcile", "resync"])
def test_a_chunk_that_lost_its_vector_gets_one(store: TestingStore, repair: str) -> None:
    # Given a point whose vector is gone, while its payload is right
    [point] = points(store, item(0))
    index_of(store).upsert([Point(point.id, None, point.payload)], at_most=2**62)
    assert not index_of(store).vectors([(point.id, point.fingerprint)])
    # When everything is compared, or indexed again
    if repair == "resync":
        store.resync(NAMESPACE)
    else:
        assert kinds(store.reconcile(full=True)) == {"damaged": 1}
    store.drain()
    # Then it is found again
    assert sorted(hit.item.key for hit in store.search(NAMESPACE, "tea number")) == ["k0", "k1", "k2", "k3"]
    assert points(store, item(0)) == [point]
    store.clock.advance(SETTINGS.reconcile.grace + 60)
    assert kinds(store.reconcile(full=True)) == {}


def test_a_document_without_text_has_no_vector_and_is_right(store: TestingStore) -> None:
    store.put(NAMESPACE, "bare", {"number": 7})
    store.drain()
    store.clock.advance(SETTINGS.reconcile.grace + 60)

    assert kinds(store.reconcile(full=True)) == {}


def test_points_whose_place_others_took_at_their_own_version_are_repaired_at_once() -> None:
    core = indexed(8)
    for number in range(4):
        alter(core, item(number), 0, item="somebody else")
    found = []
    for _ in range(2):
        found.append(kinds(run(core)))
        settle(core)
        core.clock.advance(60)
    assert found == [{"damaged": 4}, {}]


@pytest.mark.parametrize(
    "named", [{"namespace": ["a"] * 256}, {"namespace": ["a" * 600]}, {"key": "k" * 2000}, {"key": "\ud800"}]
)
def test_a_point_that_names_what_no_item_can_be_called_is_damaged(named: dict[str, Any]) -> None:
    core = indexed(3)
    payload = {**core.points(item(0))[0].payload, "item": "f" * 32, **named}
    core.index.upsert([Point(ABSENT_POINT, [1.0] * 8, payload)], at_most=2**60)
    assert kinds(run(core)) == {"damaged": 1}
