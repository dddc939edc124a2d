"""The sync protocol over in-memory stores, with something else happening between any two of its requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.base import Mutation
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import IndexRefused, IndexUnavailable
from scylla_store.identity import item_digest
from scylla_store.index.base import Point, Vector
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.rows import encode_body
from scylla_store.testing import FailingEmbedder, SettableClock
from tests.unit.core import ITEM, OTHER, START, Core, raises

LONG = "a text of three chunks or so here"


@pytest.fixture
def core() -> Core:
    return Core()


def test_a_put_is_indexed_and_acknowledged(core: Core) -> None:
    receipt = core.put(LONG)

    outcome = core.sync(core.ref(receipt))

    assert core.versions() == [receipt.version] * 3
    assert [ref.intent.key for ref in outcome.acked] == [receipt.intent]
    assert core.refs() == []


def test_a_shorter_text_leaves_no_chunk_of_the_longer_one_behind(core: Core) -> None:
    core.sync(core.ref(core.put(LONG)))

    receipt = core.put("short")
    core.sync(core.ref(receipt))

    assert core.versions() == [receipt.version]


def test_chunks_that_a_worker_left_behind_when_it_died_are_found(core: Core) -> None:
    # Given a worker that dies after it wrote a shorter text's points, before it deletes the surplus
    core.sync(core.ref(core.put(LONG)))
    receipt = core.put("short")
    core.ix.after["upsert"] = lambda: raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        core.sync(core.ref(receipt))
    assert len(core.points()) == 3

    # When
    core.sync(core.ref(receipt))

    # Then
    assert core.versions() == [receipt.version]


@pytest.mark.parametrize("end", ["delete", "index=False"])
def test_points_go_when_the_item_does_not_belong_in_the_index_any_more(core: Core, end: str) -> None:
    core.sync(core.ref(core.put(LONG)))

    receipt = core.delete() if end == "delete" else core.put(LONG, index=False)
    core.sync(core.ref(receipt))

    assert core.points() == []
    assert core.refs() == []


def test_a_put_over_an_expired_item_is_indexed_and_its_old_expiry_harms_nothing(core: Core) -> None:
    # Given
    core.sync(core.ref(core.put("old", ttl=1.0)))
    core.clock.advance(60)

    # When
    receipt = core.put("new")
    core.sync(core.ref(receipt), *core.refs(Kind.EXPIRY))

    # Then
    assert core.versions() == [receipt.version]
    assert core.refs() == []


def test_exactly_the_given_intents_are_acknowledged(core: Core) -> None:
    first, second = core.put("one"), core.put("two")

    core.sync(core.ref(second))

    assert [ref.intent.key for ref in core.refs()] == [first.intent]


def test_a_write_that_may_be_on_its_way_is_left_to_the_outbox_until_it_is_old(core: Core) -> None:
    # Given an intent whose row is not there
    receipt = core.put("on its way")
    ref = core.ref(receipt)
    young = Ref(replace(ref.intent, item=OTHER))

    # Then
    assert core.sync(young).waiting == [young]
    core.clock.advance(core.settings.sync.margin)
    assert core.sync(young).acked == [young]


def test_a_document_that_expires_while_it_is_indexed_leaves_no_points(core: Core) -> None:
    # Given a worker that is slow between reading a row that lives and sending its points
    core.put("short lived", ttl=5.0)

    def expire() -> None:
        core.clock.advance(5 + 2 * core.settings.clock.max_clock_skew)
        core.sync(*core.refs(Kind.EXPIRY), parts=core.elsewhere)

    core.ix.before["upsert"] = expire

    # When
    core.sync(*core.refs(Kind.WRITE))

    # Then
    assert core.points() == []
    assert core.refs() == []


def test_points_that_are_sent_while_somebody_finds_the_row_expired_do_not_stay(core: Core) -> None:
    # Given a worker that began before the document expired, and sends its points after another one has looked for them
    core.put("short lived", ttl=5.0)
    early = SettableClock(core.clock())
    slow = core.other(early, SlowEmbedder(early, 5 + 2 * core.settings.clock.max_clock_skew))
    core.clock.advance(5 + 2 * core.settings.clock.max_clock_skew)
    core.ix.after["points_of"] = lambda: core.sync(*core.refs(Kind.WRITE), parts=slow)

    # When
    core.sync(*core.refs(Kind.EXPIRY))

    # Then
    assert core.points() == []
    assert core.refs() == []


def test_of_two_writes_with_one_version_the_points_of_the_one_that_the_database_kept_stay(core: Core) -> None:
    # Given a worker that brings in the one that loses, while another brings in the winner
    loses = core.put("loses")
    row = core.row()
    assert row is not None

    def tie() -> None:
        write_id = b"\xff" * 16
        head = replace(row.head, write_id=write_id)
        core.database.write([Mutation(ITEM, row.version, head.encode(), encode_body(write_id, b'{"text": "wins"}'))])
        core.sync(core.repair(), parts=core.elsewhere)

    core.ix.before["upsert"] = tie

    # When
    core.sync(core.ref(loses))
    core.sync(*core.refs(Kind.AGAIN))

    # Then
    assert [point.payload["write"] for point in core.points()] == ["ff" * 16]


def test_a_delete_on_its_way_that_will_win_a_tie_is_waited_for(core: Core) -> None:
    # Given a put, and the intent of a delete that drew the same version and a smaller write id; its row comes later
    put = core.put(LONG)
    row = core.row()
    assert row is not None
    delete = new_intent(ITEM, bytes(16), put.version, Kind.WRITE, now=row.version, due=row.version + 30_000_000)
    core.database.outbox.file([delete])

    # When a worker is given both
    outcome = core.sync(core.ref(put), Ref(delete))
    head = replace(row.head, write_id=bytes(16), deleted=True)
    core.database.write([Mutation(ITEM, row.version, head.encode(), None, ttl=3600)])

    # Then neither was acknowledged, and the delete's row, which wins, is brought in by them
    assert outcome.acked == []
    core.clock.advance(core.settings.sync.margin)
    core.sync(*core.refs())
    assert (core.points(), core.refs()) == ([], [])


def test_a_refresh_files_an_expiry_of_its_own(core: Core) -> None:
    core.put("short lived", ttl=60.0)
    core.clock.advance(30)
    core.elsewhere.reader.get(*ITEM, refresh_ttl=True)

    dues = sorted(ref.intent.key.due for ref in core.refs(Kind.EXPIRY))

    assert [due - dues[0] for due in dues] == [0, 30 * SECOND]


def test_points_say_when_the_item_expires_although_its_time_was_granted_again_while_they_were_made(core: Core) -> None:
    # Given
    core.put("short lived", ttl=60.0)
    core.clock.advance(30)

    def grant() -> None:
        core.elsewhere.reader.get(*ITEM, refresh_ttl=True)
        core.sync(*core.refs(Kind.REFRESH), parts=core.elsewhere)

    core.ix.before["upsert"] = grant

    # When
    core.sync(*core.refs(Kind.WRITE))

    # Then
    assert [point.payload["expires_at"] for point in core.points()] == [core.row().expires_at]  # type: ignore[union-attr]


def test_points_of_a_newer_write_are_not_touched_by_a_worker_that_read_an_older_row(core: Core) -> None:
    # Given a row that is replaced, and brought in, between the row's read and that of its points
    old = core.ref(core.put("old"))
    core.ix.before["points_of"] = lambda: core.sync(core.ref(core.put("new words")), parts=core.elsewhere)

    # When
    core.sync(old)

    # Then
    assert {"delete", "upsert"} & set(core.ix.calls) == set()
    assert core.versions() == [core.row().version]  # type: ignore[union-attr]
    assert core.refs() == []


def test_the_row_is_read_before_its_points(core: Core) -> None:
    # Given a delete that lands just before the row is read, and the points of the old row just before that
    put = core.ref(core.put("old"))
    repair = core.repair()

    def happen() -> None:
        core.sync(put, parts=core.elsewhere)
        core.database.outbox.ack([core.delete().intent])

    core.db.before["read"] = happen

    # When
    core.sync(repair)

    # Then
    assert core.points() == []


def test_whether_a_write_is_young_is_judged_by_the_time_before_the_row_was_read(core: Core) -> None:
    # Given a write that lands after the row was read, and a margin that ends meanwhile
    intent = core.ref(core.put(), again=False).intent
    young = Ref(replace(intent, item=OTHER))
    core.db.after["read"] = lambda: core.clock.advance(core.settings.sync.margin)

    # Then
    assert core.sync(young).waiting == [young]


def test_an_expiry_is_acknowledged_only_when_no_clock_is_before_it_any_more(core: Core) -> None:
    # Given
    receipt = core.put("short lived", ttl=5.0)
    version = receipt.version
    core.sync(core.ref(receipt))
    [expiry] = core.refs()
    skew = core.settings.clock.max_clock_skew

    # When it has expired, but not yet for the slowest clock
    core.clock.advance(5 + 2 * skew - 0.001)
    outcome = core.sync(expiry)

    # Then its points are gone, and the intent and the row stay
    assert (outcome.acked, outcome.waiting, core.points()) == ([], [expiry], [])
    assert (row := core.row()) is not None
    assert not row.head.deleted

    # When it has expired for all, then the row says that it is deleted, and an hour later nothing is left
    core.clock.advance(0.001)
    assert core.sync(expiry).acked == [expiry]
    assert (row := core.row()) is not None
    assert (row.head.deleted, row.version) == (True, version)
    core.clock.advance(3601)
    assert core.database.read([ITEM]) == {}


def test_a_run_that_fails_after_it_sent_points_of_a_replaced_row_files_a_fresh_intent(core: Core) -> None:
    # Given a worker whose row is deleted, whose intents another one acknowledges, and whose index fails in the end
    shared = core.ref(core.put(LONG))

    def replace() -> None:
        core.delete()
        core.sync(*core.refs(), parts=core.elsewhere)

    core.ix.before["upsert"] = replace
    core.ix.after["upsert"] = lambda: raises(IndexUnavailable("the answer was lost"))

    # When
    with pytest.raises(IndexUnavailable):
        core.sync(shared)

    # Then its stale points do not stay for ever
    assert core.points() != []
    [again] = core.refs()
    assert again.intent.kind is Kind.AGAIN
    core.sync(again)
    assert core.points() == []


def test_a_run_that_fails_while_its_row_stays_the_same_files_nothing(core: Core) -> None:
    receipt = core.put(LONG)
    core.ix.after["upsert"] = lambda: raises(IndexUnavailable("the answer was lost"))

    with pytest.raises(IndexUnavailable):
        core.sync(core.ref(receipt))

    assert [ref.intent.key for ref in core.refs()] == [receipt.intent]


def test_an_item_that_changes_too_often_is_filed_again_under_a_new_id(core: Core) -> None:
    # Given a row that changes under every pass
    receipt = core.put("text 0")

    def change() -> None:
        core.put("another text")
        core.ix.before["upsert"] = change

    core.ix.before["upsert"] = change

    # When
    ref = core.ref(receipt)
    outcome = core.sync(ref)

    # Then
    assert (outcome.acked, outcome.failures) == ([], {})
    assert ref in core.refs()
    assert len(core.refs(Kind.AGAIN)) == 1


def test_a_point_that_was_replaced_meanwhile_lends_its_vector_to_no_other_text(core: Core) -> None:
    # Given points of an old row, a row whose text is at another place of them, and a stale worker that comes between
    core.sync(core.ref(core.put("first twelve second part")))
    middle = core.ref(core.put("second part first twelve"))
    core.ix.before["vectors"] = lambda: core.sync(middle, parts=core.elsewhere)
    last = core.put("other words first twelve")

    # When
    core.sync(core.ref(last))

    # Then each point has the vector of its own text
    vectors = core.index.vectors([(point.id, point.fingerprint) for point in core.points()])
    fresh = Core()
    fresh.sync(fresh.ref(fresh.put("other words first twelve")))
    expected = fresh.index.vectors([(point.id, point.fingerprint) for point in fresh.points()])
    assert len(expected) > 1
    assert vectors == expected


def test_text_that_the_item_has_in_the_index_is_not_embedded_again_even_from_points_newer_than_the_row(
    core: Core,
) -> None:
    # Given points whose row came back from a backup: they are newer than it
    core.sync(core.ref(core.put("same text")))
    [point] = core.points()
    backup = Core()
    vector = core.index.vectors([(point.id, point.fingerprint)])[point.id]
    backup.index.upsert([Point(point.id, vector, point.payload)], at_most=2**60)
    backup.clock.advance(-3600)
    backup.put("same text")

    # When
    outcome = backup.sync(backup.repair())

    # Then
    assert outcome.embedded == 0
    assert backup.versions() == [backup.row().version]  # type: ignore[union-attr]


def test_past_its_time_limit_a_run_sends_nothing_more() -> None:
    # Given an embedder that takes too long for one document alone
    clock = SettableClock(START)
    core = Core(embedder=SlowEmbedder(clock, 3600), clock=clock)
    receipt = core.put(LONG)

    # When
    outcome = core.sync(core.ref(receipt))

    # Then
    assert (outcome.acked, core.points()) == ([], [])
    assert outcome.failures[ITEM].failure.reason == "EmbeddingOvertime"
    assert "upsert" not in core.ix.calls
    assert len(core.refs()) == 1


class SlowEmbedder(FailingEmbedder):
    """Takes some seconds of the clock."""

    def __init__(self, clock: SettableClock, seconds: float) -> None:
        super().__init__(times=0, inner=HashingEmbedder(8))
        self._clock = clock
        self._seconds = seconds

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        self._clock.advance(self._seconds)
        return super().embed(texts)


def test_one_document_that_cannot_be_embedded_blocks_no_other() -> None:
    core = Core(embedder=FailingEmbedder(lambda text: "bad" in text, error=ValueError("no")))
    good, bad = core.put("good"), core.put("bad", OTHER)

    outcome = core.sync(core.ref(good), core.ref(bad))

    assert [ref.intent.key for ref in outcome.acked] == [good.intent]
    assert list(outcome.failures) == [OTHER]
    assert outcome.failures[OTHER].write_id == bad.write_id


def test_a_document_that_is_replaced_while_it_fails_has_not_failed() -> None:
    # Given
    core = Core(embedder=FailingEmbedder(lambda text: "bad" in text, error=ValueError("no")))
    bad = core.put("bad")
    core.ix.after["points_of"] = lambda: core.put("good")

    # When
    outcome = core.sync(core.ref(bad))

    # Then
    assert outcome.failures == {}
    assert core.versions() == [core.row().version]  # type: ignore[union-attr]


def test_a_refusal_of_a_whole_batch_is_traced_to_one_item_and_is_not_final(core: Core) -> None:
    # Given an index that refuses requests about one item
    good, bad = core.put("good"), core.put("bad", OTHER)
    refuses = core.index.points_of

    def points_of(digests: list[str]) -> object:
        if item_digest(OTHER) in digests:
            raise IndexRefused("no")
        return refuses(digests)

    core.parts.index.points_of = points_of  # type: ignore[method-assign]

    # When
    outcome = core.sync(core.ref(good), core.ref(bad))

    # Then
    assert [ref.intent.key for ref in outcome.acked] == [good.intent]
    assert not outcome.failures[OTHER].failure.is_permanent


def test_a_row_that_cannot_be_decoded_fails_alone_and_its_points_stay(core: Core) -> None:
    # Given
    good, damaged = core.put("good"), core.put("damaged", OTHER)
    core.sync(core.ref(damaged), parts=core.elsewhere)
    points = core.points(OTHER)
    core.database.write([Mutation(OTHER, (damaged.version or 0) + 1, b"not a head", None)])

    # When
    outcome = core.sync(core.ref(good), core.repair(OTHER))

    # Then
    assert len(outcome.acked) == 1
    assert outcome.failures[OTHER].failure.reason == "DamagedRow"
    assert core.points(OTHER) == points


def test_a_torn_body_is_a_failure_of_its_item_alone(core: Core) -> None:
    good, torn = core.put("good"), core.put("torn", OTHER)
    row = core.row(OTHER)
    assert row is not None
    core.database.write([Mutation(OTHER, row.version + 1, row.head.encode(), encode_body(bytes(16), b"{}"))])

    outcome = core.sync(core.ref(good), core.ref(torn))

    assert outcome.failures[OTHER].failure.reason == "DamagedRow"
    assert len(outcome.acked) == 1


def test_a_dead_write_gets_an_anchor_as_long_as_the_row_is_its_own(core: Core) -> None:
    core.sync(core.ref(core.put(LONG)))
    dead = core.put("dead")
    ref = core.ref(dead)

    outcome = core.sync(ref, dead=dead.write_id)

    assert outcome.anchored == {ITEM}
    assert [point.payload["path"] for point in core.points()] == [None]
    assert core.refs() == [ref]


def test_a_newer_write_is_not_turned_into_an_anchor(core: Core) -> None:
    dead = core.put("dead")
    ref = core.ref(dead)
    alive = core.put(LONG)
    core.sync(core.ref(alive))

    outcome = core.sync(ref, dead=dead.write_id)

    assert outcome.anchored == set()
    assert len(core.points()) == 3


def test_a_run_for_nothing_does_nothing(core: Core) -> None:
    assert core.sync() == core.sync()
    assert core.ix.calls == []


def test_a_repair_takes_nothing_away_that_a_newer_write_has_put_to_its_place() -> None:
    # Given a document without points, and a repair of it that has seen that
    core = Core()
    core.database.outbox.ack([core.put("old").intent])
    repair = core.repair()

    def write() -> None:
        core.clock.advance(1)
        core.sync(core.ref(core.put("new")), parts=core.elsewhere)

    # When a newer write is indexed before it looks at the places
    core.ix.before["at"] = write
    core.sync(repair)
    # Then the points of that are left alone
    assert core.versions() == [core.row().version]  # type: ignore[union-attr]
    assert "delete" not in core.ix.calls


@pytest.mark.parametrize("beside", ["alone", "with an item of a faster writer"])
def test_a_worker_that_dies_after_its_upsert_has_harmed_no_newer_write(core: Core, beside: str) -> None:
    # Given a worker that has read an item, alone or with one whose version lies ahead
    fast = SettableClock(core.clock())
    fast.advance(3)
    refs = [core.ref(core.put("old"))]
    if beside != "alone":
        refs.append(core.ref(core.put("other", OTHER, parts=core.other(fast))))

    # When the item is replaced and indexed before it sends its points, and it dies right after
    core.ix.before["upsert"] = lambda: core.sync(core.ref(core.put("new")), parts=core.elsewhere)
    core.ix.after["upsert"] = lambda: raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        core.sync(*refs)

    # Then the newer points are there
    assert core.versions() == [core.row().version]  # type: ignore[union-attr]
