"""An embedded store whose machine's clock was ahead once: all later versions lie in the future, and are repaired all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scylla_store import ScyllaStore
from scylla_store.identity import ItemId, item_digest
from scylla_store.testing import SettableClock, TestingStore
from tests.unit.reconcile.test_reconciler import indexed, item, kinds, run, settle

YEAR = 365 * 86400
DOCUMENTS = 4


def after_a_year_too_far(path: Path, clock: SettableClock) -> TestingStore:
    """A store whose documents were all written after a put of a clock that was a year ahead, and is right again."""
    store = TestingStore(path, clock=clock)
    clock.advance(YEAR)
    store.put(("other",), "k", {"text": "x"})
    clock.advance(-YEAR)
    for number in range(DOCUMENTS):
        store.put(("docs",), f"k{number}", {"text": f"tea number {number}"})
    store.drain()
    clock.advance(3600)
    return store


def found(store: ScyllaStore) -> int:
    return len(store.search(("docs",), "tea", limit=DOCUMENTS + 1))


def test_what_its_index_lacks_is_found_and_repaired(tmp_path: Path) -> None:
    with after_a_year_too_far(tmp_path, SettableClock()) as store:
        assert found(store) == DOCUMENTS
        for number in range(DOCUMENTS):
            digest = item_digest(ItemId(("docs",), f"k{number}"))
            points = store.parts.index.points_of([digest])[digest]
            store.parts.index.delete([(point.id, point.fingerprint) for point in points])

        report = store.reconcile()

        assert (report.missing, report.in_flight, report.repaired) == (DOCUMENTS, 0, DOCUMENTS)
        store.drain()
        assert found(store) == DOCUMENTS
        assert store.reconcile().drift == 0


def test_its_index_is_rebuilt(tmp_path: Path) -> None:
    clock = SettableClock()
    after_a_year_too_far(tmp_path, clock).close()
    shutil.rmtree(tmp_path / "index")
    with TestingStore(tmp_path, clock=clock) as store:
        assert store.reconcile(full=True).missing == DOCUMENTS + 1
        store.drain()
        hits = store.search(("docs",), "tea", limit=DOCUMENTS + 1)
        assert (len(hits), hits.is_rebuilding) == (DOCUMENTS, False)


def test_what_is_just_being_written_is_no_difference(tmp_path: Path) -> None:
    with after_a_year_too_far(tmp_path, SettableClock()) as store:
        for number in range(DOCUMENTS):
            store.put(("docs",), f"k{number}", {"text": f"coffee number {number}"})

        report = store.reconcile()

        assert (report.drift, report.in_flight) == (0, DOCUMENTS)


def test_a_rebuild_does_not_end_before_it_could_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a document of a clock that was ahead, missing in a new index, and of others more that waits than can be read
    core = indexed(2)
    monkeypatch.setattr("scylla_store.reconcile.looks._MOST_WAITING", 1)
    core.clock.advance(YEAR)
    lost = core.put("its points were in the old index", item(1), parts=core.other(core.clock))
    core.clock.advance(-YEAR)
    core.database.outbox.ack([lost.intent])
    assert core.parts.rebuild.begin_if_documents()
    waiting = [core.repair(item(0)), core.repair(item(0))]
    core.clock.advance(60)
    # When it is compared
    assert kinds(run(core)) == {}
    core.sync(*waiting)
    # Then the rebuild goes on until that document was found
    assert core.elsewhere.rebuild.since() is not None
    assert kinds(run(core)) == {"stale": 1}
    settle(core)
    core.clock.advance(1)
    assert core.elsewhere.rebuild.since() is None
