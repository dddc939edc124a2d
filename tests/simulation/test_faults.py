"""What goes wrong in a schedule is what the contracts allow to go wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scylla_store.database.base import Mutation
from scylla_store.database.memory import MemoryDatabase
from scylla_store.errors import StoreError
from scylla_store.identity import ItemId
from scylla_store.intents import Bookkeeping, Kind, Ref, new_intent
from scylla_store.rows import Head
from tests.simulation.broker import Broker, Message
from tests.simulation.choices import Choices
from tests.simulation.database import FaultyDatabase
from tests.simulation.faults import Faults, FaultyTables
from tests.simulation.scheduler import SECOND, Scheduler

ITEMS = [ItemId(("sim",), key) for key in "ab"]


def faults(seed: int, **given: float) -> Faults:
    return Faults(Scheduler(Choices(seed)), **given)


def test_the_writes_of_a_batch_that_fail_are_told_at_their_places_and_the_others_are_there() -> None:
    # Given a database of which each second request fails
    ends = set()
    for seed in range(100):
        target = MemoryDatabase(clock=lambda: 1)
        database = FaultyDatabase(target, faults(seed, rate=0.5), lambda: 1)
        try:
            with database.writing(ITEMS) as writing:
                # When two items are written at once
                errors = writing.commit([_mutation(item) for item in ITEMS])
        except StoreError:
            continue  # their heads could not be read

        # Then nothing is raised, and whatever is said to be stored is
        assert len(errors) == len(ITEMS)
        stored = target.read(ITEMS)
        assert [item in stored for item, error in zip(ITEMS, errors, strict=True) if error is None].count(False) == 0
        ends.add(tuple(error is None for error in errors))

    # And all that may happen has: both, none, either one
    assert ends == {(True, True), (False, False), (True, False), (False, True)}


def test_what_a_drain_sent_comes_as_it_was_sent_and_what_publishers_sent_may_come_as_one() -> None:
    # Given tasks of a writer's publisher and of a drain, which sent its suspects alone
    fresh = [Ref(new_intent(item, b"w" * 16, 1, Kind.WRITE, now=1, due=1)) for item in ITEMS]
    sizes: dict[bool, set[int]] = {}
    for again in (False, True):
        for seed in range(100):
            broker = Broker(Scheduler(Choices(seed)), faults(seed), 1)
            far = broker.scheduler.now + 1
            broker.messages = [Message([replace(ref, again=again)], far) for ref in fresh]

            # When one is received
            received = broker.receive()
            assert received is not None
            sizes.setdefault(again, set()).add(len(received.refs))

    # Then only those of publishers come together now and then
    assert sizes == {False: {1, 2}, True: {1}}


@pytest.mark.parametrize(("age", "late"), [(0, True), (20, True), (28, False), (60, False)])
def test_a_conditional_write_comes_late_only_as_long_as_its_intents_wait(age: int, late: bool) -> None:
    # Given a conditional write whose intents were filed so many seconds ago, and a database that answers nothing
    kinds = set()
    for seed in range(50):
        lost = faults(seed, rate=1.0, patience=28 * SECOND)
        target, now = MemoryDatabase(clock=lost.time), lost.scheduler.now
        intent = new_intent(ITEMS[0], b"w" * 16, None, Kind.WRITE, now=now - age * SECOND, due=now)
        write = replace(_mutation(ITEMS[0]), intents=(intent,))

        # When its sender gave up, and time passes until nobody waits for it any more
        with pytest.raises(StoreError):
            FaultyDatabase(target, lost, lost.time).compare_and_set(None, write)
        before = bool(target.read(ITEMS))
        lost.scheduler.now = now + (28 - age) * SECOND
        lost.flush_old()

        # Then it is there by then, or never
        kinds.add((before, bool(target.read(ITEMS))))
        assert not lost.late_requests

    assert kinds == {(False, False), (True, True)} | ({(False, True)} if late else set())


def test_an_ack_that_comes_late_has_the_time_at_which_it_was_sent() -> None:
    # Given a row of the outbox, whose ack has no answer
    intent = new_intent(ITEMS[0], b"w" * 16, 1, Kind.WRITE, now=1, due=1)
    ends = set()
    for seed in range(50):
        lost = faults(seed, rate=1.0)
        tables = MemoryDatabase(clock=lost.time).tables
        tables.write([intent])
        with pytest.raises(StoreError):
            FaultyTables(tables, "outbox", lost).remove([intent.key])
        waits, begun = bool(lost.late_requests), len(tables.get([intent.key]))
        assert lost.acked_late() == ({intent.key} if waits else set())

        # When it takes effect a minute later, and bookkeeping came in between
        lost.scheduler.now += 60 * SECOND
        tables.update([Bookkeeping(intent.key, 1, 1, None, None)])
        while lost.late_requests:
            lost.happen_late()

        # Then the ack wins
        ends.add((waits, begun, len(tables.get([intent.key]))))

    assert ends == {(True, 1, 0), (False, 1, 1), (False, 0, 0)}


def _mutation(item: ItemId) -> Mutation:
    return Mutation(item, 1, Head(write_id=b"w" * 16, created_at=1).encode(), None)
