"""Which interrupted reconciliation is gone on with: never one whose first part says nothing about the index of now."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scylla_store.clock import SECOND
from scylla_store.errors import ClockSkew
from scylla_store.identity import ItemId
from scylla_store.index.memory import MemoryIndex
from scylla_store.reconcile import Progress, ReconcileReport
from scylla_store.reconcile.reconciler import LEASE, LEASE_TIME
from scylla_store.settings.options import Settings
from scylla_store.testing import SettableClock, TestingStore
from scylla_store.wiring import Parts
from tests.unit.core import SETTINGS, Core
from tests.unit.reconcile.test_reconciler import indexed, item, kinds, run, settle

DOCUMENTS = 12
SKEW = int(SETTINGS.clock.max_clock_skew)


class Interrupted(Exception):
    """The reconciliation was stopped in the middle."""


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.reconcile.pace._STEP", 3)


def halfway(progress: Progress) -> None:
    """Stops a reconciliation when it has compared half of the rows."""
    if progress.scanned >= DOCUMENTS / 2:
        raise Interrupted


def interrupted(core: Core, *, full: bool = False) -> None:
    with pytest.raises(Interrupted):
        run(core, full=full, on_progress=halfway)


def lose_points(core: Core) -> None:
    """As when an old snapshot of the index is put back."""
    for number in range(DOCUMENTS):
        core.index.delete([(point.id, point.fingerprint) for point in core.points(item(number))])


def set_up(core: Core) -> None:
    core.parts.set_up_index()
    core.parts.rebuild.set_up()


def found_points(core: Core) -> int:
    return sum(bool(core.points(item(number))) for number in range(DOCUMENTS))


def test_after_setup_it_begins_anew_because_the_index_may_be_another_one() -> None:
    # Given an index that was lost and is half rebuilt
    core = indexed(DOCUMENTS)
    lose_points(core)
    set_up(core)
    interrupted(core, full=True)
    settle(core)
    core.clock.advance(60)
    assert 0 < found_points(core) < DOCUMENTS
    # When it is lost once more, and somebody runs the two commands
    lose_points(core)
    set_up(core)
    report = run(core, full=True)
    # Then all of it is found and comes back
    assert (kinds(report), report.resumed) == ({"missing": DOCUMENTS}, 0)
    settle(core)
    assert found_points(core) == DOCUMENTS


def test_beats_round_begins_anew_too() -> None:
    core = indexed(DOCUMENTS)
    reconciler = core.parts.reconciler
    while json.loads(core.database.state("reconcile.beat") or b'{"counts": {}}')["counts"].get("scanned", 0) < 6:
        assert reconciler.go_on(0.0) is None
    lose_points(core)
    set_up(core)

    report = next(report for report in iter(lambda: reconciler.go_on(60.0), 0) if report)

    assert kinds(report) == {"missing": DOCUMENTS}


def test_an_embedded_index_that_is_lost_twice_is_rebuilt_at_the_next_start(tmp_path: Path) -> None:
    clock = SettableClock()
    with TestingStore(tmp_path, clock=clock) as store:
        for number in range(DOCUMENTS):
            store.put(("docs",), f"k{number}", {"text": f"tea number {number}"})
        store.drain()
    clock.advance(60)
    shutil.rmtree(tmp_path / "index")
    with TestingStore(tmp_path, clock=clock) as store:
        with pytest.raises(Interrupted):
            store.reconcile(full=True, on_progress=halfway)
        store.drain()
    clock.advance(60)
    shutil.rmtree(tmp_path / "index")
    with TestingStore(tmp_path, clock=clock) as store:
        assert store.reconcile(full=True).missing == DOCUMENTS
        store.drain()
        assert len(store.search(("docs",), "tea", limit=DOCUMENTS)) == DOCUMENTS


def test_an_index_that_is_made_is_another_one_also_while_all_documents_wait_for_it() -> None:
    core = Core()
    core.put(item=ItemId(("docs",), "waits"))
    before = core.parts.rebuild.making()
    set_up_again = Parts(
        core.settings, database=core.database, index=MemoryIndex(), embedder=core.embedder, clock=core.clock
    )
    set_up_again.set_up_index()

    assert core.parts.rebuild.making() != before
    assert not core.parts.rebuild.is_on()
    # And one that is there stays the one that it is
    before = core.parts.rebuild.making()
    set_up_again.set_up_index()
    assert core.parts.rebuild.making() == before


def test_a_position_that_an_earlier_version_stored_is_not_gone_on_with() -> None:
    core = indexed(DOCUMENTS)
    interrupted(core)
    stored = json.loads(core.database.state("reconcile.call") or b"")
    del stored["making"]
    core.database.set_state("reconcile.call", json.dumps(stored).encode())

    report = run(core)

    assert (report.resumed, report.scanned) == (0, DOCUMENTS)


@pytest.mark.parametrize(("back", "resumed"), [(2 * SKEW + 1, 0), (2 * SKEW, 1), (365 * 86400, 0)])
def test_a_position_of_a_clock_that_was_ahead_is_recent_only_within_the_skew(back: int, resumed: int) -> None:
    core = indexed(DOCUMENTS)
    interrupted(core)
    core.clock.set(core.clock() - back * SECOND)

    assert run(core).resumed == resumed


def every(interval: float, **others: int) -> Settings:
    return replace(SETTINGS, reconcile=replace(SETTINGS.reconcile, interval=interval, **others))


def pieces(core: Core, interval: float) -> Iterator[ReconcileReport | None]:
    """What beat's pieces of one step each say, one every interval."""
    while True:
        yield core.parts.reconciler.go_on(0.0)
        core.clock.advance(interval)


def position(core: Core) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(core.database.state("reconcile.beat") or b"")
    return found


@pytest.mark.parametrize("interval", [300, 3600, 7200, 86_400])
def test_beat_goes_on_with_its_round_however_long_its_interval_is(interval: int) -> None:
    core = indexed(DOCUMENTS, every(interval))

    report = next(report for report in itertools.islice(pieces(core, interval), 40) if report is not None)

    assert (report.scanned, report.seconds > 5 * interval) == (DOCUMENTS, True)


@pytest.mark.parametrize(("waited", "is_same"), [(2.5, True), (2.6, False)])
def test_beat_goes_on_with_its_round_when_one_of_its_pieces_was_lost_and_no_later(waited: float, is_same: bool) -> None:
    core = indexed(DOCUMENTS, every(7200))
    core.parts.reconciler.go_on(0.0)
    begun = position(core)["id"]
    core.clock.advance(7200 * waited)

    core.parts.reconciler.go_on(0.0)

    assert (position(core)["id"] == begun) is is_same


def test_a_call_goes_on_with_its_own_round_for_an_hour_whatever_the_interval_is() -> None:
    core = indexed(DOCUMENTS, every(7200))
    interrupted(core)
    core.clock.advance(3601)

    assert run(core).resumed == 0


def held_up(core: Core) -> None:
    """A round that has taken a step; then so much is written that the next pieces wait."""
    core.parts.reconciler.go_on(0.0)
    core.put(item=ItemId(("docs",), "waits"))


def test_a_round_that_waits_for_the_outbox_is_gone_on_with_whenever_that_ends() -> None:
    # Given a round on its way, and an outbox that is full for three hours
    core = indexed(DOCUMENTS, every(300, max_pending=1))
    held_up(core)
    before = position(core)
    for _ in range(36):
        core.clock.advance(300)
        assert core.parts.reconciler.go_on(0.0) is None
    # Then it is where it was, and was given back
    assert position(core) == {**before, "updated_at": core.clock()}
    assert core.database.lease(LEASE, "another", LEASE_TIME)
    core.database.release(LEASE, "another")
    # When the outbox is empty, then it goes on
    settle(core)
    core.parts.reconciler.go_on(0.0)
    assert position(core)["id"] == before["id"]
    assert position(core)["counts"] != before["counts"]


def test_waiting_makes_no_old_round_young_and_none_where_there_is_none() -> None:
    core = indexed(DOCUMENTS, every(300, max_pending=1))
    core.put(item=ItemId(("docs",), "waits"))
    assert core.parts.reconciler.go_on(0.0) is None
    assert core.database.state("reconcile.beat") is None
    settle(core)
    held_up(core)
    before = position(core)
    core.clock.advance(3601)

    assert core.parts.reconciler.go_on(0.0) is None

    assert position(core) == before


def test_a_waiting_piece_leaves_alone_the_round_that_another_process_is_at() -> None:
    core = indexed(DOCUMENTS, every(300, max_pending=1))
    held_up(core)
    before = position(core)
    core.clock.advance(300)
    assert core.database.lease(LEASE, "another", LEASE_TIME)

    assert core.parts.reconciler.go_on(0.0) is None

    assert position(core) == before


def test_an_engine_that_asks_all_the_time_stores_a_round_that_waits_once_a_minute() -> None:
    core = indexed(DOCUMENTS, every(300, max_pending=1))
    held_up(core)
    core.db.calls.clear()
    for _ in range(59):
        core.clock.advance(1)
        assert core.parts.reconciler.go_on(0.2) is None
    assert not {"set_state", "lease"} & set(core.db.calls)

    core.clock.advance(1)
    assert core.parts.reconciler.go_on(0.2) is None

    assert core.db.calls.count("set_state") == 1
    assert position(core)["updated_at"] == core.clock()


def test_a_waiting_piece_stores_nothing_while_the_clock_is_refused() -> None:
    core = indexed(DOCUMENTS, every(300, max_pending=1))
    held_up(core)
    before = position(core)
    ahead = core.other(SettableClock(core.clock() + 600 * SECOND))

    with pytest.raises(ClockSkew):
        ahead.reconciler.go_on(0.0)

    assert position(core) == before
    assert core.database.lease(LEASE, "another", LEASE_TIME), "it was given back"
