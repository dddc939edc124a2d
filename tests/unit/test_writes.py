"""The write path: versions, what a write knows of what was there, its intents, and writes that take too long."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from scylla_store.clock import SECOND, past_for_all
from scylla_store.database.base import Mutation
from scylla_store.errors import (
    ClockSkew,
    DatabaseRefused,
    DatabaseUnavailable,
    OutcomeUnknown,
    PartialFailure,
    StoreError,
)
from scylla_store.identity import ItemId
from scylla_store.intents import Kind
from scylla_store.items import Put
from scylla_store.testing import SettableClock
from tests.unit.core import ITEM, OTHER, START, Core, raises


@pytest.fixture
def core() -> Core:
    return Core()


def test_versions_grow_through_deletes_ties_and_clocks_that_step_back(core: Core) -> None:
    receipts = [core.put("one"), core.put("two"), core.delete(), core.delete()]
    core.clock.advance(-3)
    receipts += [core.put("three"), core.put("four", parts=core.other(core.clock))]

    versions = [receipt.version or 0 for receipt in receipts]

    assert versions == sorted(set(versions))
    assert core.row().version == versions[-1]  # type: ignore[union-attr]


def test_a_write_through_a_slow_clock_is_not_hidden_behind_one_through_a_fast_clock(core: Core) -> None:
    fast, slow = core.other(SettableClock(START + 2 * SECOND)), core.other(SettableClock(START - 2 * SECOND))

    first = core.put("fast", parts=fast)
    second = core.put("slow", parts=slow)

    assert core.row().value() == {"text": "slow"}  # type: ignore[union-attr]
    assert (first.version or 0) < (second.version or 0)


def test_a_head_far_in_the_future_and_a_clock_far_off_are_refused(core: Core) -> None:
    row = core.put()
    core.database.write([Mutation(ITEM, START + 60 * SECOND, core.row().head.encode(), None)])  # type: ignore[union-attr]
    with pytest.raises(ClockSkew, match="in the future"):
        core.put()

    with pytest.raises(ClockSkew, match="This machine's clock"):
        core.put(item=OTHER, parts=core.other(SettableClock(START + 3600 * SECOND)))
    assert row.version == START


def test_a_write_knows_what_was_there(core: Core) -> None:
    nothing = core.delete()
    new = core.put("one")
    core.clock.advance(1)
    over = core.put("two", ttl=5.0)
    created_at = core.row().head.created_at  # type: ignore[union-attr]
    core.clock.advance(5)
    expired = core.put("three")
    gone = core.delete()

    seen = [(receipt.created, receipt.existed) for receipt in (nothing, new, over, expired, gone)]
    assert seen == [(False, False), (True, False), (False, True), (True, False), (False, True)]
    assert created_at == new.version


def test_a_damaged_head_is_overwritten_by_a_write_above_it(core: Core) -> None:
    core.database.write([Mutation(ITEM, START + SECOND, b"this is not a head", None)])

    receipt = core.put()

    assert receipt.version == START + SECOND + 1
    assert core.row().value() == {"text": "some text"}  # type: ignore[union-attr]


def test_the_intents_of_a_write_are_due_after_the_margin_and_when_it_has_expired_for_every_clock(core: Core) -> None:
    receipt = core.put(ttl=5.0)

    due = {ref.intent.kind: ref.intent.key.due for ref in core.refs()}

    version, settings = receipt.version or 0, core.settings
    assert due == {
        Kind.WRITE: version + int(settings.sync.margin * SECOND),
        Kind.EXPIRY: past_for_all(version + 5 * SECOND, int(settings.clock.max_clock_skew * SECOND)),
    }


def slow(core: Core, seconds: float) -> None:
    core.db.before["commit"] = lambda: core.clock.advance(seconds)


def test_a_write_that_took_too_long_for_the_fastest_clock_files_its_intent_again(core: Core) -> None:
    # Given a worker whose clock is ahead of the writer's by twice the skew
    patience = core.settings.sync.margin - 2 * core.settings.clock.max_clock_skew

    # When a write takes as long as that worker takes it for young, then one intent is enough
    slow(core, patience)
    core.put(parts=core.parts)
    assert core.refs(Kind.AGAIN) == []

    # When it takes longer, then there is a fresh one
    slow(core, patience + 0.001)
    receipt = core.put(parts=core.parts)
    [again] = core.refs(Kind.AGAIN)
    assert (again.intent.write_id, again.intent.version) == (receipt.write_id, receipt.version)


def test_so_does_a_slow_write_whose_answer_was_lost(core: Core) -> None:
    slow(core, 3600)
    core.db.answers["commit"] = lambda: [OutcomeUnknown("cut")]

    with pytest.raises(OutcomeUnknown):
        core.put(parts=core.parts)

    assert len(core.refs(Kind.AGAIN)) == 1


def test_what_a_slow_write_whose_answer_was_lost_left_to_the_batch_log_is_indexed(core: Core) -> None:
    # Given a slow write of which the intents are there, and the row is not yet
    lost: list[Mutation] = []

    @contextmanager
    def writing(ids: Sequence[ItemId]) -> Iterator[Any]:
        with core.database.writing(ids) as target:
            yield SimpleNamespace(heads=target.heads, floor=target.floor, commit=commit)

    def commit(mutations: Sequence[Mutation]) -> list[StoreError]:
        core.clock.advance(60)
        lost.extend(mutations)
        core.database.outbox.file([intent for mutation in mutations for intent in mutation.intents])
        return [OutcomeUnknown("cut")]

    core.db.writing = writing  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        core.put(parts=core.parts)

    # When the outbox is worked off at once, and the batch log brings the row within the margin
    settle(core)
    assert core.points() == []
    core.clock.advance(core.settings.sync.margin / 2)
    settle(core)
    core.database.write([replace(mutation, intents=()) for mutation in lost])
    core.clock.advance(core.settings.sync.margin)
    settle(core)

    # Then it is in the index
    assert len(core.points()) == 1
    assert core.refs() == []


def settle(core: Core) -> None:
    """The drain, and all that it sends."""
    core.dispatcher.sent.clear()
    core.parts.drain.run()
    for refs in core.dispatcher.sent:
        core.work(*refs)


def test_a_slow_write_that_cannot_be_filed_again_has_failed(core: Core) -> None:
    slow(core, 3600)
    core.db.outbox.before["file"] = lambda: raises(DatabaseUnavailable("down"))

    with pytest.raises(DatabaseUnavailable, match="down"):
        core.put(parts=core.parts)


def test_of_many_writes_of_one_key_the_last_one_wins_and_what_fails_is_said(core: Core) -> None:
    writer = core.parts.writer
    changes = [writer.check_put(Put(*item, {"text": text})) for item, text in ((ITEM, "1"), (OTHER, "2"), (ITEM, "3"))]

    first, _, last = writer.write(changes)
    assert first is last
    assert core.row().value() == {"text": "3"}  # type: ignore[union-attr]

    core.db.before["commit"] = lambda: raises(DatabaseUnavailable("down"))
    with pytest.raises(PartialFailure) as failure:
        writer.write(changes)
    assert failure.value.receipts == [None, None, None]


@pytest.mark.parametrize(
    ("errors", "is_permanent"),
    [
        ([DatabaseRefused("no"), None], True),
        ([DatabaseRefused("no"), DatabaseUnavailable("down")], False),
        ([DatabaseUnavailable("down")], False),
    ],
)
def test_a_failure_says_whether_trying_again_can_help(errors: list[StoreError | None], is_permanent: bool) -> None:
    failure = PartialFailure([None for _ in errors], errors)

    assert failure.is_permanent is is_permanent
    assert ("trying again cannot help" in str(failure)) is is_permanent
    assert pickle.loads(pickle.dumps(failure)).is_permanent is is_permanent
