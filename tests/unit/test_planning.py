"""The decisions of the sync protocol, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scylla_store import planning
from scylla_store.identity import ItemId, item_digest, point_id
from scylla_store.index.base import SeenPoint
from scylla_store.intents import Intent, IntentKey, Kind, Ref
from scylla_store.points import Draft
from scylla_store.rows import Head, Row

ITEM = ItemId(("docs",), "k")
MARGIN = 30
ROW_VERSION = 1000


def row(version: int = ROW_VERSION, write_id: bytes = b"r" * 16, expires_at: int | None = None) -> Row:
    return Row(ITEM, version, Head(write_id=write_id, created_at=1), expires_at, None, None)


def ref(version: int | None, write_id: bytes, kind: Kind = Kind.WRITE, filed_at: int = ROW_VERSION) -> Ref:
    return Ref(Intent(IntentKey(filed_at + MARGIN, 0, b"i" * 16), ITEM, write_id, version, kind, filed_at))


def seen(ordinal: int, version: int, fingerprint: str) -> SeenPoint:
    digest = item_digest(ITEM)
    return SeenPoint(
        point_id(digest, ordinal), digest, version, fingerprint, {"fingerprint": fingerprint, "text_hash": "h"}
    )


def draft(ordinal: int, fingerprint: str = "right") -> Draft:
    return Draft(point_id(item_digest(ITEM), ordinal), {"fingerprint": fingerprint, "text_hash": "h"}, "text")


R, S = b"r" * 16, b"s" * 16


@pytest.mark.parametrize(
    ("given", "stored", "t0", "young"),
    [
        pytest.param(ref(ROW_VERSION, R), row(), 1010, False, id="the row's own write"),
        pytest.param(ref(900, S), row(), 1010, False, id="an older write"),
        pytest.param(ref(1001, S), row(), 1010, True, id="a newer write, within the margin"),
        pytest.param(ref(1001, S), row(), 1030, False, id="a newer write, past the margin"),
        pytest.param(ref(ROW_VERSION, S), row(), 1010, True, id="a tie that the other write will win"),
        pytest.param(
            ref(ROW_VERSION, b"a" * 16), row(), 1010, True, id="a tie that the other write wins if it is a delete"
        ),
        pytest.param(ref(ROW_VERSION, b"a" * 16), row(), 1030, False, id="a tie, past the margin"),
        pytest.param(ref(1001, S), None, 1010, True, id="no row yet"),
        pytest.param(ref(None, S), row(), 1010, True, id="a conditional write that is not the row's"),
        pytest.param(ref(None, R), row(), 1010, False, id="a conditional write that is the row's"),
        pytest.param(ref(1001, S, Kind.EXPIRY), row(), 1010, False, id="expiry is never young"),
        pytest.param(ref(1001, S, Kind.REPAIR), row(), 1010, False, id="repair is never young"),
        pytest.param(ref(1001, S, Kind.REPLAY), row(), 1010, False, id="nor is replay"),
        pytest.param(ref(1001, S, Kind.AGAIN), row(), 1010, False, id="filed again is never young"),
    ],
)
def test_a_write_is_young_while_it_may_still_be_on_its_way(
    given: Ref, stored: Row | None, t0: int, young: bool
) -> None:
    assert young == planning.is_young([given], stored, t0=t0, margin=MARGIN)


def test_one_young_intent_of_a_set_is_enough() -> None:
    old, young = ref(1001, S, filed_at=900), ref(1002, S, filed_at=1000)

    assert planning.is_young([old, young], row(), t0=1010, margin=MARGIN)
    assert not planning.is_young([old], row(), t0=1010, margin=MARGIN)

    # Also when it is not the newest: the writer of the newest may be dead, while the other's is still at work
    newest, other = ref(1002, S, filed_at=900), ref(1001, S, filed_at=1000)
    assert planning.is_young([newest, other], row(), t0=1010, margin=MARGIN)


def test_only_conditional_writes_that_are_not_the_rows_need_a_serial_read() -> None:
    assert planning.needs_serial([ref(None, S)], row())
    assert planning.needs_serial([ref(None, S)], None)
    assert not planning.needs_serial([ref(None, R), ref(900, S)], row())


@pytest.mark.parametrize(
    ("points", "stored", "expected"),
    [
        pytest.param([seen(0, ROW_VERSION, "right")], row(), False, id="the row's point"),
        pytest.param([seen(0, 999, "other")], row(), False, id="an older point"),
        pytest.param([seen(0, 1000, "other")], row(), True, id="a tie"),
        pytest.param([seen(0, 1001, "other")], row(), True, id="a newer point"),
        pytest.param([seen(0, 1, "other")], None, True, id="a point without a row"),
        pytest.param([], None, False, id="nothing"),
    ],
)
def test_the_row_is_read_again_when_a_foreign_point_is_as_new(
    points: list[SeenPoint], stored: Row | None, expected: bool
) -> None:
    assert expected == planning.needs_another_look(points, stored, "right")


def test_a_plan_deletes_newer_points_upserts_wrong_ones_and_removes_the_surplus() -> None:
    # Given a row with chunks 0 to 2; points 0 right, 1 stale, 2 missing, 3 surplus and 4 newer than the row
    points = [
        seen(0, 1000, "right"), seen(1, 900, "stale"), seen(3, 900, "stale"), seen(4, 2000, "newer"),
    ]  # fmt: skip

    # When
    plan = planning.plan(points, [draft(0), draft(1), draft(2)], version=1000, live=True)

    # Then
    digest = item_digest(ITEM)
    assert [(point_id(digest, 4), "newer")] == plan.deletes
    assert [draft(1).id, draft(2).id] == [upsert.id for upsert in plan.upserts]
    assert [(point_id(digest, 3), "stale")] == plan.surplus


def test_a_point_of_the_target_that_is_newer_than_the_row_is_deleted_and_written_again() -> None:
    plan = planning.plan([seen(0, 2000, "newer")], [draft(0)], version=1000, live=True)

    assert [(draft(0).id, "newer")] == plan.deletes
    assert [draft(0)] == plan.upserts


def test_all_points_go_when_the_row_is_not_live() -> None:
    points = [seen(0, 900, "old"), seen(1, 1000, "right")]

    plan = planning.plan(points, [], version=1000, live=False)

    assert {"old", "right"} == {mark for _, mark in plan.deletes}
    assert not plan.upserts
    assert not plan.surplus


def test_an_item_is_indexed_only_when_points_and_target_are_equal() -> None:
    target = [draft(0), draft(1)]

    assert planning.is_indexed([seen(0, 1000, "right"), seen(1, 1000, "right")], target)
    assert planning.is_indexed([], [])
    assert not planning.is_indexed([seen(0, 1000, "right")], target)
    assert not planning.is_indexed([seen(0, 1000, "right"), seen(1, 1000, "stale")], target)
    assert not planning.is_indexed([seen(n, 1000, "right") for n in range(3)], target)
    changed = replace(seen(1, 1000, "right"), payload={"fingerprint": "right", "text_hash": "another"})
    assert not planning.is_indexed([seen(0, 1000, "right"), changed], target)


def test_a_point_that_may_have_a_vector_is_deleted_before_an_anchor_takes_its_place() -> None:
    # Given the anchor of an item that has no text any more
    anchor = Draft(point_id(item_digest(ITEM), 0), {"fingerprint": "right", "text_hash": ""}, None)
    older = seen(0, 900, "older")
    for text_hash, deletes in (("h", [(older.id, "older")]), (None, [(older.id, "older")]), ("", [])):
        # When the point that it replaces had a text, cannot be read, or was an anchor itself
        point = SeenPoint(older.id, older.item, older.version, older.fingerprint, {"text_hash": text_hash})
        plan = planning.plan([point], [anchor], version=1000, live=True)
        # Then it is deleted first, unless it had no vector either, and the anchor is written in each case
        assert (plan.deletes, plan.upserts, plan.surplus) == (deletes, [anchor], [])
    # And the anchor itself stays
    right = SeenPoint(older.id, older.item, 1000, "right", {"fingerprint": "right", "text_hash": ""})
    assert planning.plan([right], [anchor], version=1000, live=True).is_empty
