"""The clock that tests set."""

from datetime import datetime, timedelta, timezone

import pytest

from scylla_store import ValidationError
from scylla_store.testing import SettableClock

NOON = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)


def test_it_stands_still():
    clock = SettableClock(NOON)

    assert [clock(), clock.now] == [1_893_499_200_000_000, NOON]


def test_it_advances_by_seconds_and_goes_back_by_negative_ones():
    clock = SettableClock(NOON)

    clock.advance(90.5)
    clock.advance(-30)

    assert clock.now == NOON + timedelta(seconds=60.5)


@pytest.mark.parametrize("when", [NOON, NOON.astimezone(timezone(timedelta(hours=5))), 1_893_499_200_000_000])
def test_it_is_set_to_a_datetime_or_to_microseconds(when):
    clock = SettableClock(0)

    clock.set(when)

    assert clock.now == NOON


def test_a_datetime_without_time_zone_is_refused():
    with pytest.raises(ValidationError, match="time zone"):
        SettableClock(datetime(2030, 1, 1))


def test_without_a_start_it_shows_the_time_of_the_machine():
    before = datetime.now(timezone.utc)

    shown = SettableClock().now

    assert before - timedelta(seconds=1) <= shown <= datetime.now(timezone.utc)
