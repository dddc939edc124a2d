"""Points without a row are looked for where the sums of points and rows differ, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scylla_store.identity import SLICES, ItemId, item_digest, item_slice, point_id
from scylla_store.index.base import Point
from scylla_store.reconcile.rounds import ORPHANS, ROWS, Round
from tests.unit.core import Core
from tests.unit.reconcile.test_reconciler import NAMESPACE, indexed, item, kinds, orphan, remove, run, settle


def slice_of(key: str) -> int:
    return item_slice(item_digest(ItemId(NAMESPACE, key)))


def stray(core: Core, key: str, number: int) -> None:
    """Points of a document that never was, which say that they are in this slice."""
    digest = item_digest(ItemId(NAMESPACE, key))
    payload = dict(core.points(item(0))[0].payload)
    payload |= {"item": digest, "key": key, "slice": number}
    core.index.upsert([Point(point_id(digest, 0), [1.0] * 8, payload)], at_most=2**60)


def test_a_sound_index_costs_no_look_at_the_rows_of_its_points() -> None:
    core = indexed(20)
    core.db.calls.clear()

    report = run(core)

    assert (kinds(report), report.scanned, report.points) == ({}, 20, 80)
    assert "read" not in core.db.calls


def test_only_slices_with_points_that_no_row_had_are_walked_again() -> None:
    core = indexed(20)
    orphan(core, "never was")
    core.db.calls.clear()

    assert kinds(run(core)) == {"orphan": 1}

    assert core.db.calls.count("read") == 2  # whether it has a row, and the second look
    settle(core)
    assert kinds(run(core)) == {}


@pytest.mark.parametrize(
    "place",
    [
        lambda: slice_of("k0"), lambda: slice_of("never was") - 1, lambda: slice_of("never was") + 1,
        lambda: 0, lambda: SLICES - 1, lambda: SLICES, lambda: SLICES + 7, lambda: -3,
    ],
    ids=[
        "another's", "the one before", "the one after",
        "first", "last", "behind the last", "far behind", "before the first",
    ],
)  # fmt: skip
def test_an_orphan_in_a_slice_that_is_not_its_own_is_found(place: Callable[[], int]) -> None:
    core = indexed(6)
    stray(core, "never was", place())

    assert kinds(run(core)) == {"orphan": 1}

    settle(core)
    assert kinds(run(core)) == {}


@pytest.mark.parametrize("phase", [ROWS, ORPHANS])
def test_who_goes_on_with_the_round_of_another_process_finds_its_orphans(phase: str) -> None:
    # Given an orphan in a slice of its own, and a round that somebody left in this phase
    core = indexed(6)
    orphan(core, "never was")
    while _left_at(core) != phase:
        assert core.parts.reconciler.go_on(0.0) is None
    # When another process goes on
    report = core.elsewhere.reconciler.go_on(60.0)
    # Then it is found
    assert report is not None
    assert kinds(report) == {"orphan": 1}


def test_one_process_goes_on_with_what_it_knows() -> None:
    core = indexed(6)
    core.db.calls.clear()

    reports = [core.parts.reconciler.go_on(0.0) for _ in range(6)]

    assert [kinds(report) for report in reports if report is not None] == [{}]
    assert "read" not in core.db.calls


def test_points_that_came_or_went_between_the_looks_are_no_drift() -> None:
    # Given a round that has met all points
    core = indexed(6)
    while _left_at(core) != ROWS:
        core.parts.reconciler.go_on(0.0)
    # When one document is deleted, one is new, and both are indexed
    core.delete(item(1))
    core.put("new words", item(7))
    settle(core)
    # Then nothing is wrong
    report = core.parts.reconciler.go_on(60.0)
    assert report is not None
    assert kinds(report) == {}


def test_a_document_that_lacks_points_is_counted_beside_an_orphan_of_its_slice() -> None:
    core = indexed(6)
    remove(core, item(1), 1)
    stray(core, "never was", slice_of("k1"))

    assert kinds(run(core)) == {"incomplete": 1, "orphan": 1}


def _left_at(core: Core) -> str:
    """The phase of beat's round; "" before it begins."""
    stored = core.database.state("reconcile.beat")
    return Round.from_json(stored).phase if stored else ""
