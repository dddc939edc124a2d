"""Reading by key, and by page."""

from __future__ import annotations

import pytest

from scylla_store.cursors import to_cursor
from scylla_store.errors import ClockSkew, ValidationError
from scylla_store.filters import parse_filter
from scylla_store.identity import ItemId, Namespace
from tests.unit.core import ITEM, START, Core, SettableClock

MINUTE = 60_000_000


def test_a_clock_that_is_far_off_grants_no_time() -> None:
    # Given an item with a TTL, and a process whose clock is a minute ahead
    core = Core()
    core.put(ttl=3600.0)
    fast = core.other(SettableClock(START + MINUTE)).reader
    # When it wants to grant the item its time again
    with pytest.raises(ClockSkew):
        fast.get(*ITEM, refresh_ttl=True)
    # Then the item has the time that it had, and can be read
    before = core.elsewhere.reader.get(*ITEM)
    assert before is not None
    assert fast.get(*ITEM) == before
    # And a right clock grants it
    core.clock.advance(1800)
    after = core.elsewhere.reader.get(*ITEM, refresh_ttl=True)
    assert after is not None
    assert after.expires_at is not None
    assert before.expires_at is not None
    assert (after.expires_at - before.expires_at).total_seconds() == 1800


@pytest.mark.parametrize("asked", [None, {"text": {"$exists": True}}], ids=["all", "filtered"])
@pytest.mark.parametrize("elsewhere", [("others",), ("docs",), ("docs", "ab"), ("docs", "b", "a")])
def test_a_cursor_that_somebody_made_up_does_not_lead_out_of_the_prefix(
    elsewhere: Namespace, asked: dict[str, object] | None
) -> None:
    # Given a document of somebody else
    core = Core()
    core.put("nobody's business", ItemId(elsewhere, "k"))
    # When a cursor says that a page under another prefix ended just before it
    where = parse_filter(asked)
    call = ["list", ["docs", "a"], *([] if where is None else [where.digest])]
    cursor = to_cursor(call, [list(elsewhere), "a"])
    # Then it is refused
    with pytest.raises(ValidationError, match="cursor is damaged"):
        core.parts.reader.page(("docs", "a"), cursor=cursor, where=where)
