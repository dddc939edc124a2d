"""Reading by key."""

from __future__ import annotations

import pytest

from scylla_store.errors import ClockSkew
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
