"""The mark of an index that is being rebuilt."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from scylla_store import Put, ScyllaStore
from scylla_store.clock import SECOND
from scylla_store.database.slot_tables import Straggler
from scylla_store.drain import Scope
from scylla_store.engine import Engine
from scylla_store.errors import ClockSkew, DatabaseUnavailable, TombstoneLimit
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import IndexSpecification
from scylla_store.index.memory import MemoryIndex
from scylla_store.intents import SLOT
from scylla_store.reconcile import Rebuild, Reports
from scylla_store.settings.options import EmbedderSettings, Settings
from scylla_store.testing import SettableClock, TestingStore
from scylla_store.wiring import Parts
from tests.acceptance.waiting import poll
from tests.unit.core import Core, Hooked, raises


def rebuild(core: Core) -> Rebuild:
    """One that looks anew each time."""
    moments = iter(range(0, 10_000, 100))
    return Rebuild(core.db, core.clock, monotonic=lambda: float(next(moments)))  # type: ignore[arg-type]


def test_a_new_index_beside_documents_is_rebuilt_until_all_that_was_filed_is_indexed() -> None:
    core = Core()
    mark = rebuild(core)
    assert not mark.begin_if_documents()
    receipt = core.put()
    assert not mark.begin_if_documents(), "it waits in the outbox"
    core.database.outbox.ack([receipt.intent])
    core.clock.advance(10)
    assert mark.begin_if_documents()
    assert mark.is_on()
    # A reconciliation that began before it does not end it
    mark.compared(core.clock() - 1)
    assert mark.is_on()
    # One that began later does, when its repairs are done
    repair = core.repair()
    core.clock.advance(1)
    mark.compared(core.clock())
    assert mark.is_on()
    core.clock.advance(1)
    core.put("newer writes do not matter")
    core.sync(repair)
    assert not mark.is_on()
    assert core.database.state("index.rebuild") == b"null"


def test_an_epoch_ends_with_a_rebuild_and_with_setup_in_any_process() -> None:
    core = Core()
    mark, elsewhere = rebuild(core), rebuild(core)
    first = mark.epoch()
    assert mark.epoch() == first
    # Setup
    elsewhere.set_up()
    second = mark.epoch()
    elsewhere.set_up()
    third = mark.epoch()
    # A rebuild
    core.database.outbox.ack([core.put().intent])
    assert elsewhere.begin_if_documents()
    fourth = mark.epoch()

    assert len({first, second, third, fourth}) == 4  # type: ignore[arg-type]
    assert mark.is_on()


def test_an_epoch_goes_on_while_the_database_does_not_answer() -> None:
    core = Core()
    mark = rebuild(core)
    mark.set_up()
    before = mark.epoch()
    core.db.before["state"] = lambda: raises(DatabaseUnavailable())

    assert mark.epoch() == before


def test_an_epoch_is_looked_at_every_two_seconds() -> None:
    core = Core()
    seconds = [0.0]
    mark = Rebuild(core.db, core.clock, monotonic=lambda: seconds[0])  # type: ignore[arg-type]
    before = mark.epoch()
    rebuild(core).set_up()
    seconds[0] = 1.9
    assert mark.epoch() == before
    seconds[0] = 2.0
    assert mark.epoch() != before


class Slow:
    """A database that answers the next question about its state when it is released."""

    def __init__(self, core: Core) -> None:
        self.is_asked, self.is_released = threading.Event(), threading.Event()
        core.db.before["state"] = self._wait

    def _wait(self) -> None:
        self.is_asked.set()
        assert self.is_released.wait(60)


def test_while_one_thread_looks_the_others_go_on_with_the_last_answer() -> None:
    # Given a process that has looked, and a thread that looks again at a database that hangs
    core = Core()
    mark = rebuild(core)
    before = mark.epoch()
    rebuild(core).set_up()
    slow = Slow(core)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(mark.epoch)
        assert slow.is_asked.wait(60)
        # When another one asks, then it is told what was known, and the first one what is there by now
        try:
            assert threads.submit(mark.epoch).result(timeout=30) == before
        finally:
            slow.is_released.set()
        assert first.result() != before


def test_the_first_look_of_a_process_is_waited_for() -> None:
    core = Core()
    core.database.outbox.ack([core.put().intent])
    mark = rebuild(core)
    assert mark.begin_if_documents()
    slow = Slow(core)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(mark.is_on)
        assert slow.is_asked.wait(60)
        threading.Timer(0.1, slow.is_released.set).start()
        assert mark.is_on()
        assert first.result()


def test_an_answer_that_came_late_is_believed_as_long_as_any_other() -> None:
    core = Core()
    seconds = [0.0]
    mark = Rebuild(core.db, core.clock, monotonic=lambda: seconds[0])  # type: ignore[arg-type]

    def hang() -> None:
        seconds[0] += 5.0
        raise DatabaseUnavailable

    core.db.before["state"] = hang
    mark.epoch()
    mark.epoch()

    assert core.db.calls == ["state"]


def test_a_search_does_not_fail_because_nobody_knows_whether_the_index_is_complete() -> None:
    core = Core()
    mark = rebuild(core)
    core.database.outbox.ack([core.put().intent])
    assert mark.begin_if_documents()
    core.db.before["state"] = lambda: raises(DatabaseUnavailable())

    assert not mark.is_on()
    assert mark.is_on()


def test_the_database_is_asked_at_most_every_two_seconds() -> None:
    core = Core()
    mark = Rebuild(core.db, core.clock, monotonic=lambda: 1.0)  # type: ignore[arg-type]
    for _ in range(10):
        mark.is_on()
    assert core.db.calls.count("state") == 2, "the mark, and who last ran setup"


def test_documents_that_cannot_be_read_for_deleted_rows_are_rebuilt() -> None:
    core = Core()
    core.db.before["scan"] = lambda: raises(TombstoneLimit("too many"))

    assert rebuild(core).begin_if_documents()


class Many:
    """Documents in the order in which they are scanned; all of them wait but the last one, which was written long before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = 20, **sizes: int) -> None:
        for name, size in sizes.items():
            monkeypatch.setattr(f"scylla_store.reconcile.rebuild._{name}", size)
        items = self._in_order(number + 2)
        self.core, self.after_all = Core(), items[-1]
        self.known = self.core.put(item=items[-2]).intent
        self.core.clock.advance(3600)
        for item in items[:-2]:
            self.core.put(item=item)
        self.core.clock.advance(1)

    def _in_order(self, number: int) -> list[ItemId]:
        other = Core()
        for each in range(number):
            other.put(item=ItemId(("docs",), f"k{each}"))
        return [row.id for row in other.database.scan(after=None, limit=number)]

    def is_begun(self) -> bool:
        self.core.db.calls.clear()
        return rebuild(self.core).begin_if_documents()

    @property
    def scans(self) -> int:
        return self.core.db.calls.count("scan")


def test_one_document_that_does_not_wait_is_enough_for_a_rebuild_however_many_before_it_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = Many(monkeypatch, 600)
    assert not many.is_begun()
    many.core.database.outbox.ack([many.known])

    assert many.is_begun()


def test_a_document_that_is_older_than_all_that_waits_is_looked_for_when_too_much_waits_to_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = Many(monkeypatch, SAMPLE=3, ROWS=5)
    assert not many.is_begun()
    many.core.database.outbox.ack([many.known])

    assert many.is_begun()


def test_what_is_written_while_others_are_looked_at_waits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(monkeypatch, SAMPLE=3)

    def write() -> None:
        many.core.put(item=many.after_all)

    many.core.db.outbox.after["waiting"] = write

    assert not many.is_begun()
    assert many.core.db.outbox.calls.count("waiting") == 2


def test_documents_that_cannot_be_read_behind_those_that_wait_are_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(monkeypatch, SAMPLE=3)
    limit = TombstoneLimit("too many")
    many.core.db.after["scan"] = lambda: many.core.db.before.update(scan=lambda: raises(limit))

    assert many.is_begun()


def test_so_many_documents_are_looked_at_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(monkeypatch, SAMPLE=3, PAGES=2)
    many.core.database.outbox.ack([many.known])

    assert not many.is_begun()
    assert many.scans == 2


def test_expiries_that_come_due_do_not_keep_a_rebuild_from_ending() -> None:
    # Given a rebuild whose comparison has ended, and documents that expire later
    core = Core()
    core.sync(core.ref(core.put(ttl=3600.0)))
    mark = rebuild(core)
    core.clock.advance(60)
    assert mark.begin_if_documents()
    mark.compared(core.clock())
    # When one of them expires, and its intent waits for a moment
    core.clock.advance(3 * 3600)
    # Then that is no repair
    assert not mark.is_on()


def test_a_rebuild_goes_on_while_its_repairs_wait_however_far_the_drain_is_behind() -> None:
    # Given documents that are indexed, and no drain for ten hours: beat was off, or last night's backup was restored
    core = Core()
    core.sync(core.ref(core.put()))
    core.clock.advance(10 * 3600)
    # When their index is made anew, and a reconciliation has filed what is missing
    mark = rebuild(core)
    assert mark.begin_if_documents()
    core.clock.advance(1)
    repair = core.repair()
    core.clock.advance(1)
    mark.compared(core.clock())
    # Then it goes on until that is indexed
    assert mark.is_on()
    core.sync(repair)
    assert not mark.is_on()


def test_a_rebuild_goes_on_while_nobody_knows_whether_its_repairs_wait() -> None:
    # Given a rebuild that has compared everything, and a repair behind more notes of slots than one look reads
    core = Core()
    core.database.outbox.ack([core.put().intent])
    core.clock.advance(10)
    mark = rebuild(core)
    assert mark.begin_if_documents()
    first = core.clock() // SLOT
    core.clock.advance(24 * 3600)
    repair = core.repair()
    tables, later = core.database.tables, core.clock() + 600 * SECOND
    tables.note([Straggler(first + number, later, core.clock()) for number in range(8000)])
    tables.raise_watermark(core.clock() // SLOT - 6)
    mark.compared(core.clock())
    # Then it has not ended, until it is known that nothing waits
    assert mark.is_on()
    core.sync(repair)
    for note in list(tables.stragglers()):
        tables.strike(note)
    assert not mark.is_on()


def test_a_rebuild_that_a_clock_which_was_ahead_began_ends_too() -> None:
    # Given the mark of a clock that was a year ahead, and is right again
    core = Core()
    core.sync(core.ref(core.put()))
    core.clock.advance(365 * 86_400)
    mark = rebuild(core)
    assert mark.begin_if_documents()
    core.clock.advance(-364 * 86_400)
    assert mark.is_on()
    # When a reconciliation has compared everything, and its repair is done
    repair = core.repair()
    mark.compared(core.clock())
    assert mark.is_on()
    core.sync(repair)
    # Then it has ended
    assert not mark.is_on()


def test_a_clock_that_is_a_little_ahead_does_not_end_a_rebuild_by_what_began_before_it() -> None:
    core = Core()
    core.sync(core.ref(core.put()))
    mark = rebuild(core)
    core.clock.advance(60)
    assert mark.begin_if_documents()
    core.clock.advance(-5)

    mark.compared(core.clock() - SECOND)

    assert mark.is_on()


class Killed(BaseException):
    """The process ends here."""


def test_a_setup_that_is_killed_when_the_index_was_made_has_said_that_it_is_rebuilt() -> None:
    # Given a document that is indexed, and an index that was lost since
    core = Core()
    core.sync(core.ref(core.put()))
    core.clock.advance(10)
    lost = Hooked(MemoryIndex())
    parts = Parts(core.settings, database=core.database, index=lost, embedder=core.embedder, clock=core.clock)
    # When setup is killed right after the index was made
    lost.after["setup"] = lambda: raises(Killed())
    with pytest.raises(Killed):
        parts.set_up_index()
    # Then that it is being rebuilt is known all the same, and the next setup leaves it so
    assert lost.exists()
    assert rebuild(core).is_on()
    parts.set_up_index()
    assert rebuild(core).is_on()


def test_setup_is_refused_while_the_clock_is() -> None:
    # Given documents whose index is lost, and a machine whose clock is an hour fast
    core = Core()
    core.database.outbox.ack([core.put().intent])
    index = MemoryIndex()
    fast = SettableClock(core.clock() + 3600 * SECOND)
    store = ScyllaStore(core.settings, database=core.database, index=index, embedder=core.embedder, clock=fast)

    # When, Then nothing is made and nobody is told that it is rebuilt
    with store:
        with pytest.raises(ClockSkew, match="This machine's clock"):
            store.setup()
        with pytest.raises(ClockSkew, match="This machine's clock"):
            store.parts.set_up_index()  # as whoever opens an embedded index does
        assert not index.exists()
        assert (core.database.state("index.rebuild"), core.database.state("index.set_up")) == (None, None)

        # When the clock is right again
        fast.advance(-3600)
        store.setup()

    # Then both are done
    assert index.exists()
    assert rebuild(core).is_on()


def test_setup_says_whether_the_index_was_missing() -> None:
    index = MemoryIndex()
    assert index.setup(IndexSpecification(8, "m"))
    assert not index.setup(IndexSpecification(8, "m"))


def test_a_store_whose_index_was_deleted_says_so_rebuilds_it_and_says_that_it_is_complete(tmp_path: Path) -> None:
    # Given documents that are indexed
    settings = Settings(embedder=EmbedderSettings(name="hashing"))
    with TestingStore(tmp_path, settings=settings) as store:
        for number in range(20):
            store.put(("docs",), f"k{number}", {"text": f"tea number {number}"})
        store.drain()
        assert not store.search(("docs",), "tea").is_rebuilding
    # When the index is deleted
    shutil.rmtree(tmp_path / "index")
    with TestingStore(tmp_path, settings=settings) as store:
        store.clock.advance(600)
        hits = store.search(("docs",), "tea")
        # Then a search finds nothing and says why
        assert (hits, hits.is_rebuilding) == ([], True)
        report = store.reconcile(full=True)
        assert (report.missing, report.repaired) == (20, 20)
        store.drain()
    with TestingStore(tmp_path, settings=settings) as store:
        store.clock.advance(1200)
        hits = store.search(("docs",), "tea", limit=20)
        assert (len(hits), hits.is_rebuilding) == (20, False)
        assert store.reconcile().drift == 0


def test_resync_has_everything_under_the_prefix_looked_after_again(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as store:
        for namespace in (("a",), ("a", "b"), ("ab",)):
            store.put(namespace, "k", {"text": "tea"})
        store.drain()

        assert store.resync(("a",)) == 2
        assert store.status(exact=True).pending == 2
        assert store.drain() == 0
        assert store.resync(()) == 3


def test_resync_tells_how_many_documents_there_are_and_looks_after_deleted_ones_too(tmp_path: Path) -> None:
    # Given documents of which one is deleted, one expired
    with TestingStore(tmp_path) as store:
        store.put_many([Put(("a",), f"k{number}", {"text": "tea"}) for number in range(4)])
        store.put(("a",), "expired", {"text": "tea"}, ttl=60)
        store.drain()
        store.delete(("a",), "k0")
        store.drain()
        store.clock.advance(61)
        # When they are looked after again
        filed = store.resync(("a",))
        # Then those are counted that a reader finds, and the others have an intent too
        assert filed == store.count(("a",), exact=True) == 3
        assert store.status(exact=True).pending >= 5


def test_a_machine_whose_clock_is_refused_files_no_resync() -> None:
    # Given a document, and a machine an hour ahead
    core = Core()
    core.put("tea")
    core.clock.advance(60)
    ahead = SettableClock(core.clock() + 3600 * SECOND)
    store = ScyllaStore(
        core.settings,
        database=core.database,
        index=core.index,
        embedder=core.embedder,
        dispatcher=core.dispatcher,
        clock=ahead,
    )
    before = core.refs()
    # When it is told to have everything looked after again, then it is refused, and nothing is filed
    with pytest.raises(ClockSkew):
        store.resync(())
    assert core.refs() == before
    store.close()


def test_an_embedded_store_compares_by_itself_every_interval(tmp_path: Path) -> None:
    # Given a document whose points were lost behind everybody's back
    def store(**reconcile: float) -> ScyllaStore:
        reconciling = replace(Settings().reconcile, grace=0.1, **reconcile)
        return ScyllaStore(
            Settings(path=str(tmp_path), embedder=EmbedderSettings(name="hashing"), reconcile=reconciling)
        )

    with store() as first:
        first.put(("docs",), "k", {"text": "tea"}, wait=30)
        digest = item_digest(ItemId(("docs",), "k"))
        points = first.parts.index.points_of([digest])[digest]
        first.parts.index.delete([(point.id, point.fingerprint) for point in points])
    # When a process runs for as long as the interval
    with store(interval=1.0) as second:
        # Then they are back
        assert poll(lambda: bool(second.search(("docs",), "tea")), 60)
        assert poll(lambda: second.status().last_reconcile is not None, 60)


class Moments:
    """An engine's clock."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def compare(engine: Engine, core: Core) -> int:
    """What an engine does in a moment; the number of reconciliations that have ended by then."""
    for _ in range(20):
        engine.catch_up(Scope.DUE)
    return len(Reports(core.database, 20).all())


@pytest.mark.parametrize(("is_readable", "compared"), [(True, 2), (False, 1)])
def test_an_engine_rebuilds_without_a_pause_unless_a_namespace_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, is_readable: bool, compared: int
) -> None:
    # Given a rebuild that goes on after a reconciliation
    moments, core = Moments(), Core()
    monkeypatch.setattr("scylla_store.engine.time", moments)
    core.database.outbox.ack([core.put().intent])
    core.clock.advance(60)
    assert core.parts.rebuild.begin_if_documents()
    core.clock.advance(-1)
    error = TombstoneLimit("too many deleted rows")
    error.token = -5
    engine = Engine(core.parts)
    engine.open()
    if not is_readable:
        core.db.before["scan"] = lambda: raises(error)
    assert compare(engine, core) == 1
    # When the grace is over
    moments.now += core.settings.reconcile.grace
    # Then all is compared once more, if there is hope that more of it can be read by now
    assert core.parts.rebuild.since() is not None
    assert compare(engine, core) == compared
    moments.now += core.settings.reconcile.interval
    assert compare(engine, core) == compared + 1


def test_an_embedded_index_that_was_deleted_comes_back_by_itself(tmp_path: Path) -> None:
    settings = Settings(path=str(tmp_path), embedder=EmbedderSettings(name="hashing"))
    with ScyllaStore(settings) as store:
        store.put_many([Put(("docs",), f"k{number}", {"text": "tea"}) for number in range(50)], wait=30)
    shutil.rmtree(tmp_path / "index")

    with ScyllaStore(settings) as store:
        assert poll(lambda: len(store.search(("docs",), "tea", limit=50)) == 50, 60)
        assert poll(lambda: not store.search(("docs",), "tea").is_rebuilding, 60)
