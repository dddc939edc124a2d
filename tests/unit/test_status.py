"""Status: what a drain leaves behind, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.base import OutboxSummary
from scylla_store.errors import IndexUnavailable
from scylla_store.heartbeats import Pulse, pulses
from scylla_store.identity import item_digest
from scylla_store.intents import SLOT, Kind, new_intent
from scylla_store.letters import DeadLetter
from scylla_store.outlook import WINDOW, LetterCount, Outlook, Sample, load_outlook, observe
from scylla_store.reconcile import Reports
from scylla_store.reconcile.rounds import Round
from scylla_store.settings.options import BreakerSettings, CelerySettings
from scylla_store.status import Status, read_status, until_empty
from scylla_store.summary import load_summary
from scylla_store.testing import FailingEmbedder, TestingStore
from tests.unit.core import ITEM, SETTINGS, START, Core, raises


def cluster(**options: object) -> Core:
    """A core whose documents are indexed by workers."""
    return Core(settings=replace(SETTINGS, celery=CelerySettings(broker_url="redis://localhost:1/0"), **options))


def drain(core: Core) -> None:
    """What the drain's task does."""
    summary = core.parts.drain.run()
    assert summary is not None
    observe(core.database, summary)


def status(core: Core, *, exact: bool = False) -> Status:
    return read_status(core.parts, exact=exact)


def put_many(core: Core, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        core.put(item=ITEM._replace(key=str(number)))


def bury(core: Core, reasons: Sequence[str], *, discarded: bool = False) -> None:
    """Dead letters with these reasons."""
    for number, reason in enumerate(reasons):
        item = ITEM._replace(key=f"{reason} {number} {discarded}")
        core.database.bury(
            DeadLetter(item_digest(item), item, bytes(16), 1, reason, "why", 3, START, START, START, discarded)
        )


def test_status_counts_what_waits_what_failed_and_what_is_dead(tmp_path: Path) -> None:
    embedder = FailingEmbedder(lambda text: text == "bad")
    with TestingStore(tmp_path, embedder=embedder) as store:
        store.put(("docs",), "good", {"text": "good"})
        store.put(("docs",), "bad", {"text": "bad"})
        before = store.status()
        store.drain()
        after = store.status()

    assert (before.pending, before.retrying, before.dead) == (2, 0, 0)
    assert before.oldest_pending_seconds is not None
    assert (after.pending, after.dead, after.oldest_pending_seconds) == (0, 1, None)
    assert after.dead_by_reason == {"RuntimeError": 1}
    assert after.exact


def test_status_on_a_cluster_is_that_of_the_last_drain_with_its_age() -> None:
    core = cluster()
    put_many(core, 3)
    core.clock.advance(SETTINGS.sync.margin)
    put_many(core, 2, start=3)
    core.dispatcher.waiting = 7
    drain(core)
    core.clock.advance(5)
    put_many(core, 1, start=5)

    seen = status(core)

    assert (seen.pending, seen.due, seen.queue) == (5, 0, 7)
    assert (seen.age_seconds, seen.oldest_pending_seconds, seen.exact) == (5.0, 35.0, True)
    counted = status(core, exact=True)
    assert (counted.pending, counted.age_seconds) == (6, 0.0)


def test_what_is_due_is_what_the_next_drain_would_dispatch() -> None:
    core = cluster()
    put_many(core, 3)
    assert status(core, exact=True).due == 0
    core.clock.advance(SETTINGS.sync.margin + 1)
    put_many(core, 2, start=3)
    assert status(core, exact=True).due == 3
    drain(core)
    assert status(core, exact=True).due == 0


def test_status_reads_nothing_but_what_drains_left_behind() -> None:
    # Given a drain that saw something
    core = cluster()
    put_many(core, 3)
    drain(core)
    core.db.calls.clear()
    core.db.outbox.calls.clear()
    # When somebody looks
    status(core)
    # Then no row is read, however many there are
    assert (set(core.db.calls), core.db.outbox.calls) == ({"state"}, [])


@pytest.mark.parametrize("limit", [1, 7, 10, 49, 50])
def test_a_long_backlog_is_counted_without_being_read(limit: int) -> None:
    # Given a backlog of fifty writes over some minutes, a few of which come due later
    core = cluster()
    for number in range(45):
        core.put(item=ITEM._replace(key=str(number)))
        core.clock.advance(3)
    core.clock.advance(60)
    put_many(core, 5, start=45)

    summary = core.database.outbox.summary(limit)

    # Then all are known that are due by now
    assert (summary.pending, summary.due) == (45 if limit < 45 else limit, min(limit, 45))
    assert summary.exact is (limit == 50)


def test_a_backlog_that_shrinks_has_a_rate_and_an_end() -> None:
    # Given a worker that indexes three documents every ten seconds, while one is put
    core = cluster()
    put_many(core, 20)
    for round in range(4):
        core.parts.heart.beat()
        drain(core)
        core.clock.advance(10)
        for ref in core.refs()[:3]:
            core.parts.heart.count(core.work(ref).acked)
        put_many(core, 1, start=100 + round)
    core.parts.heart.beat()
    drain(core)
    # When somebody looks
    seen = status(core)
    # Then what is left has an end, what is put meanwhile included
    assert seen.pending == 12
    assert seen.rate == pytest.approx(0.3)
    assert seen.seconds_until_empty == pytest.approx(12 / 0.2)


@pytest.mark.parametrize(
    ("pending", "exact", "before", "acked", "expected"),
    [
        (0, True, 100, 0, 0.0),
        (100, True, 300, 500, 50.0),
        (100, True, 100, 500, None),
        (300, True, 100, 500, None),
        (10_000, False, 10_000, 500, 200.0),
        (10_000, False, 10_000, 0, None),
    ],
    ids=["nothing", "fewer", "as many", "more", "more than counted", "nobody works"],
)
def test_the_time_until_nothing_is_pending(
    pending: int, exact: bool, before: int, acked: int, expected: float | None
) -> None:
    samples = [Sample(0, 0, before, exact), Sample(100 * SECOND, 5000 if acked else 0, pending, exact)]
    outlook = Outlook(samples=samples)

    assert until_empty(OutboxSummary(pending, 0, 0, exact), outlook) == expected


def test_the_end_of_a_backlog_that_was_too_long_to_be_read_a_moment_ago_is_told_by_the_rate() -> None:
    samples = [Sample(0, 0, 10_000, False), Sample(100 * SECOND, 5000, 9_000, True)]

    assert until_empty(OutboxSummary(9_000, 0, 0, True), Outlook(samples=samples)) == 180.0


def test_a_rate_is_that_of_the_last_two_minutes() -> None:
    core = cluster()
    core.parts.heart.count(1_000_000)
    for _ in range(100):
        core.parts.heart.beat()
        drain(core)
        core.clock.advance(5)
    core.parts.heart.count(120)
    core.parts.heart.beat()
    drain(core)

    outlook = load_outlook(core.database)

    assert outlook.rate == pytest.approx(120 / WINDOW)
    assert len(outlook.samples) <= WINDOW / 5 + 1


def test_a_worker_that_started_anew_counts_from_nothing_and_not_below() -> None:
    core = cluster()
    core.parts.heart.count(50)
    core.parts.heart.beat()
    drain(core)
    core.parts.heart.stop()
    core.clock.advance(10)
    core.elsewhere.heart.count(20)
    core.elsewhere.heart.beat()
    drain(core)

    assert status(core).rate == pytest.approx(2.0)
    assert status(core).workers == 1


def test_a_worker_that_comes_back_has_not_done_its_lifes_work_since() -> None:
    # Given a worker that has acked a million, and goes on with one a second
    core = cluster()
    core.parts.heart.count(1_000_000)
    for _ in range(4):
        core.parts.heart.beat()
        drain(core)
        core.clock.advance(10)
        core.parts.heart.count(10)
    # When the database was away for half a minute, and the first drain comes before the heartbeat
    core.clock.advance(30)
    drain(core)
    for _ in range(2):
        core.clock.advance(10)
        core.parts.heart.count(10)
        core.parts.heart.beat()
        drain(core)
    # Then the rate is not above what it was
    rate = status(core).rate
    assert rate is not None
    assert 0.3 < rate <= 1.0


def test_dead_letters_are_counted_by_reason() -> None:
    core = cluster()
    bury(core, ["BadVector"] * 3 + ["DocumentFailed"] * 2)
    bury(core, ["BadVector"], discarded=True)
    drain(core)

    seen = status(core)

    assert (seen.dead, seen.discarded, seen.exact) == (5, 1, True)
    assert seen.dead_by_reason == {"BadVector": 3, "DocumentFailed": 2}


def test_many_dead_letters_are_counted_in_several_drains_and_the_last_whole_count_is_shown() -> None:
    # Given more letters than one drain may read
    core = cluster()
    bury(core, ["BadVector"] * 2500)
    seen = []
    for _ in range(3):
        drain(core)
        seen.append((status(core).dead, status(core).exact))
    # Then the first count grows
    assert seen == [(1000, False), (2000, False), (2500, True)]
    # And the next one is shown when it has come to its end
    bury(core, ["DocumentFailed"] * 10)
    drain(core)
    assert (status(core).dead, status(core).exact) == (2500, True)
    drain(core)
    drain(core)
    assert (status(core).dead, status(core).dead_by_reason["DocumentFailed"]) == (2510, 10)


def test_troubles_of_workers_are_seen_once_with_how_many_have_them() -> None:
    # Given three workers, two of which do not reach the index
    core = cluster(breaker=BreakerSettings(failures=1))
    broken = [core.parts, core.other(core.clock)]
    for parts in broken:
        with pytest.raises(IndexUnavailable), parts.index.breaker.calling():
            raises(IndexUnavailable("connection refused"))
    for parts in (*broken, core.elsewhere):
        parts.heart.beat()
    drain(core)

    seen = status(core)

    assert seen.workers == 3
    assert [(trouble.name, trouble.processes) for trouble in seen.troubles] == [("index", 2)]
    assert "connection refused" in seen.troubles[0].reason
    assert seen.breakers["index"].state == "open"
    assert seen.breakers["embedder"].state == "closed"


def test_the_last_reconciliation_is_shown() -> None:
    core = cluster()
    assert status(core).last_reconcile is None
    for number in (1, 2):
        walk = Round.new(by="beat", full=False, dry_run=False, now=core.clock())
        walk.counts["missing"] = number
        Reports(core.database, most=20).add(walk.report(core.clock()))

    report = status(core).last_reconcile

    assert report is not None
    assert (report.missing, report.drift) == (2, 2)


def test_an_embedded_store_tells_its_own_rate(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as store:
        store.put(("docs",), "k", {"text": "words"})
        seen = store.status()

    assert (seen.workers, seen.queue, seen.rate) == (None, None, None)
    assert set(seen.breakers) == {"index", "embedder"}


@pytest.mark.parametrize("name", ["drain.summary", "outlook"])
def test_what_an_older_or_newer_version_left_behind_can_be_read(name: str) -> None:
    # Given what a drain of this version stores
    core = cluster()
    put_many(core, 3)
    drain(core)
    stored = json.loads(core.database.state(name) or b"")
    # When another version knows a field more, and another one a field less
    core.database.set_state(name, json.dumps({**stored, "news": [1, 2]}).encode())
    assert status(core).pending == 3
    stored.pop("due" if name == "drain.summary" else "troubles")
    core.database.set_state(name, json.dumps(stored).encode())
    assert status(core).pending == 3


def test_a_summary_that_cannot_be_read_is_none() -> None:
    core = cluster()
    core.database.set_state("drain.summary", b'{"pending": 1}')

    assert load_summary(core.database) is None


def test_the_letters_of_inner_values_of_other_versions_are_read_too() -> None:
    core = cluster()
    values = {
        "letters": {"dead": {"BadVector": 2}, "news": 1},
        "samples": [{"at": 1, "news": 1}],
        "troubles": [{"name": "index", "news": 1}],
    }
    core.database.set_state("outlook", json.dumps(values).encode())

    outlook = load_outlook(core.database)

    assert outlook.letters == LetterCount({"BadVector": 2})
    assert outlook.samples == [Sample(1)]
    assert outlook.troubles[0].name == "index"


def test_a_heartbeat_of_another_version_is_counted() -> None:
    core = cluster()
    values = {"a": {"id": "a", "at": START, "news": 1}, "b": {"id": "b", "at": START - 3600 * SECOND}}
    core.database.set_state("workers.3", json.dumps(values).encode())

    assert pulses(core.database, START) == [Pulse("a", START)]


def test_workers_whose_heartbeats_share_a_value_are_all_seen() -> None:
    core = cluster()
    for _ in range(40):
        core.other(core.clock).heart.beat()

    assert len(pulses(core.database, core.clock())) == 40


def test_heartbeats_are_small_values_that_do_not_grow_with_those_who_have_gone() -> None:
    core = cluster()
    for _ in range(200):
        other = core.other(core.clock)
        other.heart.beat()
        core.clock.advance(5)

    assert len(pulses(core.database, core.clock())) == 3
    stored = [json.loads(core.database.state(f"workers.{shard}") or b"{}") for shard in range(8)]
    assert max(map(len, stored)) <= 4


@pytest.mark.parametrize("drains", [0, 8])
def test_an_exact_count_reads_all_slots_of_a_long_backlog(drains: int) -> None:
    # Given a backlog of some hours, one write a slot, before and after the watermark has passed it
    core = cluster()
    item = [ITEM._replace(key=str(number)) for number in range(1500)]
    for number, one in enumerate(item):
        filed_at = START + number * SLOT
        core.database.outbox.file([new_intent(one, bytes(16), 1, Kind.AGAIN, now=filed_at, due=filed_at)])
    core.clock.advance(1500 * 10)
    for _ in range(drains):
        drain(core)
    # When somebody looks
    seen = status(core, exact=True)
    # Then all of it is counted
    assert (seen.pending, seen.exact, seen.oldest_pending_seconds) == (1500, True, 15_000.0)
