"""Embedders that take longer than a run may: every run gets somewhere, and nobody is held up for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scylla_store.clock import SECOND
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import EmbedderTimeout, EmbedderUnavailable, IndexUnavailable
from scylla_store.identity import ItemId
from scylla_store.index.base import Vector
from scylla_store.intents import Bookkeeping, Ref
from scylla_store.leftovers import Leftovers
from scylla_store.testing import FailingEmbedder, SettableClock
from tests.unit.core import OTHER, SETTINGS, START, Core, raises

LIMIT = 100.0
LONG = " ".join(f"word{number}" for number in range(100))


class PacedEmbedder(FailingEmbedder):
    """Takes some seconds of the clock for each text, a few texts a call."""

    def __init__(self, clock: SettableClock, seconds: float, items: int = 1) -> None:
        super().__init__(times=0, inner=HashingEmbedder(8))
        self.max_batch_items = items
        self._clock = clock
        self._seconds = seconds

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        self._clock.advance(self._seconds * len(texts))
        return super().embed(texts)

    @property
    def embedded(self) -> list[str]:
        return [text for call in self.calls for text in call]


def paced(seconds: float, items: int = 1) -> tuple[Core, PacedEmbedder]:
    clock = SettableClock(START)
    embedder = PacedEmbedder(clock, seconds, items)
    settings = replace(SETTINGS, sync=replace(SETTINGS.sync, time_limit=LIMIT))
    return Core(embedder=embedder, clock=clock, settings=settings), embedder


def round_of(core: Core) -> list[int]:
    """Drains an hour later and works off what is sent; how many refs each task had."""
    core.clock.advance(3600)
    core.dispatcher.sent.clear()
    core.parts.drain.run()
    tasks = list(core.dispatcher.sent)
    for refs in tasks:
        core.work(*refs)
    return [len(refs) for refs in tasks]


def entry_of(core: Core, ref: Ref) -> tuple[int, str | None]:
    entry = core.database.outbox.get([ref.intent.key])[ref.intent.key]
    return entry.attempts, entry.error


def test_a_batch_that_takes_longer_than_a_run_is_indexed_in_parts_and_no_text_twice() -> None:
    # Given ten texts of 20 s each, and runs of 100 s
    core, embedder = paced(20.0)
    items = [ItemId(("docs",), f"k{number}") for number in range(10)]
    refs = [core.ref(core.put(f"text {number}", item)) for number, item in enumerate(items)]

    # When one task has them all
    report = core.work(*refs)

    # Then what was embedded before it is too late is indexed, and the others are told to go alone
    assert (report.acked, report.dead, report.retry) == (3, 0, [])
    assert report.error is not None
    assert report.error.startswith("EmbeddingOvertime: There was no time left")
    assert {entry_of(core, ref) for ref in core.refs()} == {(0, report.error)}
    assert round_of(core) == [1] * 7
    assert core.refs() == []
    assert all(core.points(item) for item in items)
    assert sorted(embedder.embedded) == sorted(f"text {number}" for number in range(10))


def test_a_document_that_takes_longer_than_a_run_by_itself_holds_nobody_up_and_becomes_a_dead_letter() -> None:
    # Given a long document before two short ones
    core, _ = paced(5.0)
    long = core.ref(core.put(LONG))
    short = [core.ref(core.put("short", item)) for item in (OTHER, ItemId(("docs",), "third"))]

    # When they are one task, the short ones are done and the long one is not to blame yet
    report = core.work(long, *short)
    assert (report.acked, report.dead) == (2, 0)
    assert entry_of(core, long)[0] == 0

    # Then it goes alone, each time an attempt, and a dead letter says why
    for attempt in (1, 2):
        assert round_of(core) == [1]
        assert entry_of(core, long)[0] == attempt
    assert round_of(core) == [1]
    [letter] = core.database.letters(after=None, limit=9)
    assert (letter.reason, letter.attempts) == ("EmbeddingOvertime", 3)
    assert "texts take longer to embed than sync.time_limit = 100 s allows" in letter.message
    assert core.refs() == []
    assert [point.payload["text_hash"] for point in core.points()] == [""]


def test_a_document_that_was_left_no_time_by_a_slow_index_has_not_failed() -> None:
    # Given an index that takes most of the run
    core, _ = paced(15.0)
    ref = core.ref(core.put("text"))
    core.ix.after["points_of"] = lambda: core.clock.advance(90)

    # When
    report = core.work(replace(ref, again=True))

    # Then no attempt was made, and the next one is
    assert (report.acked, report.dead, report.retry) == (0, 0, [])
    assert entry_of(core, ref)[0] == 0
    assert round_of(core) == [1]
    assert core.refs() == []


def test_a_run_that_celery_interrupts_past_its_limit_tries_no_parts_of_it() -> None:
    # Given a soft time limit that ends whatever is under way, which is foreign to the library
    core, _ = paced(0.0)
    refs = [core.ref(core.put("text", item)) for item in (OTHER, ItemId(("docs",), "third"))]

    def interrupted() -> None:
        core.clock.advance(125)
        raise RuntimeError("soft time limit")

    # When it comes while two are at work, both go alone
    core.ix.before["points_of"] = interrupted
    report = core.work(*refs)
    assert (report.acked, report.retry, report.dead) == (0, [], 0)
    assert [entry_of(core, ref)[0] for ref in refs] == [0, 0]

    # And when it comes while one is alone, that is an attempt
    core.clock.advance(3600)
    core.ix.before["points_of"] = interrupted
    core.work(replace(refs[0], again=True))
    assert entry_of(core, refs[0]) == (1, "RuntimeError: soft time limit")
    assert sorted(round_of(core)) == [1, 1]
    assert core.refs() == []


@pytest.mark.parametrize("spoil", ["points_of", "upsert"])
def test_an_outage_does_not_make_the_outbox_forget_who_may_have_killed_workers(spoil: str) -> None:
    # Given a document that was counted twice and left no outcome
    core, _ = paced(0.0)
    ref = core.ref(core.put("text"))
    core.put("other", OTHER)
    core.database.outbox.update([Bookkeeping(ref.intent.key, core.clock(), 2, None, None)])

    # When it meets an outage
    core.ix.before[spoil] = lambda: raises(IndexUnavailable("away"))
    core.work(Ref(ref.intent, 2, again=True))

    # Then it still goes alone
    assert entry_of(core, ref) == (2, None)
    assert sorted(round_of(core)) == [1, 1]


def test_a_spent_document_that_cannot_be_buried_in_an_outage_stays_spent_with_its_reason() -> None:
    # Given
    core, _ = paced(0.0)
    ref = core.ref(core.put("text"))
    core.database.outbox.update([Bookkeeping(ref.intent.key, core.clock(), 3, "ValueError: no", None)])
    # When the index is away each time
    for _ in range(3):
        core.ix.before["upsert"] = lambda: raises(IndexUnavailable("away"))
        core.work(Ref(ref.intent, 3, again=True))
        assert entry_of(core, ref) == (3, "ValueError: no")
    # Then
    assert round_of(core) == [1]
    [letter] = core.database.letters(after=None, limit=9)
    assert letter.message == "DocumentFailed: Given up after 3 attempts: ValueError: no"


def test_the_last_attempt_of_a_first_delivery_counts_even_when_there_is_no_time_to_bury_it() -> None:
    # Given one attempt only, and a run that is interrupted past its limit
    core, _ = paced(0.0)
    core = Core(settings=replace(core.settings, sync=replace(core.settings.sync, max_attempts=1)))
    ref = core.ref(core.put("text"))
    core.ix.before["points_of"] = lambda: (core.clock.advance(125), raises(RuntimeError("soft")))
    core.work(ref)

    # Then it is not begun again
    assert entry_of(core, ref)[0] == 1
    round_of(core)
    [letter] = core.database.letters(after=None, limit=9)
    assert "RuntimeError: soft" in letter.message


class Limited(FailingEmbedder):
    """One text a call; a few calls, and then an outage until `left` is set again."""

    def __init__(self, left: int, error: Exception) -> None:
        super().__init__(times=0, inner=HashingEmbedder(8))
        self.max_batch_items = 1
        self.left = left
        self._outage = error

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        if not self.left:
            raise self._outage
        self.left -= 1
        return super().embed(texts)


def test_what_was_embedded_before_an_outage_in_mid_run_is_indexed() -> None:
    # Given an embedder that is throttled after four calls
    embedder = Limited(4, EmbedderUnavailable("a quota"))
    core = Core(embedder=embedder)
    refs = [core.ref(core.put(f"text {number}", ItemId(("docs",), f"k{number}"))) for number in range(6)]

    report = core.work(*refs)

    assert (report.acked, report.dead) == (4, 0)
    assert {entry_of(core, ref)[0] for ref in core.refs()} == {0}
    embedder.left = 2
    round_of(core)
    assert core.refs() == []
    assert len(embedder.calls) == 6


def test_a_document_of_more_texts_than_the_embedder_takes_at_a_time_is_embedded_bit_by_bit() -> None:
    # Given a document of nine texts, and an embedder that is throttled after four
    embedder = Limited(4, EmbedderUnavailable("a quota"))
    core = Core(embedder=embedder)
    ref = core.ref(core.put(" ".join(f"word{number:07d}" for number in range(9))))

    # When it is tried three times
    core.work(ref)
    for _ in range(2):
        assert entry_of(core, ref)[0] == 0
        embedder.left = 4
        round_of(core)

    # Then it is there, and no text was embedded twice
    assert core.refs() == []
    assert len(core.points()) == len(embedder.calls) == 9


def test_a_call_that_ends_before_one_that_does_not_says_nothing_about_others() -> None:
    # Given an embedder that answers one call and then hangs, for everybody
    embedder = Limited(1, EmbedderTimeout("late"))
    core = Core(embedder=embedder)
    ref = core.ref(core.put(" ".join(f"word{number:07d}" for number in range(9))))
    core.work(ref)

    # When it is so each time
    for _ in range(8):
        assert entry_of(core, ref)[0] == 0
        embedder.left = 1
        round_of(core)

    # Then the document is not to blame, and indexed in the end
    assert core.refs() == []
    assert len(core.points()) == 9


def test_a_document_alone_may_use_the_time_to_the_end() -> None:
    # Given one that needs 90 of 100 s
    core, embedder = paced(10.0)
    ref = core.ref(core.put(" ".join(f"word{number:07d}" for number in range(9))))

    report = core.work(ref)

    assert (report.acked, len(embedder.calls)) == (1, 9)


def test_a_batch_that_loses_its_time_in_the_index_goes_alone() -> None:
    # Given an index that takes longer for all than a run may
    core, _ = paced(0.0)
    refs = [core.ref(core.put("text", item)) for item in (OTHER, ItemId(("docs",), "third"))]
    core.ix.after["points_of"] = lambda: core.clock.advance(LIMIT + 1)

    report = core.work(*refs)

    assert (report.acked, report.dead, report.retry) == (0, 0, [])
    assert round_of(core) == [1, 1]
    assert core.refs() == []


def test_past_its_time_limit_a_run_asks_no_embedder() -> None:
    core, embedder = paced(0.0)
    ref = core.ref(core.put("text"))
    core.ix.after["points_of"] = lambda: core.clock.advance(LIMIT + 1)

    core.work(ref)

    assert embedder.calls == []


def test_what_is_left_for_later_waits_as_long_as_its_backoff_and_no_short_retry() -> None:
    # Given a task whose short retry the outbox is to stay away from
    core, _ = paced(20.0)
    for number in range(10):
        core.put(f"text {number}", ItemId(("docs",), f"k{number}"))

    # When some are late, which no short retry takes
    core.work(*core.refs(), postpone=1000.0)

    # Then the outbox has them as soon as ever
    entries = core.database.outbox.get([ref.intent.key for ref in core.refs()])
    assert len(entries) == 7
    assert {entry.next_attempt for entry in entries.values()} == {
        core.clock() + int(core.settings.sync.backoff * SECOND)
    }


def test_a_last_attempt_that_cannot_be_buried_in_time_keeps_its_reason_and_its_count() -> None:
    # Given a suspect whose last attempt fails past the limit
    core, _ = paced(0.0)
    ref = core.ref(core.put("text"))
    core.database.outbox.update([Bookkeeping(ref.intent.key, core.clock(), 2, None, None)])
    core.ix.before["points_of"] = lambda: (core.clock.advance(125), raises(ValueError("the reason")))
    core.work(Ref(ref.intent, 2, again=True))

    # When its burial finds no time either, again and again
    for _ in range(3):
        assert entry_of(core, ref) == (3, "ValueError: the reason")
        core.ix.after["points_of"] = lambda: core.clock.advance(125)
        core.work(Ref(ref.intent, 3, again=True))
    round_of(core)

    # Then the letter tells what it was
    [letter] = core.database.letters(after=None, limit=9)
    assert letter.message.endswith("Given up after 3 attempts: ValueError: the reason")


def test_a_wait_does_not_make_a_suspect_of_a_document_that_failed() -> None:
    # Given a document that has failed once, and is looked at while a younger write is on its way
    core, _ = paced(0.0)
    ref = core.ref(core.put("text"))
    core.database.outbox.update([Bookkeeping(ref.intent.key, core.clock(), 1, "ValueError: no", core.clock())])
    core.ix.after["points_of"] = lambda: core.clock.advance(LIMIT + 1)

    core.work(Ref(ref.intent, 1, again=True))

    assert entry_of(core, ref) == (1, "ValueError: no")


def test_leftovers_are_bounded_and_given_once() -> None:
    leftovers = Leftovers(most=2)
    leftovers.keep({"a": [1.0], "b": [2.0], "c": [0.5]})

    assert leftovers.take(["a", "b", "c"]) == {"b": [2.0], "c": [0.5]}
    assert leftovers.take(["b"]) == {}
