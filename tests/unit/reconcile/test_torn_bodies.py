"""Bodies that are not the ones that their heads were written with: counted as damaged wherever a reader would meet them."""

from __future__ import annotations

import pytest

from scylla_store.database.base import Mutation
from scylla_store.identity import item_digest
from scylla_store.index.base import Point
from scylla_store.intents import Kind
from scylla_store.reconcile import ReconcileReport
from tests.unit.core import Core
from tests.unit.reconcile.test_reconciler import LONG, indexed, item, kinds, run, settle


def unindexed(core: Core, **options: float) -> None:
    """A document that is not searchable, older than any grace."""
    core.put(LONG, item(1), index=False, **options)
    settle(core)
    core.clock.advance(60)


def tear(core: Core) -> None:
    """Of two cells with the same timestamp the larger one wins."""
    cells = core.database.read([item(1)])[item(1)]
    body = cells.body or b""
    core.database.write([Mutation(item(1), cells.version, cells.head or b"", body[:16] + b"\xff" + body[17:])])


def outcome(found: ReconcileReport) -> tuple[dict[str, int], int]:
    return kinds(found), found.repaired


@pytest.mark.parametrize("full", [False, True])
def test_a_torn_document_that_is_not_searchable_is_reported_and_left_alone(full: bool) -> None:
    core = indexed(3)
    unindexed(core)
    assert kinds(run(core, full=full)) == {}
    tear(core)

    found = run(core, full=full)

    assert outcome(found) == ({"damaged": 1}, 0)
    assert found.examples == {"damaged": [item_digest(item(1))]}
    assert core.refs() == []


def test_points_of_a_torn_document_that_is_not_searchable_are_taken_away_all_the_same() -> None:
    # Given points that such a document should not have
    core = indexed(3)
    vectors = core.index.vectors([(point.id, point.fingerprint) for point in core.points(item(1))])
    points = [Point(point.id, vectors.get(point.id), point.payload) for point in core.points(item(1))]
    unindexed(core)
    core.index.upsert(points, at_most=2**60)
    tear(core)
    # When it is compared, then they are repaired, and the damage is told each time
    assert outcome(run(core)) == ({"damaged": 1}, 1)
    settle(core)
    assert core.points(item(1)) == []
    core.clock.advance(60)
    assert outcome(run(core)) == ({"damaged": 1}, 0)


def test_a_torn_document_is_no_damage_when_nobody_can_see_it_any_more() -> None:
    # Given one that has expired, which is taken away as any other
    core = indexed(3)
    unindexed(core, ttl=3600.0)
    core.database.outbox.ack([ref.intent.key for ref in core.refs(Kind.EXPIRY)])
    tear(core)
    assert outcome(run(core)) == ({"damaged": 1}, 0)
    core.clock.advance(3600)
    assert outcome(run(core)) == ({"expired": 1}, 1)
    settle(core)
    core.clock.advance(60)
    # And one that was deleted
    assert kinds(run(core)) == {}
