"""Dead letters as an operator handles them, from API to index."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scylla_store import ClockSkew, SyncStatus, ValidationError
from scylla_store.dead_letters import DeadLetters, LetterCounts
from scylla_store.embedders import HashingEmbedder
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Kind
from scylla_store.letters import DeadLetter
from scylla_store.settings.options import Settings, SyncSettings
from scylla_store.testing import FailingEmbedder, SettableClock, TestingStore
from scylla_store.wiring import Parts
from tests.unit.core import ITEM, Core, raises

DOCS, NOTES = ("docs", "a"), ("notes",)


class Moody(HashingEmbedder):
    """Fails on texts with "odd" or "bad" in them, each with an error of its own, until it is cured."""

    cured = False

    def embed(self, texts: list[str]) -> list[list[float]]:
        for text in texts:
            if not self.cured and "bad" in text:
                raise ValueError("bad")
            if not self.cured and "odd" in text:
                raise LookupError("odd")
        return super().embed(texts)


@pytest.fixture
def embedder() -> Moody:
    return Moody(8)


@pytest.fixture
def store(tmp_path: Path, embedder: Moody) -> Iterator[TestingStore]:
    """Two dead letters under docs and one under notes, of two reasons."""
    settings = Settings(sync=SyncSettings(max_attempts=1))
    with TestingStore(tmp_path, settings=settings, embedder=embedder) as store:
        store.put(DOCS, "bad", {"text": "a bad one"})
        store.put(DOCS, "odd", {"text": "an odd one"})
        store.put(NOTES, "bad", {"text": "a bad note"})
        store.put(NOTES, "good", {"text": "a good note"})
        store.drain()
        yield store


def shown(store: TestingStore, **chosen: object) -> set[tuple[str, ...]]:
    return {(*letter.item.namespace, letter.item.key) for letter in store.dead_letters.list(**chosen).items}  # type: ignore[arg-type]


def test_a_letter_says_why_since_when_how_often_and_which_write(store: TestingStore) -> None:
    letter = store.dead_letters.get(item_digest(ItemId(DOCS, "bad")))

    assert letter is not None
    item = store.get(DOCS, "bad")
    assert item is not None
    assert (letter.reason, letter.message, letter.attempts) == ("ValueError", "ValueError: bad", 1)
    assert letter.version == item.version <= letter.first_failed_at <= letter.last_failed_at
    assert not letter.discarded


def test_letters_are_listed_by_reason_and_by_prefix(store: TestingStore) -> None:
    assert shown(store) == {("docs", "a", "bad"), ("docs", "a", "odd"), ("notes", "bad")}
    assert shown(store, reason="ValueError") == {("docs", "a", "bad"), ("notes", "bad")}
    assert shown(store, prefix=("docs",)) == {("docs", "a", "bad"), ("docs", "a", "odd")}
    assert shown(store, reason="ValueError", prefix=("docs",)) == {("docs", "a", "bad")}
    assert shown(store, prefix=("doc",)) == set()


def test_pages_of_chosen_letters_hold_each_of_them_once(store: TestingStore) -> None:
    found: list[DeadLetter] = []
    cursor = None
    while True:
        page = store.dead_letters.list(1, cursor, reason="ValueError")
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break

    assert sorted((letter.item.namespace, letter.item.key) for letter in found) == [(DOCS, "bad"), (NOTES, "bad")]
    with pytest.raises(ValidationError, match="another call"):
        store.dead_letters.list(1, store.dead_letters.list(1).cursor, reason="ValueError")


def test_counts_are_by_reason_bounded_and_tell_what_was_given_up(store: TestingStore) -> None:
    store.dead_letters.discard(prefix=NOTES)

    assert store.dead_letters.counts() == LetterCounts(
        {"ValueError": 1, "LookupError": 1}, {"ValueError": 1}, exact=True
    )
    few = store.dead_letters.counts(most=2)
    assert (sum(few.dead.values()) + sum(few.discarded.values()), few.exact) == (2, False)


@pytest.mark.parametrize(
    ("which", "chosen", "left"),
    [
        ("all", {}, set()),
        (None, {"reason": "ValueError"}, {("docs", "a", "odd")}),
        (None, {"prefix": ("docs",)}, {("notes", "bad")}),
        ([item_digest(ItemId(NOTES, "bad"))], {}, {("docs", "a", "bad"), ("docs", "a", "odd")}),
    ],
)
def test_what_is_replayed_after_the_cure_is_indexed_and_its_letter_gone(
    store: TestingStore, embedder: Moody, which: object, chosen: dict[str, object], left: set[tuple[str, ...]]
) -> None:
    embedder.cured = True

    count = store.dead_letters.replay(which, **chosen)  # type: ignore[arg-type]
    store.drain()

    assert count == 3 - len(left)
    assert shown(store) == left
    assert len([hit for hit in store.search((), "one", limit=10) if hit.text is not None]) == 1 + count


def test_a_discard_lasts_until_the_document_is_written_anew(store: TestingStore, embedder: Moody) -> None:
    # Given letters that are given up
    assert store.dead_letters.discard("all") == 3
    assert store.dead_letters.discard("all") == 0

    # When all are replayed, and the index is repaired
    embedder.cured = True
    assert store.dead_letters.replay("all") == 0
    assert store.dead_letters.replay(reason="ValueError") == 0
    store.drain()

    # Then they stay as they are
    assert store.dead_letters.counts().discarded == {"ValueError": 2, "LookupError": 1}

    # When one is written again, and another is named
    receipt = store.put(DOCS, "bad", {"text": "another bad one"})
    assert store.dead_letters.replay([item_digest(ItemId(NOTES, "bad"))]) == 1
    store.drain()

    # Then both are indexed
    assert receipt.status() is SyncStatus.SYNCED
    assert shown(store) == {("docs", "a", "odd")}


def test_a_discard_wins_over_a_replay_that_nobody_has_carried_out_yet(store: TestingStore, embedder: Moody) -> None:
    # Given letters that could be indexed now, and are to be tried again
    embedder.cured = True
    assert store.dead_letters.replay("all") == 3

    # When they are given up before a worker comes
    assert store.dead_letters.discard("all") == 3
    store.drain()

    # Then they stay given up, and their text is not searchable
    assert store.dead_letters.counts() == LetterCounts({}, {"ValueError": 2, "LookupError": 1}, exact=True)
    assert [hit.item.key for hit in store.search((), "one", limit=10) if hit.text is not None] == ["good"]

    # When one is tried again after all
    assert store.dead_letters.replay(item_digest(ItemId(NOTES, "bad"))) == 1
    store.drain()

    # Then it is indexed
    assert shown(store) == {("docs", "a", "bad"), ("docs", "a", "odd")}


def test_a_newer_write_takes_the_letter_away(store: TestingStore) -> None:
    store.put(DOCS, "bad", {"text": "a better one"})
    store.drain()
    store.delete(DOCS, "odd")
    store.drain()

    assert shown(store) == {("notes", "bad")}


def test_ids_and_filters_are_one_or_the_other(store: TestingStore) -> None:
    for action in (store.dead_letters.replay, store.dead_letters.discard):
        with pytest.raises(ValidationError, match="which"):
            action()
        with pytest.raises(ValidationError, match="which"):
            action(["some id"], reason="ValueError")
        with pytest.raises(ValidationError, match="no dead letter 'unknown'"):
            action(["unknown"])


def buried(core: Core) -> DeadLetter:
    core.put("bad")
    for _ in range(3):
        core.work(*(ref for ref in core.refs()))
    return letter_of(core)


def letter_of(core: Core) -> DeadLetter:
    letter = core.database.letter(item_digest(ITEM))
    assert letter is not None
    return letter


def moody() -> Core:
    settings = Settings(sync=SyncSettings(max_attempts=1))
    return Core(embedder=FailingEmbedder(lambda text: "bad" in text, inner=HashingEmbedder(8)), settings=settings)


def test_a_replay_that_fails_goes_on_where_the_letter_ended() -> None:
    # Given a letter that is given up, and tried again all the same
    core = moody()
    first = buried(core)
    letters = letters_of(core)
    assert letters.discard("all") == 1
    assert letters.replay(first.id) == 1
    core.clock.advance(60)

    # When
    core.work(*core.refs(Kind.REPLAY))

    # Then it is still given up, and tells the whole story
    last = letter_of(core)
    assert (last.discarded, last.attempts, last.first_failed_at) == (True, 2, first.first_failed_at)
    assert last.last_failed_at > first.last_failed_at


@pytest.mark.parametrize("slow", [-3, 3])
def test_the_later_command_wins_whatever_the_clocks(slow: int) -> None:
    # Given two operators whose machines' clocks differ, and a text that can be indexed now
    core = moody()
    ident = buried(core).id
    core.embedder.times = 0
    clock = SettableClock(core.clock())
    clock.advance(slow)
    other = core.other(clock)
    ours, theirs = letters_of(core), letters_of(core, other)

    # When one wants it to be tried again, and then the other gives it up
    ours.replay("all")
    theirs.discard("all")
    core.work(*core.refs(Kind.REPLAY))

    # Then it is given up
    assert letter_of(core).discarded
    assert [point.payload["text_hash"] for point in core.points()] == [""]

    # When it is the other way round
    ours.replay(ident)
    core.work(*core.refs(Kind.REPLAY))

    # Then it is indexed
    assert core.database.letter(ident) is None
    assert "" not in {point.payload["text_hash"] for point in core.points()}


def test_a_replay_that_comes_before_an_earlier_one_has_failed_is_carried_out() -> None:
    # Given a letter that is tried again twice, and a cure that comes between
    core = moody()
    ident = buried(core).id
    letters = letters_of(core)
    letters.replay("all")
    [first] = core.refs(Kind.REPLAY)
    core.clock.advance(1)
    letters.replay("all")
    [second] = [ref for ref in core.refs(Kind.REPLAY) if ref != first]

    # When
    core.work(first)
    core.embedder.times = 0
    core.work(second)

    # Then
    assert core.database.letter(ident) is None
    assert len(core.points()) == 1


def test_a_discard_during_a_replay_wins() -> None:
    # Given a replay whose text is on its way to the index
    core = moody()
    buried(core)
    core.embedder.times = 0
    letters = letters_of(core)
    letters.replay("all")
    core.ix.after["upsert"] = lambda: letters.discard("all")

    # When
    core.work(*core.refs(Kind.REPLAY))

    # Then
    assert letter_of(core).discarded
    assert [point.payload["text_hash"] for point in core.points()] == [""]


def test_a_replay_is_not_dispatched_again_while_its_task_is_on_its_way() -> None:
    # Given a letter that is tried again: its task was sent
    core = moody()
    buried(core)
    letters_of(core).replay("all")

    # When a drain comes, Then it sends nothing
    core.dispatcher.sent.clear()
    core.parts.drain.run()
    assert core.dispatcher.sent == []

    # When the task was lost, Then the drain sends it, after as long as it waits for a new write
    core.clock.advance(core.settings.sync.margin + 1)
    core.parts.drain.run()
    assert [ref.intent.kind for refs in core.dispatcher.sent for ref in refs] == [Kind.REPLAY]


def test_a_discard_that_meets_a_newer_write_leaves_no_letter_behind() -> None:
    # Given a letter that is read, and a newer write that is indexed before it is given up
    core = moody()
    buried(core)
    core.db.before["bury"] = lambda: core.sync(core.ref(core.put("good words")), parts=core.elsewhere)

    # When
    count = letters_of(core).discard("all")

    # Then
    row = core.row()
    assert row is not None
    assert (count, core.database.letter(item_digest(ITEM)), row.letter) == (0, None, None)
    assert [point.payload["path"] for point in core.points()] == ["$"]


@pytest.mark.parametrize("ends", ["before the mark", "after its last look"])
def test_a_discard_wins_over_a_replay_that_is_ending_at_that_moment(ends: str) -> None:
    # Given a text that can be indexed now, and somebody who asks for that
    core = moody()
    buried(core)
    core.embedder.times = 0
    letters = letters_of(core)
    letters.replay("all")
    replay = core.refs(Kind.REPLAY)

    # When another gives it up, and the task of the replay brings it to the index right before it could see that
    if ends == "before the mark":
        core.db.before["bury"] = lambda: core.work(*replay)
        letters.discard("all")
    else:
        core.db.before["exhume"] = lambda: letters.discard("all")
        core.work(*replay)
    assert [point.payload["text_hash"] != "" for point in core.points()] == [True]
    core.work(*core.refs())

    # Then it is given up all the same, in the index too
    assert letter_of(core).discarded
    assert [point.payload["text_hash"] for point in core.points()] == [""]
    assert core.refs() == []


def test_a_discard_wins_over_a_replay_that_fails_at_that_moment() -> None:
    # Given a replay whose worker has looked for an earlier letter, which is not given up then
    core = moody()
    buried(core)
    letters = letters_of(core)
    letters.replay("all")
    replay = core.refs(Kind.REPLAY)
    core.db.after["letter"] = lambda: letters.discard("all")
    core.clock.advance(1)

    # When it fails again
    core.work(*replay)
    core.work(*core.refs())

    # Then it is given up all the same
    assert letter_of(core).discarded
    assert core.refs() == []


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_a_machine_whose_clock_is_refused_files_nothing(command: str) -> None:
    core = moody()
    buried(core)
    wrong = DeadLetters(
        core.database,
        core.parts.publisher,
        core.parts.clock,
        core.settings.sync,
        lambda: raises(ClockSkew("an hour off")),
    )

    with pytest.raises(ClockSkew):
        getattr(wrong, command)("all")

    assert core.refs() == []
    assert not letter_of(core).discarded


def letters_of(core: Core, parts: Parts | None = None) -> DeadLetters:
    parts = parts or core.parts
    return DeadLetters(parts.database, parts.publisher, parts.clock, parts.settings.sync, lambda: None)


def test_many_letters_are_replayed_in_pieces() -> None:
    # Given more letters than one page
    core = moody()
    for number in range(450):
        item = ItemId(("docs",), str(number))
        letter = DeadLetter(item_digest(item), item, os.urandom(16), 1, "ValueError", "no", 1, 1, 1, 1)
        core.database.bury(letter)

    # When, Then
    assert letters_of(core).replay("all") == 450
    assert len(core.refs(Kind.REPLAY)) == 450
