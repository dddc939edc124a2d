"""The drain: what is due goes to the workers, noted before it goes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scylla_store.clock import SECOND, past_for_all
from scylla_store.drain import Drain, Scope, dispatch_lifetime
from scylla_store.errors import BrokerUnavailable, ClockSkew
from scylla_store.identity import ItemId
from scylla_store.intents import Bookkeeping, Entry, Kind, Ref
from scylla_store.settings.options import PublisherSettings, Settings, SyncSettings
from scylla_store.summary import load_summary
from tests.unit.core import OTHER, Core, raises


@pytest.fixture
def core() -> Core:
    return Core()


def sent(core: Core) -> list[Ref]:
    return [ref for task in core.dispatcher.sent for ref in task]


def test_what_is_due_is_dispatched_and_comes_again_only_after_the_longest_run(core: Core) -> None:
    receipt = core.put()

    # Not before it is due
    core.parts.drain.run()
    assert sent(core) == []

    # When it is due, once
    core.clock.advance(core.settings.sync.margin)
    for _ in range(5):
        core.parts.drain.run()
    assert [(ref.intent.key, ref.again) for ref in sent(core)] == [(receipt.intent, True)]

    # And again when it must have ended, having waited in the queue as long as it may run
    core.clock.advance(2 * core.settings.sync.time_limit - 1)
    core.parts.drain.run()
    assert len(sent(core)) == 1
    core.clock.advance(1)
    core.parts.drain.run()
    assert len(sent(core)) == 2


def test_a_push_is_stored_before_the_task_is_sent_so_that_no_workers_count_is_overwritten(core: Core) -> None:
    # Given a worker that is fast: it counts its attempt while the task is being sent
    receipt = core.put()
    core.clock.advance(60)

    def count(refs: Sequence[Ref]) -> None:
        entry = core.database.outbox.get([receipt.intent])[receipt.intent]
        assert entry.next_attempt > core.clock()
        core.clock.advance(0.01)
        core.database.outbox.update([Bookkeeping(receipt.intent, entry.next_attempt, entry.attempts + 1)])
        core.clock.advance(0.01)

    core.dispatcher.on_send = count

    # When
    core.parts.drain.run()

    # Then
    assert core.database.outbox.get([receipt.intent])[receipt.intent].attempts == 1


def test_what_the_broker_does_not_take_is_due_again_at_once(core: Core) -> None:
    # Given
    for number in range(5):
        core.put(str(number))
    core.clock.advance(60)
    core.dispatcher.on_send = lambda refs: raises(BrokerUnavailable("down"))

    # When
    summary = core.parts.drain.run()

    # Then nothing is lost, and what waits is still told
    assert summary is not None
    assert (summary.dispatched, summary.pending) == (0, 5)
    assert load_summary(core.database) == summary
    core.dispatcher.on_send = lambda refs: None
    core.parts.drain.run()
    assert len(sent(core)) == 5


def test_nothing_is_dispatched_above_the_limit_of_the_queue() -> None:
    # Given tasks of two refs, and room for three tasks
    settings = Settings(sync=SyncSettings(max_queue=5), publisher=PublisherSettings(batch_size=2))
    core = Core(settings=settings)
    for number in range(20):
        core.put(str(number))
    core.clock.advance(60)
    core.dispatcher.waiting = 2

    # When
    summary = core.parts.drain.run()

    # Then
    assert [len(task) for task in core.dispatcher.sent] == [2, 2, 2]
    assert summary is not None
    assert (summary.dispatched, summary.backlog, summary.pending) == (6, 2, 20)


def test_new_writes_that_only_the_drain_brings_do_not_wait_behind_a_backlog() -> None:
    # Given a backlog of some hours, and a new write whose task was lost
    settings = Settings(sync=SyncSettings(max_queue=4), publisher=PublisherSettings(batch_size=2))
    core = Core(settings=settings)
    old = [core.put(str(number)).intent for number in range(40)]
    core.clock.advance(7200)
    new = core.put("new", OTHER).intent
    core.clock.advance(core.settings.sync.margin + 1)

    # When
    core.parts.drain.run()

    # Then it goes at once, and the backlog goes on beside it, oldest first
    assert [ref.intent.key for ref in sent(core)] == [new, *old[:6]]


def test_a_flood_of_new_writes_leaves_half_of_each_drain_to_the_backlog() -> None:
    # Given
    settings = Settings(sync=SyncSettings(max_queue=4), publisher=PublisherSettings(batch_size=2))
    core = Core(settings=settings)
    old = [core.put(str(number)).intent for number in range(10)]
    core.clock.advance(7200)
    new = [core.put("new", OTHER).intent for _ in range(10)]
    core.clock.advance(core.settings.sync.margin + 1)

    # When
    core.parts.drain.run()

    # Then
    assert [ref.intent.key for ref in sent(core)] == [*new[:4], *old[:4]]


def test_a_backlog_that_is_spread_over_a_day_goes_in_full_tasks() -> None:
    # Given a write every minute
    settings = Settings(sync=SyncSettings(max_queue=3), publisher=PublisherSettings(batch_size=10))
    core = Core(settings=settings)
    old = []
    for number in range(60):
        old.append(core.put(str(number)).intent)
        core.clock.advance(60)
    core.clock.advance(3600)

    # When
    core.parts.drain.run()

    # Then
    assert [len(task) for task in core.dispatcher.sent] == [10, 10, 10]
    assert [ref.intent.key for ref in sent(core)] == old[:30]


def test_a_drain_without_room_reads_no_further() -> None:
    # Given more than the queue takes
    core = Core(settings=Settings(sync=SyncSettings(max_queue=1), publisher=PublisherSettings(batch_size=10)))
    for number in range(1100):
        core.put(str(number))
    core.clock.advance(3600)
    offered: list[int] = []
    sweep = core.database.outbox.sweep

    # When a sweep is told that no more is wanted
    def push(entries: Sequence[Entry]) -> None:
        offered.append(len(entries))

    seen = sweep(core.clock(), 10_000, push)

    # Then it has offered one piece, and all of it is still due
    assert (len(offered), seen.pushed, seen.more) == (1, 0, True)
    core.parts.drain.run()
    assert len(sent(core)) == 10


def test_three_drains_at_once_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given drains that are each so slow that the next one finds their lease ended, before they have noted what they send
    core = Core(settings=Settings(publisher=PublisherSettings(batch_size=2)))
    receipts = [core.put(str(number), ItemId(("docs",), str(number))) for number in range(20)]
    core.clock.advance(60)
    drains = iter([core.elsewhere.drain, core.other(core.clock).drain])
    update = core.database.tables.update

    def slow(bookkeeping: Sequence[Bookkeeping]) -> None:
        core.clock.advance(61)
        for drain in drains:
            assert drain.run() is not None
        update(bookkeeping)

    monkeypatch.setattr(core.database.tables, "update", slow)

    # When
    core.parts.drain.run()

    # Then each row was sent several times, and embedded once
    assert sorted(ref.intent.key for ref in sent(core)) == sorted(3 * [receipt.intent for receipt in receipts])
    embedded = sum(core.work(*task).embedded for task in core.dispatcher.sent)
    assert (core.refs(), embedded) == ([], 20)
    assert all(len(core.points(receipt.item)) == 1 for receipt in receipts)


def test_a_dispatch_that_expired_in_the_queue_comes_again_before_what_is_newer() -> None:
    # Given more than the queue takes, and workers that are away for so long that the tasks are void
    settings = Settings(sync=SyncSettings(max_queue=2), publisher=PublisherSettings(batch_size=2))
    core = Core(settings=settings)
    keys = [core.put(str(number)).intent for number in range(8)]
    core.clock.advance(60)
    core.parts.drain.run()
    core.dispatcher.waiting = 2
    core.clock.advance(dispatch_lifetime(settings))
    core.parts.drain.run()
    assert [ref.intent.key for ref in sent(core)] == keys[:4]

    # When a worker has dropped them
    core.dispatcher.sent.clear()
    core.dispatcher.waiting = 0
    core.parts.drain.run()

    # Then
    assert [ref.intent.key for ref in sent(core)] == keys[:4]


def test_whoever_was_tried_and_left_neither_outcome_nor_error_goes_alone(core: Core) -> None:
    # Given
    calm = [core.put(str(number)).intent for number in range(3)]
    suspect = core.put("kills", OTHER).intent
    failed = core.put("fails", OTHER).intent
    core.database.outbox.update([Bookkeeping(suspect, core.clock(), 1), Bookkeeping(failed, core.clock(), 1, "no")])
    core.clock.advance(60)

    # When
    core.parts.drain.run()

    # Then
    tasks = [{ref.intent.key for ref in task} for task in core.dispatcher.sent]
    assert tasks == [{*calm, failed}, {suspect}]


def test_an_expiry_far_ahead_is_dispatched_when_it_is_due_and_never_before(core: Core) -> None:
    # Given an item that lives for two days, whose write is indexed
    receipt = core.put(ttl=172_800.0)
    core.sync(core.ref(receipt))
    [expiry] = core.refs(Kind.EXPIRY)

    # When drains run all the time, also such as take everything
    for _ in range(48):
        core.clock.advance(3600)
        for _ in range(3):
            core.parts.drain.run(Scope.DUE)
            core.parts.drain.run(Scope.ALL)
    assert sent(core) == []
    due = past_for_all((receipt.version or 0) + 172_800 * SECOND, int(core.settings.clock.max_clock_skew * SECOND))
    core.clock.set(due)
    core.parts.drain.run()

    # Then
    assert [ref.intent for ref in sent(core)] == [expiry.intent]


def test_only_one_process_drains_at_a_time_and_a_wrong_clock_does_not(core: Core) -> None:
    core.put()
    core.clock.advance(60)
    assert core.database.lease("drain", "somebody else", 60)
    assert core.parts.drain.run() is None

    core.clock.advance(61)
    core.database.server_clock = lambda: core.clock() + 3600 * SECOND
    with pytest.raises(ClockSkew):
        core.parts.drain.run()
    assert sent(core) == []


def test_a_drain_that_is_alone_takes_new_rows_before_they_are_due(core: Core) -> None:
    new, tried = core.put(), core.put("tried", OTHER)
    core.database.outbox.update([Bookkeeping(tried.intent, core.clock() + 600 * SECOND, 1, "no")])
    drain = Drain(core.db, core.dispatcher, core.settings, core.clock, lambda: None, alone=True)  # type: ignore[arg-type]

    drain.run(Scope.NEW)
    assert [ref.intent.key for ref in sent(core)] == [new.intent]

    drain.run(Scope.ALL)
    assert {ref.intent.key for ref in sent(core)} == {new.intent, tried.intent}
