"""Attempts, delays and dead letters: what a worker makes of failures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.base import ClockReading, Mutation
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import DatabaseUnavailable, EmbedderTimeout, EmbedderUnavailable, IndexUnavailable
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Bookkeeping, Kind, Ref
from scylla_store.items import SyncStatus
from scylla_store.testing import FailingEmbedder
from tests.unit.core import ITEM, OTHER, Core, raises


def failing(**options: object) -> Core:
    """Texts with "bad" in them cannot be embedded."""
    return Core(
        embedder=FailingEmbedder(
            lambda text: "bad" in text, error=ValueError("no"), inner=HashingEmbedder(8), **options
        )
    )  # type: ignore[arg-type]


def again(core: Core, ref: Ref) -> Ref:
    """As the drain sends it."""
    entry = core.database.outbox.get([ref.intent.key])[ref.intent.key]
    return Ref(entry.intent, entry.attempts, again=True)


def buried(core: Core, text: str = "bad") -> Ref:
    """A write that has become a dead letter, and its ref."""
    ref = core.ref(core.put(text))
    core.work(ref)
    core.work(again(core, ref))
    assert core.work(again(core, ref)).dead == 1
    return ref


def test_an_outage_is_a_delay_and_no_attempt() -> None:
    # Given
    core = Core(embedder=FailingEmbedder(error=EmbedderUnavailable("down")))
    receipt = core.put()
    ref = core.ref(receipt)

    # When
    report = core.work(ref)

    # Then it waits, its reason is noted, and nothing was counted
    entry = core.database.outbox.get([receipt.intent])[receipt.intent]
    assert (report.waiting, report.retry, entry.attempts) == (1, [ref], 0)
    assert entry.error == "EmbedderUnavailable: down"
    assert entry.next_attempt > core.clock()
    assert receipt.status() is SyncStatus.RETRYING


def test_the_attempt_that_was_counted_before_an_outage_is_given_back() -> None:
    core = Core(embedder=FailingEmbedder(error=EmbedderUnavailable("down")))
    ref = core.ref(core.put())

    for _ in range(10):
        core.work(again(core, ref))

    assert again(core, ref).attempts == 0
    assert core.database.letters(after=None, limit=1) == []


def test_a_database_that_is_down_before_anything_was_begun_costs_nothing() -> None:
    core = Core()
    ref = core.ref(core.put())
    core.db.outbox.before["get"] = lambda: raises(DatabaseUnavailable("down"))

    report = core.work(again(core, ref))

    assert (report.waiting, report.error) == (1, "DatabaseUnavailable: down")
    assert again(core, ref).attempts == 0


def test_a_document_that_fails_is_tried_again_with_its_attempts_and_ends_as_a_dead_letter() -> None:
    # Given
    core = failing()
    receipt = core.put("bad")
    good = core.put("good", OTHER)

    # When it is tried as often as is allowed
    first = core.work(core.ref(receipt), core.ref(good))
    assert (first.acked, len(first.retry), first.retry[0].attempts) == (1, 1, 1)
    core.work(again(core, core.ref(receipt)))
    assert receipt.status() is SyncStatus.RETRYING
    last = core.work(again(core, core.ref(receipt)))

    # Then
    letter = core.database.letter(item_digest(ITEM))
    assert letter is not None
    assert (last.dead, letter.attempts, letter.reason) == (1, 3, "ValueError")
    assert letter.write_id == receipt.write_id
    assert receipt.status() is SyncStatus.DEAD
    assert [point.payload["path"] for point in core.points()] == [None]
    assert core.refs() == []


def test_a_newer_write_takes_the_letter_away_when_it_is_indexed() -> None:
    core = failing()
    buried(core)

    core.work(core.ref(core.put("good")))

    assert core.database.letter(item_digest(ITEM)) is None
    assert core.row().letter is None  # type: ignore[union-attr]


@pytest.mark.parametrize("end", ["delete", "expiry"])
def test_the_letter_goes_with_its_item(end: str) -> None:
    core = failing()
    ref = core.ref(core.put("bad", ttl=3600.0))
    for _ in range(3):
        core.work(again(core, ref))
    assert core.database.letter(item_digest(ITEM)) is not None

    if end == "delete":
        core.delete()
    core.clock.advance(7200)
    core.work(*core.refs())

    assert core.database.letter(item_digest(ITEM)) is None


@pytest.mark.parametrize("kind", [Kind.AGAIN, Kind.REPAIR, Kind.WRITE])
def test_a_dead_write_is_not_tried_again_by_other_intents_of_its_item_which_restore_its_anchor(kind: Kind) -> None:
    # Given a dead letter whose anchor is lost, and by now the text could be embedded
    core = failing()
    buried(core)
    core.embedder.times = 0
    core.index.delete([(point.id, point.fingerprint) for point in core.points()])
    calls = len(core.embedder.calls)

    # When
    report = core.work(core.repair(kind=kind))

    # Then nothing is embedded and the letter stays
    assert (report.acked, len(core.embedder.calls)) == (1, calls)
    assert core.database.letter(item_digest(ITEM)) is not None
    assert [point.payload["path"] for point in core.points()] == [None]


def test_a_dead_write_is_tried_again_when_somebody_asks_for_it() -> None:
    core = failing()
    buried(core)
    core.embedder.times = 0

    core.work(core.repair(kind=Kind.REPLAY))

    assert core.database.letter(item_digest(ITEM)) is None
    assert [point.payload["path"] for point in core.points()] == ["$"]


def test_a_newer_write_is_not_buried_with_the_one_that_failed() -> None:
    # Given a write that fails for the last time, and a newer one that is indexed before the letter is written
    core = failing()
    ref = core.ref(core.put("bad"))
    core.work(ref)
    core.work(again(core, ref))

    def replace_it() -> None:
        core.sync(core.ref(core.put("good words")), parts=core.elsewhere)

    core.db.after["read"] = lambda: core.db.after.update(read=replace_it)

    # When
    core.work(again(core, ref))

    # Then
    newest = core.row()
    assert newest is not None
    assert core.database.letter(item_digest(ITEM)) is None
    assert [point.payload["path"] for point in core.points()] == ["$"]


def test_a_letter_that_a_newer_write_could_not_see_is_taken_back() -> None:
    # Given a newer write that is indexed in the moment before the letter is stored
    core = failing()
    ref = core.ref(core.put("bad"))
    core.work(ref)
    core.work(again(core, ref))
    core.db.before["bury"] = lambda: core.sync(core.ref(core.put("good words")), parts=core.elsewhere)

    # When
    core.work(again(core, ref))

    # Then
    assert core.database.letter(item_digest(ITEM)) is None
    assert core.row().letter is None  # type: ignore[union-attr]
    assert [point.payload["path"] for point in core.points()] == ["$"]


def test_a_document_that_kills_its_worker_is_counted_before_each_attempt() -> None:
    # Given a worker that dies in the embedder
    core = Core(embedder=FailingEmbedder(error=lambda: KeyboardInterrupt()))  # type: ignore[arg-type, return-value]
    receipt = core.put()

    # When
    for attempt in range(core.settings.sync.max_attempts):
        with pytest.raises(KeyboardInterrupt):
            core.work(again(core, core.ref(receipt)))
        assert again(core, core.ref(receipt)).attempts == attempt + 1
    report = core.work(again(core, core.ref(receipt)))

    # Then
    letter = core.database.letter(item_digest(ITEM))
    assert letter is not None
    assert report.dead == 1
    assert "its worker died every time" in letter.message


def test_a_document_that_kills_its_worker_for_an_intent_that_names_no_write_becomes_a_dead_letter_too() -> None:
    # Given a repair, which names no write, and a worker that dies in the embedder
    core = Core(embedder=FailingEmbedder(error=lambda: KeyboardInterrupt()))  # type: ignore[arg-type, return-value]
    core.database.outbox.ack([core.ref(core.put()).intent.key])
    core.repair()

    # When it is dispatched again and again
    deaths = 0
    for _ in range(20):
        for ref in core.refs():
            try:
                core.work(again(core, ref))
            except KeyboardInterrupt:
                deaths += 1

    # Then it ends, after attempts of the repair and as many of the write that it led to
    letter = core.database.letter(item_digest(ITEM))
    assert letter is not None
    assert letter.write_id == core.row().head.write_id  # type: ignore[union-attr]
    assert 2 * core.settings.sync.max_attempts == deaths
    assert core.refs() == []


def test_attempts_that_were_spent_on_a_row_that_was_replaced_are_counted_anew() -> None:
    core = Core()
    ref = core.ref(core.put("old"))
    core.database.outbox.update([Bookkeeping(ref.intent.key, core.clock(), 3)])
    core.put("new")

    report = core.work(again(core, ref))

    assert report.dead == 0
    assert again(core, ref).attempts == 0
    assert core.work(again(core, ref)).acked == 1
    assert core.versions() == [core.row().version]  # type: ignore[union-attr]


def test_what_could_not_be_decided_yet_was_no_attempt() -> None:
    # Given a write that seems to be on its way, delivered again and again
    core = Core()
    intent = core.ref(core.put()).intent
    young = replace(intent, item=OTHER, key=intent.key._replace(intent=b"a young intent's"))
    core.database.outbox.file([young])

    # When
    for _ in range(10):
        assert core.work(again(core, Ref(young))).waiting == 1

    # Then
    entry = core.database.outbox.get([young.key])[young.key]
    assert (entry.attempts, entry.error) == (0, None)
    assert entry.next_attempt > core.clock()


def test_a_first_delivery_is_not_counted_and_one_that_was_acknowledged_meanwhile_is_left_out() -> None:
    core = Core()
    first, gone = core.ref(core.put()), core.ref(core.put("other", OTHER))
    core.database.outbox.ack([gone.intent.key])

    report = core.work(first, replace(gone, again=True))

    assert report.acked == 1
    assert core.points(OTHER) == []
    assert "update" not in core.db.outbox.calls


def test_a_redelivered_task_is_split_and_a_redelivered_document_is_counted() -> None:
    # Given
    core = Core(embedder=FailingEmbedder(error=lambda: KeyboardInterrupt()))  # type: ignore[arg-type, return-value]
    refs = [core.ref(core.put()), core.ref(core.put("other", OTHER))]

    # When a task of two comes again, then each goes alone
    report = core.work(*refs, redelivered=True, dispatcher=core.dispatcher)
    assert report.waiting == 2
    assert core.dispatcher.sent == [[replace(ref, again=True)] for ref in refs]

    # When a task of one comes again, then that is an attempt
    with pytest.raises(KeyboardInterrupt):
        core.work(refs[0], redelivered=True, dispatcher=core.dispatcher)
    assert again(core, refs[0]).attempts == 1


def test_a_document_that_killed_its_worker_alone_waits_before_it_may_kill_the_next_one() -> None:
    # Given a document that died in a worker's hands, alone, and whose task the broker gives back at once
    core = Core(embedder=FailingEmbedder(error=lambda: KeyboardInterrupt()))  # type: ignore[arg-type, return-value]
    ref = core.ref(core.put())
    with pytest.raises(KeyboardInterrupt):
        core.work(again(core, ref))

    # When
    report = core.work(replace(ref, again=True), redelivered=True, dispatcher=core.dispatcher)

    # Then it is not tried now, no attempt is counted for that, and it goes alone again
    entry = core.database.outbox.get([ref.intent.key])[ref.intent.key]
    assert (report.waiting, report.retry, len(core.embedder.calls)) == (1, [], 1)
    assert (entry.attempts, entry.error) == (1, None)
    assert core.clock() <= entry.next_attempt <= core.clock() + core.settings.sync.backoff * SECOND


def test_a_document_that_a_dying_worker_took_with_it_comes_again_when_that_run_must_have_ended() -> None:
    # Given
    core = Core(embedder=FailingEmbedder(error=lambda: KeyboardInterrupt()))  # type: ignore[arg-type, return-value]
    refs = [core.ref(core.put()), core.ref(core.put("innocent", OTHER))]
    core.clock.advance(60)
    core.parts.drain.run()

    # When the worker that the drain sent them to dies
    with pytest.raises(KeyboardInterrupt):
        core.work(*(again(core, ref) for ref in refs))

    # Then they wait for as long as the longest run, and then each goes alone
    core.dispatcher.sent.clear()
    core.clock.advance(core.settings.sync.time_limit - 1)
    core.parts.drain.run()
    assert core.dispatcher.sent == []
    core.clock.advance(1)
    core.parts.drain.run()
    assert sorted(len(task) for task in core.dispatcher.sent) == [1, 1]


def test_a_row_that_cannot_be_decoded_becomes_a_dead_letter_and_its_points_stay() -> None:
    # Given
    core = Core()
    receipt = core.put()
    core.work(core.ref(receipt))
    points = core.points()
    core.database.write([Mutation(ITEM, (receipt.version or 0) + 1, b"this is not a head at all", None)])

    # When
    report = core.work(core.repair())

    # Then
    letter = core.database.letter(item_digest(ITEM))
    assert letter is not None
    assert (report.dead, letter.reason) == (1, "DamagedRow")
    assert core.points() == points
    assert core.refs() == []


def test_a_row_of_a_newer_version_of_the_library_is_left_to_newer_workers() -> None:
    # Given a head whose format this version does not know, as in the middle of a deployment
    core = Core()
    receipt = core.put()
    head = core.database.read([ITEM])[ITEM].head
    assert head is not None
    core.database.write([Mutation(ITEM, (receipt.version or 0) + 1, head[:16] + b"\x02" + head[17:], None)])

    # When this worker gets it again and again
    for _ in range(10):
        core.clock.advance(60)
        report = core.work(again(core, core.ref(receipt)))
        assert (report.waiting, report.dead) == (1, 0)

    # Then it waits, and no attempt is counted
    assert again(core, core.ref(receipt)).attempts == 0


def test_a_worker_whose_clock_is_far_off_does_nothing_and_says_so() -> None:
    # Given a document that a clock an hour ahead would take for expired
    core = Core()
    core.put("short lived", ttl=60.0)
    core.database.server_clock = lambda: core.clock() - 3600 * SECOND
    assert core.database.clock() == ClockReading(core.clock() - 3600 * SECOND, {"memory": 0})

    # When
    report = core.work(*core.refs())

    # Then
    assert (report.acked, report.waiting) == (0, 2)
    assert "ClockSkew" in (report.error or "")
    assert len(core.refs()) == 2


def test_the_outbox_waits_longer_than_the_callers_own_retry() -> None:
    core = Core(embedder=FailingEmbedder(error=ValueError("no")))
    ref = core.ref(core.put())

    core.work(ref, postpone=500.0)

    entry = core.database.outbox.get([ref.intent.key])[ref.intent.key]
    assert entry.next_attempt >= core.clock() + 500 * SECOND


def test_an_outage_while_a_letter_is_made_leaves_the_document_to_the_outbox() -> None:
    core = failing()
    ref = core.ref(core.put("bad"))
    core.work(ref)
    core.work(again(core, ref))
    core.ix.before["upsert"] = lambda: raises(IndexUnavailable("down"))

    report = core.work(again(core, ref))

    assert (report.dead, report.waiting) == (0, 1)
    assert core.database.letter(item_digest(ITEM)) is None
    assert len(core.refs()) == 1


def test_a_later_letter_replaces_an_earlier_one_that_a_faster_clock_wrote() -> None:
    # Given the letter of an earlier write, from a worker whose clock is ahead
    core = failing()
    buried(core)
    [letter] = core.database.letters(after=None, limit=10)
    core.database.bury(replace(letter, timestamp=core.clock() + 4 * SECOND))
    # When the next write of the document fails for good too
    later = buried(core, "bad again")
    # Then the letter is about that one
    [letter] = core.database.letters(after=None, limit=10)
    assert letter.write_id == later.intent.write_id


def test_a_worker_that_dies_before_its_letter_is_written_leaves_the_intent() -> None:
    # Given a document at its last attempt
    core = failing()
    ref = core.ref(core.put("bad"))
    core.work(ref)
    core.work(again(core, ref))

    # When its worker dies right before it writes the letter
    core.db.before["bury"] = lambda: raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        core.work(again(core, ref))

    # Then somebody else writes it
    core.work(again(core, ref))
    assert core.refs() == []
    assert len(core.database.letters(after=None, limit=9)) == 1


# -- texts that the embedder never finishes


def hanging() -> Core:
    """Calls with a "bad" text in them do not end in time."""
    return Core(
        embedder=FailingEmbedder(lambda text: "bad" in text, error=EmbedderTimeout("late"), inner=HashingEmbedder(8))
    )


def rounds(core: Core, number: int) -> None:
    """Drains, and works off what they send."""
    for _ in range(number):
        core.clock.advance(3600)
        core.dispatcher.sent.clear()
        core.parts.drain.run()
        for refs in list(core.dispatcher.sent):
            core.work(*refs)


def test_a_text_that_makes_the_embedder_hang_becomes_a_dead_letter_and_holds_nobody_up() -> None:
    # Given a batch with such a document among others
    core = hanging()
    items = [ItemId(("docs",), f"k{number}") for number in range(6)]
    refs = [core.ref(core.put("bad" if number == 3 else "good", item)) for number, item in enumerate(items)]
    # When it is tried, nobody is to blame yet
    report = core.work(*refs)
    assert (report.waiting, report.retry, report.dead) == (6, [], 0)
    # Then each goes alone the next time, and the others are searchable
    rounds(core, 1)
    assert [len(sent) for sent in core.dispatcher.sent] == [1] * 6
    assert [bool(core.points(item)) for item in items] == [True, True, True, False, True, True]
    # And as others are embedded between its attempts, they are counted to the end
    for number in range(core.settings.sync.max_attempts):
        core.work(core.ref(core.put("good", ItemId(("docs",), f"later{number}"))))
        rounds(core, 1)
    [letter] = core.database.letters(after=None, limit=9)
    assert (letter.item, letter.reason, letter.attempts) == (
        items[3],
        "EmbedderTimeout",
        core.settings.sync.max_attempts,
    )
    assert core.refs() == []


def test_an_embedder_that_answers_nobody_costs_no_document_an_attempt() -> None:
    # Given an embedder that hangs whatever it is asked
    core = Core(embedder=FailingEmbedder(error=EmbedderTimeout("late"), inner=HashingEmbedder(8)))
    receipts = [core.put("text", ItemId(("docs",), f"k{number}")) for number in range(3)]
    core.work(*map(core.ref, receipts))
    # When they are tried again and again
    rounds(core, 12)
    # Then no attempt is counted, although the circuit is open most of the time
    entries = core.database.outbox.get([receipt.intent for receipt in receipts])
    assert [entry.attempts for entry in entries.values()] == [0, 0, 0]
    # And each still goes alone
    assert {entry.error for entry in entries.values()} == {"EmbedderTimeout: late"}
    assert core.database.letters(after=None, limit=9) == []
