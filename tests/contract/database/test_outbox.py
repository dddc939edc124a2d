"""Intents: found when they are due, kept until they are acknowledged, and then gone for good."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.base import Outbox
from scylla_store.intents import Bookkeeping, Entry, Intent, IntentKey, Kind
from tests.contract.database.rows import filed, intent, item, put, write
from tests.contract.database.subject import Subject

HOUR = 3600.0
END_OF_TIME = 2**62


@pytest.fixture(autouse=True)
def outbox(subject: Subject) -> Outbox:
    """The outbox, without what other tests left there."""
    subject.empty_outbox()
    subject.swept = []
    return subject.database.outbox


def file(subject: Subject, *dues: float, kind: Kind = Kind.WRITE) -> list[IntentKey]:
    """Files intents that are due in so many seconds."""
    now = subject.clock()
    intents = [intent(item(), now, due=now + int(due * SECOND), kind=kind) for due in dues]
    subject.database.outbox.file(intents)
    return [intent.key for intent in intents]


def test_an_intent_is_due_at_its_time_and_not_before(subject: Subject) -> None:
    [key] = file(subject, 30)
    assert subject.sweep() == []

    subject.pass_time(30)

    assert subject.sweep() == [key]


def test_an_intent_that_was_written_with_its_item_is_due_like_any_other(subject: Subject) -> None:
    mutation = filed(put(item(), subject.clock()))
    write(subject.database, mutation)

    subject.pass_time(31)

    assert subject.sweep() == [intent.key for intent in mutation.intents]


def test_an_entry_has_all_that_was_filed(subject: Subject, outbox: Outbox) -> None:
    now = subject.clock()
    of = item("é\0", "\N{SNOWMAN}", "a/b")
    intents = [
        Intent(IntentKey(now + number, number, bytes([number]) * 16), of, b"w" * 16, version, kind, now - 7)
        for number, (kind, version) in enumerate([(kind, 5) for kind in Kind] + [(Kind.WRITE, None)])
    ]

    outbox.file(intents)

    assert outbox.get([intent.key for intent in intents]) == {
        intent.key: Entry(intent, intent.key.due) for intent in intents
    }


def test_what_is_due_comes_oldest_first(subject: Subject) -> None:
    keys = sorted(file(subject, *(number * 0.7 for number in range(40))))
    subject.pass_time(60)

    assert subject.sweep() == keys


def test_no_more_than_the_limit_is_offered_and_the_rest_is_said(subject: Subject) -> None:
    keys = sorted(file(subject, *(number / 10 for number in range(50))))
    subject.pass_time(20)

    first = subject.sweep_once(30)
    assert (subject.swept, first.pushed, first.more) == (keys[:30], 30, True)
    subject.swept.clear()
    second = subject.sweep_once(30)
    assert (subject.swept, second.pushed, second.more) == (keys[30:], 20, False)


def test_those_that_came_due_lately_can_be_asked_for_and_the_older_ones_stay_due(
    subject: Subject, outbox: Outbox
) -> None:
    old = file(subject, 0, 1)
    subject.pass_time(300)
    recent = sorted(file(subject, 0, 3, 7))
    file(subject, 60)
    subject.pass_time(20)
    offered: list[IntentKey] = []

    def push(entries: Sequence[Entry]) -> Sequence[Bookkeeping]:
        offered.extend(entry.intent.key for entry in entries)
        return [Bookkeeping(entry.intent.key, subject.clock() + 60 * SECOND, 0) for entry in entries]

    since = min(key.due for key in recent)
    assert outbox.sweep(subject.clock(), 2, push, since=since).more
    assert not outbox.sweep(subject.clock(), 100, push, since=since).more

    assert offered == recent
    assert subject.sweep() == old


def test_what_was_taken_comes_again_at_its_next_attempt_however_late(subject: Subject) -> None:
    [key] = file(subject, 0)
    assert subject.sweep(ahead=HOUR / 2) == [key]

    for _ in range(4):
        subject.pass_time(HOUR / 10)
        assert subject.sweep() == []
    subject.pass_time(HOUR / 10)

    assert subject.sweep() == [key]


def test_what_is_left_out_stays_due(subject: Subject, outbox: Outbox) -> None:
    keys = sorted(file(subject, 0, 0))
    subject.pass_time(10)
    offered: list[IntentKey] = []

    def take_one(entries: Sequence[Entry]) -> Sequence[Bookkeeping]:
        offered.extend(entry.intent.key for entry in entries)
        return [Bookkeeping(entries[0].intent.key, subject.clock() + 60 * SECOND, 0)]

    sweep = outbox.sweep(subject.clock(), 10, take_one)

    assert (sorted(offered), sweep.seen, sweep.pushed) == (keys, 2, 1)
    assert subject.sweep() == offered[1:]


def test_the_bookkeeping_that_a_sweep_returns_is_stored_before_its_next_chunk(subject: Subject, outbox: Outbox) -> None:
    # Given more than one chunk of intents that are due
    keys = file(subject, *(0.0 for _ in range(1200)))
    subject.pass_time(20)
    later = subject.clock() + 90 * SECOND
    before: list[IntentKey] = []

    # When the sweep offers them
    def push(entries: Sequence[Entry]) -> Sequence[Bookkeeping]:
        stored = outbox.get(before)
        assert {entry.next_attempt for entry in stored.values()} <= {later}
        before.extend(entry.intent.key for entry in entries)
        return [Bookkeeping(entry.intent.key, later, 1, "why", later - 1) for entry in entries]

    outbox.sweep(subject.clock(), 2000, push)

    # Then each was offered once, and all of it is kept
    assert sorted(before) == sorted(keys)
    stored = outbox.get(keys)
    assert {(e.next_attempt, e.attempts, e.error, e.first_failed_at) for e in stored.values()} == {
        (later, 1, "why", later - 1)
    }


def test_an_earlier_attempt_brings_an_intent_forward(subject: Subject, outbox: Outbox) -> None:
    [key] = file(subject, 0)
    subject.pass_time(120)
    assert subject.sweep(ahead=HOUR) == [key]

    outbox.update([Bookkeeping(key, subject.clock() + 15 * SECOND, 1, "IndexUnavailable")])
    subject.pass_time(15)

    assert subject.sweep() == [key]


def test_an_ack_wins_over_bookkeeping_that_comes_late(subject: Subject, outbox: Outbox) -> None:
    gone, stays = file(subject, 0, 0)

    outbox.ack([gone])
    outbox.update([Bookkeeping(gone, subject.clock(), 3, "late"), Bookkeeping(stays, stays.due, 3, "late")])

    assert list(outbox.get([gone, stays])) == [stays]
    assert outbox.summary(100).pending == 1
    subject.pass_time(10)
    assert subject.sweep() == [stays]


def test_an_ack_of_nothing_is_harmless(subject: Subject, outbox: Outbox) -> None:
    [key] = file(subject, 0)

    outbox.ack([])
    outbox.ack([key._replace(intent=b"x" * 16)])
    outbox.ack([key])
    outbox.ack([key])

    assert outbox.get([key]) == {}
    assert outbox.get([]) == {}
    outbox.update([])
    outbox.file([])


def test_of_an_expiry_far_away_an_ack_is_for_good_too(subject: Subject, outbox: Outbox) -> None:
    [key] = file(subject, 5000 * 86_400, kind=Kind.EXPIRY)

    outbox.ack([key])
    outbox.update([Bookkeeping(key, key.due, 1)])

    assert outbox.get([key]) == {}


def test_the_summary_counts_what_waits_and_no_expiry_to_come(subject: Subject, outbox: Outbox) -> None:
    now = subject.clock()
    first, *_ = file(subject, 0, 30, 30)
    file(subject, 60, HOUR, kind=Kind.EXPIRY)
    outbox.update([Bookkeeping(first, now + 40 * SECOND, 2, "IndexUnavailable")])

    summary = outbox.summary(100)

    assert (summary.pending, summary.retrying, summary.exact) == (3, 1, True)
    assert now <= (summary.oldest_filed_at or 0) <= subject.clock()
    few = outbox.summary(2)
    assert (few.pending, few.exact) == (2, False)
    subject.pass_time(61)
    assert outbox.summary(100).pending == 4


def test_the_summary_of_a_long_backlog_says_that_it_is_longer_than_what_was_read(
    subject: Subject, outbox: Outbox
) -> None:
    file(subject, *range(-50, 0))
    subject.pass_time(1)

    summary = outbox.summary(10)

    assert not summary.exact
    assert summary.due == 10
    assert 10 <= summary.pending <= 50


def test_expiries_to_come_do_not_use_up_what_a_summary_may_count(subject: Subject, outbox: Outbox) -> None:
    # Given writes that wait behind many expiries, one of which is with a worker since it was due
    [late] = file(subject, 0, kind=Kind.EXPIRY)
    file(subject, *[15] * 40, kind=Kind.EXPIRY)
    keys = file(subject, *[30] * 20)
    subject.pass_time(1)
    outbox.update([Bookkeeping(late, subject.clock() + 600 * SECOND, 0)])
    # Then the writes are counted
    few, all_of_them = outbox.summary(10), outbox.summary(20)
    assert (few.pending, few.exact) == (10, False)
    assert few.oldest_filed_at == min(entry.intent.filed_at for entry in outbox.get(keys).values())
    assert (all_of_them.pending, all_of_them.exact) == (20, True)
    assert outbox.summary(None) == all_of_them


def test_an_empty_outbox_has_an_empty_summary(outbox: Outbox) -> None:
    summary = outbox.summary(100)

    assert (summary.pending, summary.retrying, summary.oldest_filed_at, summary.exact) == (0, 0, None, True)


def test_a_sweep_to_the_end_of_time_offers_each_intent_once_and_hides_none_that_comes_later(
    subject: Subject, outbox: Outbox
) -> None:
    keys = file(subject, 0, 30, 600)

    offered: list[IntentKey] = []

    def push(entries: Sequence[Entry]) -> Sequence[Bookkeeping]:
        offered.extend(entry.intent.key for entry in entries)
        later = subject.clock() + 120 * SECOND
        return [Bookkeeping(entry.intent.key, later, entry.attempts) for entry in entries]

    outbox.sweep(END_OF_TIME, 1000, push)
    assert sorted(offered) == sorted(keys)

    [new] = file(subject, 20)
    subject.pass_time(20)
    assert subject.sweep() == [new]


def test_what_waits_is_told_by_item_and_expiries_only_when_they_are_due(subject: Subject, outbox: Outbox) -> None:
    # Given intents that are due now and later, and two expiries
    now = subject.clock()
    keys = file(subject, 0, 30, 30)
    [expiry] = file(subject, 60, kind=Kind.EXPIRY)
    file(subject, HOUR, kind=Kind.EXPIRY)
    items = {outbox.get([key])[key].intent.item for key in keys}
    # Then those that are due or will be tried count, whatever is tried later
    outbox.update([Bookkeeping(keys[0], now + 3600 * SECOND, 2, "IndexUnavailable")])
    waiting = outbox.waiting(100)
    assert (waiting.items, waiting.exact) == (items, True)
    assert now <= (waiting.oldest_filed_at or 0) <= subject.clock()
    # And an expiry when its time has come, also while it is with a worker
    late = outbox.get([expiry])[expiry].intent.item
    subject.pass_time(61)
    outbox.update([Bookkeeping(expiry, subject.clock() + 3600 * SECOND, 0)])
    assert outbox.waiting(100).items == items | {late}
    # And only so many are read
    few = outbox.waiting(2)
    assert (len(few.items), few.exact) == (2, False)


def test_an_expiry_waits_since_it_was_due_and_not_since_it_was_filed(subject: Subject, outbox: Outbox) -> None:
    due = subject.clock() + 60 * SECOND
    file(subject, 60, kind=Kind.EXPIRY)
    subject.pass_time(61)

    for oldest in (outbox.summary(100).oldest_filed_at, outbox.waiting(100).oldest_filed_at):
        assert due <= (oldest or 0) <= subject.clock()


def test_nothing_waits_in_an_empty_outbox(outbox: Outbox) -> None:
    waiting = outbox.waiting(100)

    assert (waiting.items, waiting.oldest_filed_at, waiting.exact) == (frozenset(), None, True)
