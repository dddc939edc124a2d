"""Conditional writes: what is decided, in which order it is written, and how a lost answer is settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from scylla_store import Contended, Put, SyncStatus
from scylla_store.clock import SECOND, past_for_all
from scylla_store.conditional import ConditionalWriter
from scylla_store.database.base import ClockReading, Mutation
from scylla_store.errors import ClockSkew, DamagedRow, DatabaseUnavailable, OutcomeUnknown
from scylla_store.intents import Kind, Ref
from scylla_store.outcomes import Condition, Outcome, if_absent, if_present, if_version
from scylla_store.receipts import Receipt
from scylla_store.rows import Head, Row
from tests.unit.core import ITEM, START, Core, raises


@dataclass
class Waits:
    """Waits by setting the clock; remembers how long. It is the publisher too, and remembers what is sent."""

    core: Core
    seconds: list[float] = field(default_factory=list)
    sent: list[Ref] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.core.clock.advance(seconds)

    def collect(self, refs: list[Ref]) -> list[str | None]:
        self.sent += refs
        return ["task" for _ in refs]


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def waits(core: Core) -> Waits:
    waits = Waits(core)
    parts = core.parts
    core.parts.conditional = ConditionalWriter(  # type: ignore[assignment]
        parts.database, waits, parts.registry, parts.guard, parts.clock, parts.settings,
        patience=parts.writer.patience, sleep=waits, random=lambda: 0.5,  # type: ignore[arg-type]
    )  # fmt: skip
    return waits


def write(core: Core, condition: Condition, text: str | None = "some text", **options: Any) -> Outcome:
    """A conditional put, or delete (None)."""
    writer = core.parts.writer
    change = writer.check_delete(*ITEM) if text is None else writer.check_put(Put(*ITEM, {"text": text}, **options))
    return core.parts.conditional.write(change, condition)


def bump(core: Core, attempts: int = 10, times: int = 1) -> Outcome:
    """Counts."""
    return core.parts.updater.update(
        *ITEM, lambda value: {"n": value.get("n", 0) + times}, attempts=attempts, index=False, ttl=None
    )


def receipt_of(outcome: Outcome) -> Receipt:
    assert outcome.receipt is not None
    return outcome.receipt


def value(core: Core) -> dict[str, Any] | None:
    row = core.row()
    return row.value() if row is not None and row.is_visible(core.clock()) else None


def lose(core: Core) -> None:
    """The next conditional write is done, and its answer lost."""
    core.db.answers["compare_and_set"] = lambda: raises(OutcomeUnknown())


def fail(core: Core, name: str, error: Exception | None = None) -> None:
    """The next call of this name fails before it happens."""
    target = core.db.outbox if name in ("file", "ack") else core.db
    target.before[name] = lambda: raises(error or DatabaseUnavailable())


def later(core: Core, name: str, calls: int, action: Callable[[], Any]) -> None:
    """Before the call of this name after so many others."""
    left = [calls]

    def count() -> None:
        if left[0]:
            left[0] -= 1
            core.db.before[name] = count
        else:
            action()

    core.db.before[name] = count


def test_a_document_is_put_once_and_who_comes_later_sees_what_stood_in_the_way(core: Core, waits: Waits) -> None:
    first = write(core, if_absent, "one")
    second = write(core, if_absent, "two")

    assert first
    assert not second
    assert first.current == second.current
    assert second.receipt is None
    assert first.current is not None
    assert (first.current.value, first.current.version) == ({"text": "one"}, receipt_of(first).version)
    assert receipt_of(first).created
    assert not receipt_of(first).existed


def test_a_document_is_replaced_only_at_the_version_that_was_seen(core: Core, waits: Waits) -> None:
    version = receipt_of(write(core, if_absent, "one")).version

    applied = write(core, if_version(version), "two")
    refused = write(core, if_version(version), "three")

    assert (bool(applied), bool(refused)) == (True, False)
    assert value(core) == {"text": "two"}
    assert refused.current == applied.current
    assert receipt_of(applied).existed
    assert (receipt_of(applied).version or 0) > (version or 0)


def test_only_what_is_there_is_replaced_or_deleted(core: Core, waits: Waits) -> None:
    nothing = [write(core, if_present, text) for text in ("one", None)]
    write(core, if_absent, "one")
    outcomes = [write(core, if_present, "two"), write(core, if_version(core.row().version), None)]  # type: ignore[union-attr]
    gone = write(core, if_present, None)

    assert [False, False, True, True, False] == [bool(outcome) for outcome in (*nothing, *outcomes, gone)]
    assert [outcome.current for outcome in (*nothing, gone)] == [None, None, None]
    assert receipt_of(outcomes[1]).existed
    assert outcomes[1].current is None
    assert value(core) is None
    assert core.row().head.deleted  # type: ignore[union-attr]


def test_a_version_that_is_none_is_refused() -> None:
    for wrong in (None, 0, -1, True, "5", 1.0):
        with pytest.raises(ValueError, match="expected_version must be the version of an item"):
            if_version(wrong)


def test_an_expired_document_is_absent_to_every_condition(core: Core, waits: Waits) -> None:
    created_at = receipt_of(write(core, if_absent, "one", ttl=5.0)).version
    version = core.row().version  # type: ignore[union-attr]
    core.clock.advance(5)

    refused = [write(core, if_present, "two"), write(core, if_version(version), "two"), write(core, if_present, None)]
    outcome = write(core, if_absent, "three")

    assert [False] * 3 == [bool(one) for one in refused]
    assert [None] * 3 == [one.current for one in refused]
    assert outcome
    assert receipt_of(outcome).created
    assert core.row().head.created_at > (created_at or 0)  # type: ignore[union-attr]
    assert core.row().expires_at is None  # type: ignore[union-attr]


def test_what_expires_while_the_write_waits_for_the_clocks_is_absent(core: Core, waits: Waits) -> None:
    core.put("one", ttl=0.3)

    assert not write(core, if_present, "two")
    assert write(core, if_absent, "three")
    assert waits.seconds[0] > 0.3


def test_it_is_indexed_and_its_end_too(core: Core, waits: Waits) -> None:
    # Given a conditional write with a TTL
    receipt = receipt_of(write(core, if_absent, "some text", ttl=60.0))

    # When its intents are worked
    [ref] = core.refs(Kind.WRITE)
    core.sync(ref)

    # Then its points are there, at its version
    assert core.versions() == [receipt.version, receipt.version][: len(core.points())]
    assert core.points()
    assert receipt.status() is SyncStatus.SYNCED

    # And when it has expired, they go, and the row is cleaned up
    [end] = core.refs(Kind.EXPIRY)
    core.clock.advance(60 + 11)
    assert end.intent.key.due == past_for_all(core.row().expires_at, 5 * SECOND)  # type: ignore[union-attr, arg-type]
    core.sync(end)
    assert core.points() == []
    assert core.row().head.deleted  # type: ignore[union-attr]
    assert core.refs() == []


def test_the_intent_is_there_before_the_item(core: Core, waits: Waits) -> None:
    seen: list[int] = []
    core.db.before["compare_and_set"] = lambda: seen.append(len(core.refs(Kind.WRITE)))

    write(core, if_absent)

    assert seen == [1]


def test_when_the_intent_cannot_be_written_nothing_is(core: Core, waits: Waits) -> None:
    for name in ("register", "file"):
        fail(core, name, OutcomeUnknown("lost"))
        with pytest.raises(DatabaseUnavailable, match="lost") as caught:
            write(core, if_absent)

        # The item was not touched, so the outcome is known.
        assert not isinstance(caught.value, OutcomeUnknown)
    assert core.row() is None


def test_a_read_that_is_not_answered_leaves_no_outcome_open(core: Core, waits: Waits) -> None:
    fail(core, "read", OutcomeUnknown("CAS operation result is unknown"))

    with pytest.raises(DatabaseUnavailable, match="CAS operation") as caught:
        write(core, if_absent)

    assert not isinstance(caught.value, OutcomeUnknown)


def test_what_was_not_applied_leaves_no_intent(core: Core, waits: Waits) -> None:
    # Given another writer who comes between the read and the write
    core.db.before["compare_and_set"] = lambda: write_elsewhere(core)

    # When the write is refused, and decided anew
    outcome = write(core, if_absent, "mine", ttl=60.0)

    # Then it is not applied, and only the other one's intent waits
    assert not outcome
    assert outcome.current is not None
    assert outcome.current.value == {"text": "theirs"}
    assert [core.row().head.write_id] == [ref.intent.write_id for ref in core.refs()]  # type: ignore[union-attr]


def write_elsewhere(core: Core, text: str = "theirs") -> Outcome:
    """Another process puts, conditionally."""
    writer = core.elsewhere.writer
    return core.elsewhere.conditional.write(writer.check_put(Put(*ITEM, {"text": text})), lambda row: True)


def test_intents_that_cannot_be_taken_back_do_not_change_the_outcome(core: Core, waits: Waits) -> None:
    core.db.before["compare_and_set"] = lambda: write_elsewhere(core)
    fail(core, "ack")

    assert not write(core, if_absent, "mine")

    # And a worker settles what is left when it is no longer young
    core.clock.advance(31)
    core.sync(*core.refs())
    assert core.refs() == []


def test_a_lost_answer_is_settled_by_a_serial_read(core: Core, waits: Waits) -> None:
    lose(core)
    outcome = write(core, if_absent, "one")

    assert outcome
    assert outcome.current is not None
    assert (receipt_of(outcome).version, {"text": "one"}) == (core.row().version, outcome.current.value)  # type: ignore[union-attr]


def noted_reads(core: Core) -> list[bool]:
    """Of the reads from now on: whether they are serial."""
    serial: list[bool] = []
    read = core.database.read

    def noted(*args: Any, **options: Any) -> Any:
        serial.append(options.get("serial", False))
        return read(*args, **options)

    core.database.read = noted  # type: ignore[method-assign]
    return serial


def test_a_worker_settles_a_write_that_it_does_not_find_before_it_acknowledges_it(core: Core, waits: Waits) -> None:
    # Given the intent of a write that never came
    fail(core, "compare_and_set")
    with pytest.raises(DatabaseUnavailable):
        write(core, if_absent)
    serial = noted_reads(core)

    # When it is worked while it is young, Then it is left alone
    core.sync(*core.refs())
    assert [False] == serial
    assert len(core.refs()) == 1

    # When it is no longer young, Then a serial read comes first
    core.clock.advance(31)
    core.sync(*core.refs())
    assert serial[1:3] == [False, True]
    assert core.refs() == []


def test_what_settles_a_write_is_read_with_serial_consistency(core: Core, waits: Waits) -> None:
    # Given a database that says of the first write that another head was there
    serial = noted_reads(core)
    core.db.answers["compare_and_set"] = lambda: False

    # When it is decided anew
    assert write(core, lambda row: True)

    # Then only the first read is a plain one
    assert [False, True, True] == serial


def test_a_worker_knows_at_once_that_a_write_has_arrived_which_another_one_replaced(core: Core, waits: Waits) -> None:
    # Given two conditional writes, whose refs went to a worker directly
    first, second = write(core, if_absent, "one"), write(core, if_present, "two")

    # When the worker gets both, Then it waits for none
    assert [receipt_of(one).version for one in (first, second)] == [ref.intent.version for ref in waits.sent]
    assert receipt_of(second).task_id == "task"
    core.sync(*waits.sent)
    assert core.refs() == []
    assert core.points()
    assert receipt_of(first).status() is SyncStatus.SUPERSEDED


def test_a_write_that_did_not_happen_is_done_again_when_its_answer_was_lost(core: Core, waits: Waits) -> None:
    fail(core, "compare_and_set", OutcomeUnknown())

    assert write(core, if_absent, "one")
    assert value(core) == {"text": "one"}

    # And the first intent stays, should the write come late; a worker settles it
    assert len(core.refs()) == 2
    core.clock.advance(31)
    core.sync(*core.refs())
    assert core.refs() == []
    assert core.points()


def test_a_lost_answer_is_unknown_when_it_cannot_be_read_or_was_replaced(core: Core, waits: Waits) -> None:
    # Given an answer that is lost, and a read that fails
    lose(core)
    later(core, "read", 1, lambda: raises(DatabaseUnavailable("still away")))
    with pytest.raises(OutcomeUnknown, match="still away"):
        write(core, if_absent, "one")

    # Then the intent stays, for a worker to settle it
    assert [core.row().head.write_id] == [ref.intent.write_id for ref in core.refs()]  # type: ignore[union-attr]

    # Given another write that comes before the read
    lose(core)
    later(core, "read", 1, lambda: write_elsewhere(core))
    with pytest.raises(OutcomeUnknown, match="another write has replaced"):
        write(core, if_present, "two")


def test_a_lost_answer_is_unknown_in_the_last_attempt_too(core: Core, waits: Waits) -> None:
    # Given one attempt, whose answer is lost, and somebody who replaces what was there before that is settled
    write(core, if_absent)
    core.db.answers["compare_and_set"] = lambda: (core.put("other"), raises(OutcomeUnknown()))
    # Then it may have been written, and nobody says that it was not
    with pytest.raises(OutcomeUnknown, match="another write has replaced"):
        bump(core, attempts=1)


def test_who_was_applied_and_replaced_at_once_knows_no_version(core: Core, waits: Waits) -> None:
    core.db.after["compare_and_set"] = lambda: write_elsewhere(core)

    outcome = write(core, if_absent, "mine")

    assert outcome
    assert receipt_of(outcome).version is None
    assert outcome.current is not None
    assert outcome.current.value == {"text": "theirs"}
    assert receipt_of(outcome).status() is SyncStatus.PENDING


def test_a_database_that_is_away_leaves_nothing_open(core: Core, waits: Waits) -> None:
    fail(core, "compare_and_set")

    with pytest.raises(DatabaseUnavailable) as caught:
        write(core, if_absent)

    assert not isinstance(caught.value, OutcomeUnknown)
    core.clock.advance(31)
    core.sync(*core.refs())
    assert core.refs() == []


def test_after_a_plain_write_the_clocks_of_all_nodes_pass_its_time_first(core: Core, waits: Waits) -> None:
    # Given a head of a plain write, and a node whose clock is as slow as it may be
    core.put("plain")
    core.database.server_clock = lambda: core.clock() - SECOND // 2
    core.database.clock = lambda: ClockReading(core.clock(), {})  # type: ignore[method-assign]

    # When it is replaced through that node, Then it is not hidden
    outcome = write(core, if_present, "conditional")
    assert outcome
    assert value(core) == {"text": "conditional"}
    assert waits.seconds == [0.500001]

    # And after a conditional write nobody waits
    assert write(core, if_present, "another")
    assert len(waits.seconds) == 1


def test_a_database_with_one_clock_is_waited_for_only_while_the_head_is_ahead_of_it(core: Core, waits: Waits) -> None:
    core.database.clock = lambda: ClockReading(core.clock(), {}, has_one_clock=True)  # type: ignore[method-assign]
    core.put("one")

    assert write(core, if_present, "two")
    assert waits.seconds == [0.000001]

    core.database.write([Mutation(ITEM, core.clock() + 2 * SECOND, core.row().head.encode(), None)])  # type: ignore[union-attr]
    core.put("ahead")
    assert write(core, if_present, "three")
    assert 1.9 < waits.seconds[1] < 2.1


def test_the_wait_goes_by_the_database_s_clock(core: Core, waits: Waits) -> None:
    core.put("plain")
    core.database.server_clock = lambda: core.clock() - 2 * SECOND

    assert write(core, if_present, "conditional")
    assert value(core) == {"text": "conditional"}
    assert 2.5 <= waits.seconds[0] < 2.6


def test_what_was_applied_behind_a_later_time_is_done_again(core: Core, waits: Waits) -> None:
    # Given a node whose clock is slower than it may be
    core.put("plain")
    core.database.server_clock = lambda: core.clock() - SECOND
    core.database.clock = lambda: ClockReading(core.clock(), {})  # type: ignore[method-assign]

    # When a conditional write through it is hidden, by turns, until its clock has passed
    outcome = write(core, if_present, "conditional")

    # Then it is there in the end, and only its own intent waits beside that of the put
    assert outcome
    assert value(core) == {"text": "conditional"}
    assert len(core.refs()) == 2
    assert len(waits.seconds) > 1


def test_a_head_too_far_ahead_and_a_wrong_clock_are_refused(core: Core, waits: Waits) -> None:
    core.database.write([Mutation(ITEM, START + 60 * SECOND, Head(b"x" * 16, START).encode(), None)])
    with pytest.raises(ClockSkew, match="in the future"):
        write(core, if_present)

    core.database.server_clock = lambda: START + 3600 * SECOND
    core.clock.advance(2)
    with pytest.raises(ClockSkew, match="This machine's clock"):
        write(core, if_present)


def test_a_damaged_row_is_not_replaced(core: Core, waits: Waits) -> None:
    core.database.write([Mutation(ITEM, START, b"damaged", None)])

    with pytest.raises(DamagedRow):
        write(core, if_absent)

    assert core.refs() == []


def test_a_write_that_took_too_long_is_filed_again(core: Core, waits: Waits) -> None:
    # Given one whose answer comes after its intent may have been acknowledged
    core.db.before["compare_and_set"] = lambda: core.clock.advance(21)

    assert write(core, if_absent)

    kinds = sorted(ref.intent.kind.value for ref in core.refs())
    assert kinds == [Kind.AGAIN.value, Kind.WRITE.value]

    # And when that cannot be filed, the outcome is open
    core.db.before["compare_and_set"] = lambda: (core.clock.advance(21), fail(core, "file"))
    with pytest.raises(OutcomeUnknown):
        write(core, if_present)


def test_who_never_comes_first_gives_up_after_so_many_attempts_and_rests_in_between(core: Core, waits: Waits) -> None:
    write(core, if_absent, "one")

    def busy() -> None:
        write_elsewhere(core)
        core.db.before["compare_and_set"] = busy

    core.db.before["compare_and_set"] = busy

    with pytest.raises(Contended, match="3 attempts"):
        bump(core, attempts=3)

    # With a jitter that says half: of 10 ms, then of 20
    assert waits.seconds == [0.005, 0.01]
    assert value(core) == {"text": "theirs"}


def test_a_decision_is_made_anew_in_each_attempt(core: Core, waits: Waits) -> None:
    write(core, if_absent, "one")
    bump(core)
    core.db.before["compare_and_set"] = lambda: core.elsewhere.updater.update(
        *ITEM, {"n": 10}, attempts=1, index=None, ttl=None
    )

    outcome = bump(core)

    assert outcome.current is not None
    assert outcome.current.value == {"n": 11}


def test_a_lost_increment_is_counted_once(core: Core, waits: Waits) -> None:
    write(core, if_absent, "zero")
    for number in range(1, 6):
        lose(core)
        assert bump(core).current.value == {"n": number}  # type: ignore[union-attr]


def test_an_attempt_that_arrives_after_it_was_settled_is_not_done_twice(core: Core, waits: Waits) -> None:
    # Given a counter, and an increment whose request is held up by a node that hangs: its answer is lost, and it is not there
    write(core, if_absent)
    bump(core)
    held: list[tuple[bytes | None, Mutation]] = []

    def hold(expected: bytes | None, mutation: Mutation) -> bool:
        del core.db.__dict__["compare_and_set"]
        held.append((expected, mutation))
        raise OutcomeUnknown

    core.db.__dict__["compare_and_set"] = hold
    # When it arrives just before the second attempt
    later(core, "compare_and_set", 0, lambda: core.database.compare_and_set(*held[0]))
    outcome = bump(core)
    # Then that is what was done, once
    assert value(core) == {"n": 2}
    assert receipt_of(outcome).write_id == held[0][1].head[:16]


def test_an_attempt_that_may_have_arrived_and_was_replaced_is_unknown(core: Core, waits: Waits) -> None:
    # Given the same, but somebody else writes before the second attempt is read again
    write(core, if_absent)
    bump(core)

    def hold(expected: bytes | None, mutation: Mutation) -> bool:
        del core.db.__dict__["compare_and_set"]
        raise OutcomeUnknown

    core.db.__dict__["compare_and_set"] = hold
    later(core, "compare_and_set", 0, lambda: core.put("other"))
    # When the increment is tried again, then nobody can tell whether it was there in between
    with pytest.raises(OutcomeUnknown, match="another write has replaced"):
        bump(core)
    assert value(core) == {"text": "other"}


def hold_up(core: Core, then: Callable[[Core], object] = lambda core: None) -> list[Callable[[], bool]]:
    """The next conditional write hangs in a node that has not begun with it: its answer is lost. Returns what sends it on."""
    held: list[Callable[[], bool]] = []

    def hold(expected: bytes | None, mutation: Mutation) -> bool:
        del core.db.__dict__["compare_and_set"]
        held.append(lambda: core.database.compare_and_set(expected, mutation))
        then(core)
        raise OutcomeUnknown

    core.db.__dict__["compare_and_set"] = hold
    return held


def an_hour_off(core: Core) -> None:
    core.database.server_clock = lambda: core.clock() + 3600 * SECOND
    core.clock.advance(2)


@pytest.mark.parametrize(
    ("attempts", "then", "cause"),
    [
        pytest.param(1, lambda core: None, Contended, id="there was one attempt"),
        pytest.param(2, lambda core: hold_up(core), Contended, id="there were two, and both were held up"),
        pytest.param(
            10,
            lambda core: later(core, "read", 1, lambda: raises(DatabaseUnavailable("away"))),
            DatabaseUnavailable,
            id="the next read fails",
        ),
        pytest.param(
            10, lambda core: fail(core, "file", OutcomeUnknown()), DatabaseUnavailable, id="its intent is not stored"
        ),
        pytest.param(10, lambda core: fail(core, "compare_and_set"), DatabaseUnavailable, id="it cannot be sent"),
        pytest.param(10, an_hour_off, ClockSkew, id="the clock is wrong"),
    ],
)
def test_of_an_attempt_that_may_still_come_nobody_says_that_nothing_was_written(
    core: Core, waits: Waits, attempts: int, then: Callable[[Core], object], cause: type[Exception]
) -> None:
    # Given an increment whose request is held up, and nothing that is tried afterwards succeeds
    write(core, if_absent)
    bump(core)
    held = hold_up(core, then)

    # When the caller is told, Then it is that the outcome is open, and why nothing more was done
    with pytest.raises(OutcomeUnknown, match="may still come") as caught:
        bump(core, attempts=attempts)
    assert isinstance(caught.value.__cause__, cause)

    # For it comes
    assert held[0]()
    assert value(core) == {"n": 2}


def test_nor_when_it_is_decided_otherwise_by_then(core: Core, waits: Waits) -> None:
    # Given a document that expires after the request for its replacement was held up
    write(core, if_absent, "short", ttl=5.0)
    held = hold_up(core, lambda core: core.clock.advance(6))

    # When there is nothing to replace any more, Then that is no answer yet
    with pytest.raises(OutcomeUnknown, match="may still come"):
        write(core, if_present, "long")
    assert held[0]()
    assert value(core) == {"text": "long"}


def test_nor_when_the_decision_fails(core: Core, waits: Waits) -> None:
    # Given a function that finds its resource gone in the second attempt
    write(core, if_absent)
    held = hold_up(core)

    def change(found: dict[str, Any]) -> dict[str, Any]:
        if held:
            raise LookupError("none is left")
        return {"n": 1}

    with pytest.raises(OutcomeUnknown, match="none is left") as caught:
        core.parts.updater.update(*ITEM, change, attempts=10, index=False, ttl=None)
    assert isinstance(caught.value.__cause__, LookupError)
    assert held[0]()


def test_what_is_applied_after_a_lost_attempt_rules_it_out(core: Core, waits: Waits) -> None:
    write(core, if_absent)
    bump(core)
    held = hold_up(core)

    assert bump(core)
    assert not held[0]()
    assert value(core) == {"n": 2}


def lie_in_wait(core: Core) -> None:
    """The next conditional write is accepted by some nodes and its answer lost: only a serial read or the like completes it."""
    held, read = hold_up(core), core.database.read

    def completing(*args: Any, **options: Any) -> Any:
        if held and options.get("serial"):
            held.pop()()
        return read(*args, **options)

    core.database.read = completing  # type: ignore[method-assign]


def lost(core: Core, call: Callable[[], Outcome]) -> None:
    """The outcome of the call is unknown, because the read that would settle it fails too."""
    later(core, "read", 1, lambda: raises(DatabaseUnavailable("away")))
    with pytest.raises(OutcomeUnknown):
        call()


def test_there_is_no_such_document_only_when_none_lies_in_wait(core: Core, waits: Waits) -> None:
    # Given a document whose creation was accepted, and which a plain read does not show
    lie_in_wait(core)
    lost(core, lambda: write(core, if_absent))
    assert value(core) is None

    # When it is asked for by a write that changes nothing, Then it is there
    outcome = core.parts.updater.update(*ITEM, {}, attempts=10, index=None, ttl=None)
    assert outcome.current is not None
    assert outcome.current.value == {"text": "some text"}


@pytest.mark.parametrize("condition", [if_present, if_version(5)])
def test_what_is_not_there_is_looked_for_twice_and_what_is_there_once(
    core: Core, waits: Waits, condition: Condition
) -> None:
    serial = noted_reads(core)

    # Given no document, then one that stands in the way
    refused = write(core, condition)
    assert (bool(refused), serial) == (False, [False, True])
    write(core, if_absent)
    del serial[:]
    assert not write(core, if_absent)
    assert serial == [False]


def test_a_write_that_changes_nothing_rules_out_what_no_node_has_begun(core: Core, waits: Waits) -> None:
    # Given an increment of which nobody knows
    write(core, if_absent)
    bump(core)
    held = hold_up(core)
    lost(core, lambda: bump(core))

    # When the document is replaced by itself, Then the increment never comes
    assert core.parts.updater.update(*ITEM, {}, attempts=10, index=None, ttl=None)
    assert not held[0]()
    assert value(core) == {"n": 1}


def test_where_there_is_nothing_only_another_write_rules_out_what_no_node_has_begun(core: Core, waits: Waits) -> None:
    for rule_out in (lambda: write(core, if_absent, "again"), core.delete):
        held = hold_up(core)
        lost(core, lambda: write(core, if_absent))

        # An update of nothing is none: it leaves the head that the creation is a condition on
        assert not core.parts.updater.update(*ITEM, {}, attempts=10, index=None, ttl=None)
        rule_out()
        assert not held[0]()
        core.clock.advance(1)
        core.delete()


def test_a_put_between_read_and_write_is_not_overwritten(core: Core, waits: Waits) -> None:
    write(core, if_absent, "one")
    version = core.row().version  # type: ignore[union-attr]
    core.db.before["compare_and_set"] = lambda: core.put("plain")

    outcome = write(core, if_version(version), "mine")

    assert not outcome
    assert value(core) == {"text": "plain"}


def test_of_two_writes_that_drew_one_version_the_condition_means_the_one_that_was_read(
    core: Core, waits: Waits
) -> None:
    # Given a tie: another write of the same version, which wins it, comes after the read
    core.put("one")
    row = core.row()
    assert row is not None
    core.clock.advance(1)
    other = Head(b"\xff" * 16, row.head.created_at)
    core.db.before["compare_and_set"] = lambda: core.database.write(
        [Mutation(ITEM, row.version, other.encode(), other.write_id + b'{"text": "tie"}')]
    )

    # When the version is asked for, Then what is replaced is the other write, which was read by then
    seen: list[Row | None] = []

    def condition(found: Row | None) -> bool:
        seen.append(found)
        return if_version(row.version)(found)

    assert write(core, condition, "mine")
    assert [row.head.write_id, b"\xff" * 16] == [one.head.write_id for one in seen if one is not None]
