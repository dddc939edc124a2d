"""Expiry and what races with it: refreshes, puts, deletes, and the intents that clean up."""

from __future__ import annotations

from pathlib import Path

import pytest

from scylla_store.clock import LAST_MOMENT, SECOND, past_for_all, to_datetime
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Kind
from scylla_store.testing import TestingStore
from tests.unit.core import ITEM, START, Core

NS = ("docs",)


@pytest.fixture
def core() -> Core:
    return Core()


def granted(core: Core) -> int | None:
    """When the item expires, as seconds after the start."""
    row = core.row()
    assert row is not None
    return None if row.expires_at is None else (row.expires_at - START) // SECOND


def test_a_refresh_grants_the_whole_time_and_files_its_expiry(core: Core) -> None:
    core.put(ttl=10)
    core.clock.advance(4)

    item = core.parts.reader.get(*ITEM, refresh_ttl=True)

    assert item is not None
    assert item.expires_at == core.elsewhere.reader.get(*ITEM).expires_at  # type: ignore[union-attr]
    assert granted(core) == 14
    dues = sorted(ref.intent.key.due for ref in core.refs(Kind.EXPIRY))
    assert dues == [past_for_all(START + seconds * SECOND, 5 * SECOND) for seconds in (10, 14)]
    assert len(core.refs(Kind.REFRESH)) == 1


def test_each_refresh_grants_the_same_time(core: Core) -> None:
    core.put(ttl=10)

    ends = []
    for _ in range(3):
        core.clock.advance(4)
        core.parts.reader.get(*ITEM, refresh_ttl=True)
        ends.append(granted(core))

    assert ends == [14, 18, 22]


def test_a_refresh_at_the_same_moment_writes_nothing(core: Core) -> None:
    core.put(ttl=10)
    core.parts.reader.get(*ITEM, refresh_ttl=True)

    assert "refresh" not in core.db.calls


def test_a_refresh_of_what_has_no_ttl_writes_nothing(core: Core) -> None:
    core.put()
    core.clock.advance(4)

    assert core.parts.reader.get(*ITEM, refresh_ttl=True) is not None
    assert "refresh" not in core.db.calls


def test_a_refresh_grants_no_time_beyond_the_last_one_that_can_be_told(core: Core) -> None:
    core.put(ttl=(LAST_MOMENT - START) // SECOND)
    core.clock.advance(4)

    refreshed = core.parts.reader.get(*ITEM, refresh_ttl=True)

    assert refreshed is not None
    assert refreshed.expires_at == to_datetime(LAST_MOMENT)
    assert core.elsewhere.reader.get(*ITEM) == refreshed


@pytest.mark.parametrize(("ttl", "ends"), [(None, None), (3, 7), (100, 104)])
def test_a_put_that_comes_before_a_refresh_is_not_undone(core: Core, ttl: float | None, ends: int | None) -> None:
    # Given an item that is being refreshed, and a put that arrives between its read and its cell
    core.put("old", ttl=10)
    core.clock.advance(4)
    core.db.before["refresh"] = lambda: core.put("new", ttl=ttl)
    # When the refresh is written
    core.parts.reader.get(*ITEM, refresh_ttl=True)
    # Then the item is the put's, and lives as long as that says
    row = core.row()
    assert row is not None
    assert row.value() == {"text": "new"}
    assert granted(core) == ends


def test_a_put_and_its_refresh_that_come_before_a_refresh_are_not_undone(core: Core) -> None:
    # Given an item that is being refreshed, and a put that comes after its read, with a refresh of its own
    core.put("old", ttl=10)
    core.clock.advance(4)

    def put_and_refresh() -> None:
        core.put("new", ttl=10)
        core.clock.advance(3)
        core.elsewhere.reader.get(*ITEM, refresh_ttl=True)

    core.db.after["read"] = put_and_refresh
    # When the first refresh is written
    core.parts.reader.get(*ITEM, refresh_ttl=True)
    # Then the put's has what was granted to it
    assert granted(core) == 17


def test_what_was_granted_is_not_taken_away_by_whose_versions_lag_behind(core: Core) -> None:
    # Given a process whose versions lie ahead of its clock, as after a write over one of a machine whose clock is fast
    core.put(ttl=10)
    core.parts.clock.version(START + 4 * SECOND)

    # When it grants time, and then processes whose versions do not
    ends = []
    for reader in (core.parts.reader, core.elsewhere.reader, core.parts.reader, core.elsewhere.reader):
        core.clock.advance(1)
        reader.get(*ITEM, refresh_ttl=True)
        ends.append(granted(core))

    # Then each refresh counts
    assert ends == [11, 12, 13, 14]


def test_of_two_refreshes_the_one_that_grants_more_stays_whichever_is_written_last(core: Core) -> None:
    # Given a reader that has read the item, and another one that grants it time later, in a process whose versions lag behind
    core.put(ttl=10)
    core.clock.advance(1)
    core.parts.clock.version(START + 4 * SECOND)

    def refresh_later() -> None:
        core.clock.advance(1)
        core.elsewhere.reader.get(*ITEM, refresh_ttl=True)

    core.db.before["refresh"] = refresh_later
    core.parts.reader.get(*ITEM, refresh_ttl=True)
    assert granted(core) == 12


def test_a_put_that_comes_after_a_refresh_does_not_inherit_it(core: Core) -> None:
    core.put(ttl=10)
    core.clock.advance(4)
    core.parts.reader.get(*ITEM, refresh_ttl=True)

    core.put("new", ttl=3)

    assert granted(core) == 7


def test_a_delete_that_comes_before_a_refresh_is_not_undone(core: Core) -> None:
    core.put(ttl=10)
    core.clock.advance(4)
    core.db.before["refresh"] = core.delete

    core.parts.reader.get(*ITEM, refresh_ttl=True)

    assert core.elsewhere.reader.get(*ITEM) is None


@pytest.mark.parametrize("seconds", [10, 11, 10_000])
def test_a_refresh_of_an_expired_item_does_not_revive_it(core: Core, seconds: int) -> None:
    core.put(ttl=10)
    core.clock.advance(seconds)

    assert core.parts.reader.get(*ITEM, refresh_ttl=True) is None
    assert "refresh" not in core.db.calls
    core.clock.advance(-seconds)
    assert granted(core) == 10


def test_an_item_that_expires_while_it_is_read_is_not_revived(core: Core) -> None:
    core.put(ttl=10)
    core.db.after["read"] = lambda: core.clock.advance(10)

    assert core.parts.reader.get(*ITEM, refresh_ttl=True) is None
    assert "refresh" not in core.db.calls


def test_a_refresh_that_arrives_after_the_expiry_was_cleaned_up_does_not_revive_it(core: Core) -> None:
    # Given an indexed item, and a refresh that is on its way while the item expires and a worker cleans it up
    core.work(core.ref(core.put(ttl=10)))
    core.clock.advance(4)

    def clean_up() -> None:
        core.clock.advance(60)
        assert core.work(*core.refs(Kind.EXPIRY)).acked

    core.db.before["refresh"] = clean_up
    # When it arrives
    core.parts.reader.get(*ITEM, refresh_ttl=True)
    # Then the item stays away, also from the index
    assert core.elsewhere.reader.get(*ITEM) is None
    core.work(*core.refs(Kind.REFRESH))
    assert core.points() == []
    assert core.elsewhere.reader.get(*ITEM) is None


def test_a_put_over_an_expired_item_is_a_creation(core: Core) -> None:
    first = core.put(ttl=10)
    core.clock.advance(9)
    replaced = core.put(ttl=10)
    core.clock.advance(10)
    created = core.put()

    assert (first.created, replaced.created, created.created) == (True, False, True)
    assert (replaced.existed, created.existed) == (True, False)
    item = core.elsewhere.reader.get(*ITEM)
    assert item is not None
    assert item.created_at == item.updated_at


def test_a_refreshed_item_is_replaced_and_not_created(core: Core) -> None:
    core.put(ttl=10)
    core.clock.advance(9)
    core.parts.reader.get(*ITEM, refresh_ttl=True)
    core.clock.advance(9)

    receipt = core.put()

    assert (receipt.created, receipt.existed) == (False, True)
    row = core.row()
    assert row is not None
    assert row.head.created_at == START


def test_expiry_removes_points_and_rows_without_a_reader(tmp_path: Path) -> None:
    # Given indexed items, of which two expire and one is granted more time
    with TestingStore(tmp_path) as store:
        for key in ("brief", "granted"):
            store.put(NS, key, {"text": "tea"}, ttl=60)
        store.put(NS, "immortal", {"text": "tea"}, wait=0)
        store.clock.advance(30)
        assert store.get(NS, "granted", refresh_ttl=True) is not None
        store.drain()

        def left() -> tuple[set[str], set[str]]:
            """Keys that have points, and keys that have a document in the database."""
            ids = {item_digest(ItemId(NS, key)): key for key in ("brief", "granted", "immortal")}
            rows = store.parts.database.keys(NS, after=None, limit=10)
            return {ids[one] for one in store.parts.index.points_of(list(ids))}, {
                row.id.key for row in rows if row.body
            }

        # When time passes and only the drain looks, then they go one after the other
        assert left() == ({"brief", "granted", "immortal"},) * 2
        store.clock.advance(41)
        store.drain()
        assert left() == ({"granted", "immortal"},) * 2
        store.clock.advance(30)
        store.drain()
        assert left() == ({"immortal"},) * 2
        # And an hour later nothing of them is left
        store.clock.advance(3700)
        assert [row.id.key for row in store.parts.database.keys(NS, after=None, limit=10)] == ["immortal"]
