"""Reconciliation over the stubs: what is planted is found once, counted by kind, repaired, and then gone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.base import Mutation
from scylla_store.drain import Scope
from scylla_store.errors import DatabaseUnavailable, IndexUnavailable, LeaseLost, TombstoneLimit
from scylla_store.identity import ItemId, item_digest, point_id
from scylla_store.index.base import Point, Question
from scylla_store.intents import Kind
from scylla_store.letters import DeadLetter
from scylla_store.points import Recipe, common_payload, fingerprint
from scylla_store.reconcile import Drift, Progress, Reconciler, ReconcileReport, Reports
from scylla_store.reconcile.reconciler import LEASE, LEASE_TIME, RESUME_WITHIN
from scylla_store.rows import Head, encode_body, row_hash
from scylla_store.settings.options import Settings
from tests.unit.core import SETTINGS, Core, raises

LONG = "one and then three words here and more"
NAMESPACE = ("docs",)


def settle(core: Core) -> None:
    """Indexes all that waits. A drain passes so many slots at most, and after hours without one there are many."""
    idle = 0
    for _ in range(40):
        core.dispatcher.sent.clear()
        core.elsewhere.drain.run(Scope.ALL)
        idle = 0 if core.dispatcher.sent else idle + 1
        if idle == 3:
            return
        for refs in list(core.dispatcher.sent):
            core.elsewhere.worker.work(refs)
    raise AssertionError("the outbox does not become empty")


def indexed(number: int = 6, settings: Settings = SETTINGS) -> Core:
    """Some documents of three chunks, indexed, and older than any grace."""
    core = Core(settings=settings)
    for each in range(number):
        core.put(LONG, ItemId(NAMESPACE, f"k{each}"))
    settle(core)
    core.clock.advance(60)
    return core


def run(core: Core, **options: Any) -> ReconcileReport:
    return core.parts.reconciler.run(**options)


def kinds(report: ReconcileReport) -> dict[str, int]:
    return {kind: count for kind, count in report.kinds().items() if count}


def alter(core: Core, of: ItemId, ordinal: int = 0, /, **payload: Any) -> None:
    """Changes fields of a point behind everybody's back; None removes a field."""
    wanted = point_id(item_digest(of), ordinal)
    [point] = [point for point in core.points(of) if point.id == wanted]
    vector = core.index.vectors([(point.id, point.fingerprint)])[point.id]
    changed = {**point.payload, **payload}
    kept = {field: value for field, value in changed.items() if value is not None}
    core.index.upsert([Point(point.id, vector, kept)], at_most=2**60)


def everything(core: Core) -> dict[str, Any]:
    """All points that a search could find, with their payloads."""
    [found] = core.index.query([Question([1.0] * 8, None, 0, 10_000)])
    return {name: point.payload for name, point in core.index.at([match.id for match in found]).items()}


def remove(core: Core, item: ItemId, *ordinals: int) -> None:
    wanted = {point_id(item_digest(item), ordinal) for ordinal in ordinals}
    core.index.delete([(point.id, point.fingerprint) for point in core.points(item) if point.id in wanted])


def orphan(core: Core, key: str) -> None:
    """Points of a document that never was."""
    absent = ItemId(NAMESPACE, key)
    digest = item_digest(absent)
    payload = dict(core.points(ItemId(NAMESPACE, "k0"))[0].payload)
    payload |= {"item": digest, "key": key, "slice": int(digest[:3], 16)}
    core.index.upsert([Point(point_id(digest, 0), [1.0] * 8, payload)], at_most=2**60)


def item(number: int) -> ItemId:
    return ItemId(NAMESPACE, f"k{number}")


PLANTS: list[tuple[Drift, Callable[[Core], None]]] = [
    (Drift.MISSING, lambda core: remove(core, item(1), 0, 1, 2, 3)),
    (Drift.INCOMPLETE, lambda core: remove(core, item(1), 1)),
    (Drift.STALE, lambda core: alter(core, item(1), version=5, write="00" * 16, fingerprint="f" * 32)),
    (Drift.STALE, lambda core: alter(core, item(1), expires_at=7, fingerprint="e" * 32)),
    (Drift.WRONG_MODEL, lambda core: alter(core, item(1), model="another", fingerprint="d" * 32)),
    (Drift.WRONG_MODEL, lambda core: alter(core, item(1), chunker="another")),
    (Drift.NEWER, lambda core: alter(core, item(1), version=2**52)),
    (Drift.DAMAGED, lambda core: alter(core, item(1), version="many")),
    (Drift.DAMAGED, lambda core: alter(core, item(1), prefixes=[])),
    (Drift.DAMAGED, lambda core: alter(core, item(1), slice=None)),
    (Drift.DAMAGED, lambda core: alter(core, item(1), tokens=[])),
    (Drift.DAMAGED, lambda core: alter(core, item(1), tokens=7)),
    (Drift.DAMAGED, lambda core: alter(core, item(1), facts="of another way")),
    (Drift.STALE, lambda core: alter(core, item(1), format=2, facts=None, tokens=None, fingerprint="f" * 32)),
    (Drift.DAMAGED, lambda core: alter(core, item(1), item=None)),
    (Drift.DAMAGED, lambda core: alter(core, item(1), namespace=7)),
    (Drift.DAMAGED, lambda core: alter(core, item(1), **dict.fromkeys(core.points(item(1))[0].payload))),
    (Drift.ORPHAN, lambda core: orphan(core, "never was")),
]


def test_tokens_that_are_not_the_documents_are_found_by_a_full_comparison() -> None:
    core = indexed()
    right = everything(core)
    alter(core, item(1), tokens=["another"])
    assert kinds(run(core)) == {}

    assert kinds(run(core, full=True)) == {"damaged": 1}

    settle(core)
    assert everything(core) == right


@pytest.mark.parametrize(("kind", "plant"), PLANTS)
def test_what_is_planted_is_counted_once_repaired_and_gone(kind: Drift, plant: Callable[[Core], None]) -> None:
    # Given documents whose points are right
    core = indexed()
    right = everything(core)
    assert kinds(run(core)) == {}
    # When something is wrong with one of them
    plant(core)
    # Then it is counted once, as what it is
    found = run(core)
    assert kinds(found) == {kind.value: 1}
    assert found.repaired == 1
    # And the repair brings everything back to what it was, without an embedding where there was a vector
    settle(core)
    assert everything(core) == right
    assert kinds(run(core)) == {}


def test_all_kinds_at_once_are_told_apart() -> None:
    core = indexed(20)
    remove(core, item(1), 0, 1, 2, 3)
    remove(core, item(2), 2)
    alter(core, item(3), version=5, write="00" * 16, fingerprint="f" * 32)
    alter(core, item(4), model="another", fingerprint="d" * 32)
    alter(core, item(5), version=2**52)
    alter(core, item(6), item=None, namespace=None)
    orphan(core, "a")
    orphan(core, "b")
    expected = {"missing": 1, "incomplete": 1, "stale": 1, "wrong_model": 1, "newer": 1, "damaged": 1, "orphan": 2}

    assert kinds(run(core, dry_run=True)) == expected
    assert kinds(run(core)) == expected
    settle(core)
    assert kinds(run(core)) == {}


def test_expired_rows_that_nobody_cleaned_up_are_drift_only_when_no_clock_is_before_their_end() -> None:
    # Given a document whose expiry intent was lost
    core = Core()
    core.put(LONG, item(0), ttl=10.0)
    settle_new = [ref for ref in core.refs() if ref.intent.kind is not Kind.EXPIRY]
    core.sync(*settle_new)
    core.database.outbox.ack([ref.intent.key for ref in core.refs()])
    skew = int(SETTINGS.clock.max_clock_skew)
    # When it has expired by this clock, but perhaps not by all
    core.clock.advance(11)
    found = run(core)
    assert (kinds(found), found.in_flight) == ({}, 0)
    # Then it is drift only later
    core.clock.advance(2 * skew + SETTINGS.reconcile.grace)
    assert kinds(run(core)) == {"expired": 1}
    settle(core)
    assert core.points(item(0)) == []
    assert core.row(item(0)).head.deleted  # type: ignore[union-attr]
    assert kinds(run(core)) == {}


def test_a_row_that_cannot_be_decoded_is_reported_and_left_alone() -> None:
    core = indexed(3)
    cells = core.database.read([item(1)])[item(1)]
    body = cells.body or b""
    body = body[:16] + b"\xff" + body[17:]  # of two cells with the same timestamp the larger one wins
    core.database.write([Mutation(item(1), cells.version, cells.head or b"", body)])

    found = run(core)

    assert (kinds(found), found.repaired) == ({"damaged": 1}, 0)
    assert found.examples == {"damaged": [item_digest(item(1))]}
    assert len(core.points(item(1))) == 4
    assert core.refs() == []


def test_what_waits_in_the_outbox_is_in_flight_and_no_drift() -> None:
    core = indexed(3)
    core.put("new text", item(1))
    core.delete(item(2))
    core.clock.advance(3600)

    found = run(core)

    assert (kinds(found), found.in_flight, found.repaired) == ({}, 2, 0)


def test_what_was_indexed_between_two_looks_is_no_drift() -> None:
    core = indexed(3)
    receipt = core.put("new text", item(1))
    core.db.outbox.before["waiting"] = lambda: core.sync(core.ref(receipt), parts=core.elsewhere)

    assert kinds(run(core)) == {}


def test_what_was_written_between_two_looks_is_no_drift() -> None:
    # Given a document with drift
    core = indexed(3)
    remove(core, item(1), 0)
    # When it is written anew just after the outbox was read
    core.db.outbox.after["waiting"] = lambda: core.put("new text", item(1))
    # Then its new intent repairs it, and it is not counted
    found = run(core)
    assert (kinds(found), found.in_flight) == ({}, 1)


def test_what_was_written_between_two_looks_is_no_drift_however_long_they_lie_apart() -> None:
    # Given a document with drift
    core = indexed(3)
    remove(core, item(1), 0)

    def write() -> None:
        core.put("new text", item(1))
        core.clock.advance(3600)

    # When it is written anew after the outbox was read, and the second look comes much later
    core.db.outbox.after["waiting"] = write
    # Then the write's own intent is trusted
    found = run(core)
    assert (kinds(found), found.in_flight) == ({}, 1)


@pytest.mark.parametrize("gone", [False, True])
def test_points_of_a_deleted_document_are_orphans_also_when_nothing_is_left_of_its_row(gone: bool) -> None:
    # Given a document that was deleted, and one of its points that came back
    core = indexed(3)
    [point, *_] = core.points(item(1))
    vector = core.index.vectors([(point.id, point.fingerprint)])[point.id]
    core.delete(item(1))
    settle(core)
    core.index.upsert([Point(point.id, vector, dict(point.payload))], at_most=2**60)
    core.clock.advance(7200 if gone else 60)
    # When it is reconciled, then it is an orphan, and goes
    assert kinds(run(core)) == {"orphan": 1}
    settle(core)
    assert core.points(item(1)) == []


def test_a_change_within_the_grace_is_no_drift_even_without_an_intent() -> None:
    core = indexed(3)
    receipt = core.put("new text", item(1))
    core.database.outbox.ack([receipt.intent])

    assert kinds(run(core)) == {}
    core.clock.advance(SETTINGS.reconcile.grace + 1)
    assert kinds(run(core)) == {"stale": 1}


def test_with_more_waiting_than_it_can_read_only_what_is_older_than_all_of_it_is_drift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = indexed(4)
    monkeypatch.setattr("scylla_store.reconcile.looks._MOST_WAITING", 1)
    core.put("waits", item(1))
    core.put("waits", item(2))
    core.clock.advance(60)
    lost = core.put("lost intent", item(3))
    core.database.outbox.ack([lost.intent])
    core.clock.advance(60)
    remove(core, item(0), 0)

    found = run(core)

    assert (kinds(found), found.in_flight) == ({"incomplete": 1}, 3)


def test_a_dry_run_changes_nothing() -> None:
    core = indexed(3)
    remove(core, item(1), 0)
    core.db.calls.clear()

    found = run(core, dry_run=True)

    assert (kinds(found), found.repaired) == ({"incomplete": 1}, 0)
    assert core.refs() == []
    assert not {"set_state", "lease", "register", "unregister", "bury"} & set(core.db.calls)


def test_a_dead_letter_keeps_its_anchor_and_is_not_tried_again() -> None:
    # Given a document that is a dead letter, whose anchor is lost
    class Poisoned:
        name, dimensions = core_embedder.name, core_embedder.dimensions
        calls = 0

        def embed(self, texts: list[str]) -> Any:
            Poisoned.calls += 1
            raise ValueError("cannot")

    core = Core(embedder=Poisoned())
    for discarded in (False, True):
        receipt = core.put(LONG, item(0))
        for _ in range(SETTINGS.sync.max_attempts):
            for ref in core.refs():
                core.work(replace(ref, again=True))
        [letter] = core.database.letters(after=None, limit=10)
        if discarded:
            core.database.bury(replace(letter, discarded=True, timestamp=letter.timestamp + 1))
        core.clock.advance(60)
        core.index.delete([(point.id, point.fingerprint) for point in core.points(item(0))])
        calls = Poisoned.calls
        # When it is reconciled
        found = run(core)
        for ref in core.refs():
            core.work(replace(ref, again=True))
        # Then its anchor is back, and nobody tried to embed it
        assert (kinds(found), found.dead, found.discarded) == ({"missing": 1}, 1, int(discarded))
        assert [point.payload["text_hash"] for point in core.points(item(0))] == [""]
        assert Poisoned.calls == calls
        assert receipt.version is not None


core_embedder = Core().embedder


def test_killed_at_any_request_the_next_one_files_and_counts_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One death at each request of a round, with a round of its own each time."""
    monkeypatch.setattr("scylla_store.reconcile.pace._STEP", 4)
    monkeypatch.setattr("scylla_store.reconcile.steps._ROWS", 2)
    for deadly in range(1, 400):
        # Given some differences, and a reconciliation that dies at this request
        core = indexed(5)
        remove(core, item(1), 0, 1, 2, 3)
        remove(core, item(3), 1)
        orphan(core, "a")
        left = [deadly]

        def die(*_: Any, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        try:
            _counted(core, die).run()
        except KeyboardInterrupt:
            core.clock.advance(LEASE_TIME + 1)
        else:
            break
        # When another one goes on
        run(core)
        # Then the first report tells everything once, and everything is repaired
        assert kinds(Reports(core.database, 20).all()[-1]) == {"missing": 1, "incomplete": 1, "orphan": 1}, deadly
        settle(core)
        assert kinds(run(core)) == {}, deadly
    assert deadly > 20


@pytest.mark.parametrize("full", [False, True])
def test_killed_anywhere_it_goes_on_where_it_was_and_counts_everything_once(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dies at each of its requests once, and is started again."""
    monkeypatch.setattr("scylla_store.reconcile.pace._STEP", 4)
    monkeypatch.setattr("scylla_store.reconcile.steps._ROWS", 2)
    core = indexed(9)
    remove(core, item(1), 0, 1, 2, 3)
    remove(core, item(2), 1)
    alter(core, item(7), version=2**52)
    orphan(core, "a")
    deaths = 0
    for deadly in range(1, 400):
        calls = 0

        def count(*_: Any, deadly: int = deadly) -> None:
            nonlocal calls
            calls += 1
            if calls == 3 + deadly:
                raise KeyboardInterrupt

        reconciler = _counted(core, count)
        try:
            reconciler.run(full=full)
        except KeyboardInterrupt:
            deaths += 1
            core.clock.advance(LEASE_TIME + 1)
            continue
        break
    # Then the first report, which may have been stored just before a death, tells everything once
    found = Reports(core.database, 20).all()[-1]
    assert deaths > 10
    assert kinds(found) == {"missing": 1, "incomplete": 1, "newer": 1, "orphan": 1}
    assert found.resumed > 0
    assert {ref.intent.item.key for ref in core.refs()} == {"k1", "k2", "k7", "a"}


def _counted(core: Core, count: Callable[..., None]) -> Reconciler:
    class Counted:
        def __init__(self, target: Any) -> None:
            self._target = target

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._target, name)
            if name == "outbox":
                return Counted(found)

            def call(*args: Any, **kwargs: Any) -> Any:
                count()
                return found(*args, **kwargs)

            return call

    parts = core.elsewhere
    return Reconciler(
        Counted(core.database),
        Counted(core.index),
        parts.recipe,
        parts.registry,
        core.settings,
        parts.clock,
        lambda: None,  # type: ignore[arg-type]
        reads_ahead=False,
    )


def test_an_interrupted_one_that_is_old_is_begun_anew() -> None:
    core = indexed(3)
    core.ix.before["points_of"] = lambda: raises(IndexUnavailable())
    with pytest.raises(IndexUnavailable):
        run(core)
    core.clock.advance(RESUME_WITHIN // SECOND + 1)

    found = run(core)

    assert (found.resumed, found.scanned) == (0, 3)


def test_two_at_a_time_are_refused_and_a_killed_one_is_taken_over() -> None:
    core = indexed(3)
    assert core.database.lease(LEASE, "another", LEASE_TIME)

    with pytest.raises(LeaseLost):
        run(core, patience=0.0)
    assert core.parts.reconciler.go_on(1.0) is None
    core.clock.advance(LEASE_TIME + 1)
    assert run(core).scanned == 3


def test_one_that_lost_its_lease_stops() -> None:
    core = indexed(3)

    class Stepping:
        now = 0.0

        def __call__(self) -> float:
            self.now += LEASE_TIME  # each look at the clock is late
            return self.now

    parts = core.parts
    reconciler = Reconciler(
        parts.database, parts.index, parts.recipe, parts.registry, core.settings, parts.clock, lambda: None,
        monotonic=Stepping(),
    )  # fmt: skip

    def steal() -> None:
        core.clock.advance(LEASE_TIME + 1)
        assert core.database.lease(LEASE, "another", LEASE_TIME)

    core.ix.after["slices"] = steal
    with pytest.raises(LeaseLost):
        reconciler.run()


def test_beat_goes_on_piece_by_piece_and_reports_at_the_end() -> None:
    core = indexed(3)
    remove(core, item(1), 0)
    reports = [core.parts.reconciler.go_on(0.0) for _ in range(5)]

    [report] = [report for report in reports if report is not None]
    assert (kinds(report), report.by, report.scanned) == ({"incomplete": 1}, "beat", 3)
    assert Reports(core.database, 5).all()[0] == report


def test_beat_waits_while_much_is_pending() -> None:
    settings = replace(SETTINGS, reconcile=replace(SETTINGS.reconcile, max_pending=2))
    core = indexed(3, settings)
    core.put("a", item(0))
    core.put("b", item(1))

    assert core.parts.reconciler.go_on(60.0) is None
    assert core.database.state("reconcile.beat") is None


def test_the_last_reports_are_kept() -> None:
    settings = replace(SETTINGS, reconcile=replace(SETTINGS.reconcile, reports=3))
    core = indexed(1, settings)

    ids = [run(core).id for _ in range(5)]

    assert [report.id for report in Reports(core.database, 3).all()] == ids[:1:-1]


def test_drift_above_the_threshold_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    settings = replace(SETTINGS, reconcile=replace(SETTINGS.reconcile, drift_threshold=1))
    core = indexed(4, settings)
    remove(core, item(0), 0)
    run(core)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    settle(core)
    remove(core, item(0), 0)
    remove(core, item(1), 0)
    run(core)
    [error] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "2 incomplete" in error.getMessage()


def test_the_pace_holds_it_back() -> None:
    core = indexed(6)
    slept: list[float] = []
    parts = core.parts
    reconciler = Reconciler(
        parts.database, parts.index, parts.recipe, parts.registry, core.settings, parts.clock, lambda: None,
        sleep=slept.append, monotonic=lambda: 0.0,
    )  # fmt: skip

    reconciler.run(max_rate=10.0)

    assert max(slept) == pytest.approx((6 + 6 * 4) / 10.0)


def test_a_slow_one_takes_small_steps_so_that_it_can_be_stopped_soon() -> None:
    core = indexed(30)
    told: list[int] = []
    parts = core.parts
    reconciler = Reconciler(
        parts.database, parts.index, parts.recipe, parts.registry, core.settings, parts.clock, lambda: None,
        sleep=lambda seconds: None, monotonic=lambda: 0.0,
    )  # fmt: skip

    reconciler.run(max_rate=20.0, on_progress=lambda progress: told.append(progress.points + progress.scanned))

    assert max(later - earlier for earlier, later in itertools.pairwise(told)) <= 2 * 20


def test_dead_letters_are_counted_at_the_pace_and_a_page_in_a_step() -> None:
    # Given letters that were given up, of documents that are gone
    core = Core()
    now = core.clock()
    for number in range(25):
        of = ItemId(NAMESPACE, f"gone{number}")
        core.database.bury(
            DeadLetter(
                item_digest(of), of, bytes(16), None, "BadVector", "why", 3, now, now, now, discarded=number % 5 > 0
            )
        )
    core.clock.advance(60)
    slept: list[float] = []
    parts = core.parts
    reconciler = Reconciler(
        parts.database, parts.index, parts.recipe, parts.registry, core.settings, parts.clock, lambda: None,
        sleep=slept.append, monotonic=lambda: 0.0,
    )  # fmt: skip
    # When they are counted at ten a second, and it is killed on the way
    steps: list[str] = []

    def tell(progress: Progress) -> None:
        steps.append(progress.phase)
        if steps.count("letters") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconciler.run(max_rate=10.0, on_progress=tell)
    report = reconciler.run(max_rate=10.0)
    # Then it goes on where it was, each is counted once, and it took its time
    assert (report.discarded, report.resumed) == (20, 1)
    assert core.db.calls.count("letters") == 3
    assert max(slept) == pytest.approx(15 / 10.0)


def test_namespaces_of_rows_are_listed_again_and_empty_old_ones_leave_the_list() -> None:
    core = indexed(2)
    core.database.register([("empty",)], now=core.clock())
    [listed] = [entry for entry in core.database.namespaces((), after=None, limit=9) if entry.namespace == NAMESPACE]
    core.database.unregister(listed)
    core.clock.advance(4 * 3600)
    core.database.register([("young",)], now=core.clock())

    run(core)

    found = [entry.namespace for entry in core.database.namespaces((), after=None, limit=9)]
    assert found == [NAMESPACE, ("young",)]


def test_a_namespace_that_the_database_gives_up_at_is_left_out_and_named() -> None:
    core = indexed(2)
    core.put("after", ItemId(("z",), "k"))
    settle(core)
    core.clock.advance(60)
    error = TombstoneLimit("Namespace ['docs']: too many")
    error.namespace = NAMESPACE
    core.db.before["scan"] = lambda: raises(error)

    found = run(core)

    assert (found.skipped, found.scanned, kinds(found)) == ([["docs"]], 1, {})


def test_a_namespace_that_has_no_readable_row_is_left_out_and_known_by_its_token() -> None:
    core = indexed(2)
    error = TombstoneLimit("The partition of items with the token -5: too many")
    error.token = -5
    core.db.before["scan"] = lambda: raises(error)

    found = run(core)

    assert (found.skipped, found.skipped_tokens, found.scanned, kinds(found)) == ([], ["-5"], 2, {})
    assert found in Reports(core.database, 5).all()


def test_an_anchor_that_does_not_say_whose_it_is_is_counted_once_and_repaired() -> None:
    # Given a document without text, whose anchor was damaged
    core = indexed(2)
    core.put("", item(5))
    settle(core)
    core.clock.advance(60)
    [anchor] = core.points(item(5))
    core.index.upsert([Point(anchor.id, None, {"slice": anchor.payload["slice"]})], at_most=2**60)
    # Then that is one difference
    found = run(core)
    assert (kinds(found), found.repaired) == ({"damaged": 1}, 1)
    # And it is gone afterwards
    settle(core)
    core.clock.advance(60)
    assert kinds(run(core)) == {}


@pytest.mark.parametrize("text", [LONG, ""], ids=["chunk", "anchor"])
def test_a_newer_point_that_says_it_is_of_an_unknown_item_makes_room_for_the_right_one(text: str) -> None:
    # Given a document, at whose place stands a point of a later version that says of another item
    core = indexed(2)
    core.put(text, item(5))
    settle(core)
    core.clock.advance(60)
    point = core.points(item(5))[0]
    alien = {**point.payload, "item": "f" * 32, "version": core.clock() + 3600 * SECOND}
    core.index.upsert([Point(point.id, None, alien)], at_most=2**60)
    # When it is repaired
    found = run(core)
    assert (kinds(found), found.repaired) == ({"damaged": 1}, 1)
    settle(core)
    # Then the right point is there
    assert point.payload in [each.payload for each in core.points(item(5))]
    core.clock.advance(60)
    assert kinds(run(core)) == {}


def test_an_outage_is_raised_and_the_next_call_goes_on() -> None:
    core = indexed(3)
    core.db.before["scan"] = lambda: raises(DatabaseUnavailable())
    with pytest.raises(DatabaseUnavailable):
        run(core)

    found = run(core)

    assert (found.resumed, found.scanned, found.points) == (1, 3, 12)


def test_another_model_is_found_for_every_document() -> None:
    core = indexed(3)
    parts = core.parts
    parts.recipe = Recipe("another model", parts.recipe.chunking)  # type: ignore[assignment]

    assert kinds(run(core)) == {"wrong_model": 3}


def test_only_a_full_one_looks_at_what_points_say_of_their_chunks() -> None:
    core = indexed(3)
    alter(core, item(1), 1, end=5)

    assert kinds(run(core)) == {}
    assert kinds(run(core, full=True)) == {"damaged": 1}
    settle(core)
    assert kinds(run(core, full=True)) == {}


def test_a_count_that_makes_no_sense_costs_no_memory_and_is_repaired() -> None:
    core = indexed(2)
    right = everything(core)
    alter(core, item(1), count=2**40)
    alter(core, item(1), 1, count=2**40)

    assert kinds(run(core)) == {"incomplete": 1}
    settle(core)
    assert everything(core) == right


def test_a_point_that_says_to_be_of_another_item_is_counted_once_and_repaired() -> None:
    core = indexed(3)
    right = everything(core)
    alter(core, item(1), item="f" * 32)

    assert kinds(run(core)) == {"damaged": 1}
    settle(core)
    assert everything(core) == right


def test_a_document_that_makes_no_sense_does_not_stop_a_full_one() -> None:
    # Given a document whose cells belong together, but which is no JSON
    core = indexed(3)
    cells = core.database.read([item(1)])[item(1)]
    head = Head.decode(cells.head or b"", item(1))
    value = b"\xff"
    head.row_hash = row_hash(value)
    core.database.write([Mutation(item(1), cells.version + 1, head.encode(), encode_body(head.write_id, value))])
    core.index.delete([(point.id, point.fingerprint) for point in core.points(item(1))])
    row = core.row(item(1))
    assert row is not None
    mark = fingerprint(row, core.parts.recipe)
    payload = {**common_payload(row, core.parts.recipe, item_digest(item(1)), mark), "ordinal": 0, "count": 1}
    core.index.upsert([Point(point_id(item_digest(item(1)), 0), [1.0] * 8, payload)], at_most=2**60)
    # Then it is counted, and the others are compared
    found = run(core, full=True)
    assert (kinds(found), found.scanned) == ({"damaged": 1}, 3)


def test_deletes_that_are_late_among_many_are_no_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given deletes that wait for so long that nothing is left of their rows, behind more than can be read
    core = indexed(3)
    monkeypatch.setattr("scylla_store.reconcile.looks._MOST_WAITING", 1)
    core.put("waits", item(0))
    core.clock.advance(1)
    core.delete(item(1))
    core.delete(item(2))
    core.clock.advance(2 * 3600)

    found = run(core)

    assert (kinds(found), found.in_flight) == ({}, 3)


def test_an_expiry_that_is_due_hides_no_drift_although_it_was_filed_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given documents that expire after a day, and more that waits than can be read
    core = indexed(3)
    monkeypatch.setattr("scylla_store.reconcile.looks._MOST_WAITING", 1)
    for number in (10, 11):
        core.put(LONG, item(number), ttl=86_400.0)
    settle(core)
    core.clock.advance(3600)
    lost = core.put("lost intent", item(1))
    core.database.outbox.ack([lost.intent])
    core.clock.advance(86_400 - 3600 + 60)

    assert kinds(run(core)) == {"stale": 1}


def test_a_tombstone_limit_without_a_namespace_ends_it_instead_of_going_round() -> None:
    core = indexed(2)
    core.db.before["scan"] = lambda: raises(TombstoneLimit("somewhere"))

    with pytest.raises(TombstoneLimit):
        run(core)
    assert run(core).scanned == 2


def test_the_lease_is_given_back_before_another_thread_can_take_it() -> None:
    core = indexed(2)
    others: list[Any] = []
    core.db.before["release"] = lambda: others.append(core.parts.reconciler.go_on(1.0))

    run(core)

    assert others == [None]
    assert core.database.lease(LEASE, "another", LEASE_TIME)


def test_a_rebuild_goes_on_while_what_is_missing_may_be_among_too_many_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a document that is missing in a new index, and changed later than the oldest of many that wait
    core = indexed(2)
    monkeypatch.setattr("scylla_store.reconcile.looks._MOST_WAITING", 1)
    core.put("waits", item(0))
    core.put("waits", ItemId(NAMESPACE, "another"))
    core.clock.advance(60)
    lost = core.put("its points were in the old index", item(1))
    core.database.outbox.ack([lost.intent])
    core.clock.advance(60)
    assert core.parts.rebuild.begin_if_documents()
    # When it is compared
    assert kinds(run(core)) == {}
    settle(core)
    # Then the rebuild has not ended, until that document has been judged
    assert core.elsewhere.rebuild.since() is not None
    assert kinds(run(core)) == {"stale": 1}
    core.clock.advance(1)
    settle(core)
    assert core.elsewhere.rebuild.since() is None


def given_up(**where: Any) -> TombstoneLimit:
    """What a scan raises where the database cannot read on."""
    error = TombstoneLimit("too many deleted rows")
    for name, value in where.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize("where", [{"namespace": NAMESPACE}, {"token": -5}], ids=["namespace", "token"])
def test_a_rebuild_goes_on_while_a_namespace_cannot_be_read(where: dict[str, Any]) -> None:
    # Given an index that was made anew, and a namespace that the database cannot read
    core = indexed(2)
    assert core.parts.rebuild.begin_if_documents()
    core.clock.advance(1)
    error = given_up(**where)
    core.db.before["scan"] = lambda: raises(error)
    # When all others were compared, then nobody knows yet that the index is complete
    found = run(core)
    assert bool(found.skipped or found.skipped_tokens)
    core.clock.advance(1)
    settle(core)
    assert core.elsewhere.rebuild.since() is not None
    # When that one can be read too, then it is
    run(core)
    core.clock.advance(1)
    settle(core)
    assert core.elsewhere.rebuild.since() is None


def test_a_row_of_a_newer_version_of_the_library_is_no_damage() -> None:
    core = indexed(2)
    cells = core.database.read([item(1)])[item(1)]
    head = bytearray(cells.head or b"")
    head[16] += 1
    core.database.write([Mutation(item(1), cells.version + 1, bytes(head), cells.body)])

    found = run(core)

    assert (kinds(found), found.in_flight, found.repaired) == ({}, 1, 0)


def test_an_orphan_whose_points_are_met_in_several_steps_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.reconcile.steps._POINTS", 1)
    monkeypatch.setattr("scylla_store.reconcile.pace._STEP", 2)
    core = indexed(1)
    digest = item_digest(item(9))
    payload = {**core.points(item(0))[0].payload, "item": digest, "key": "k9", "slice": int(digest[:3], 16)}
    points = [Point(point_id(digest, ordinal), [1.0] * 8, payload) for ordinal in range(6)]
    core.index.upsert(points, at_most=2**60)

    assert kinds(run(core, dry_run=True)) == {"orphan": 1}
    assert kinds(run(core)) == {"orphan": 1}
    settle(core)
    assert core.points(item(9)) == []


def test_a_round_that_another_version_stored_can_be_gone_on_with() -> None:
    core = indexed(3)
    core.ix.before["points_of"] = lambda: raises(IndexUnavailable())
    with pytest.raises(IndexUnavailable):
        run(core)
    stored = json.loads(core.database.state("reconcile.call") or b"")
    core.database.set_state("reconcile.call", json.dumps({**stored, "novelty": 1}).encode())

    assert run(core).resumed == 1
