"""Waiting for the index: what a drain saw before the wait begun says nothing about the writes that are waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from scylla_store import ScyllaStore
from scylla_store.cli.invocation import wait_for_index
from scylla_store.clock import SECOND
from scylla_store.drain import Scope
from scylla_store.settings.options import Settings
from scylla_store.testing import TestingStore
from tests.unit.test_batch import NS, Site

_PATIENCE = 20.0


def seen_by_a_drain(store: TestingStore) -> int:
    """What status says without counting, after a drain."""
    store.parts.drain.run(Scope.DUE)
    return store.status().pending


def test_an_older_summary_that_saw_nothing_is_not_believed(tmp_path: Path) -> None:
    # Given a store whose drain saw nothing, and a write since
    with Site(tmp_path).store as store:
        assert seen_by_a_drain(store) == 0
        store.put(NS, "k", {"text": "tea"})
        store.clock.advance(5)  # type: ignore[attr-defined]
        assert store.status().pending == 0
        # When somebody waits without patience, then the write is pending
        assert wait_for_index(store, 0.0) == 1
        # And when it is indexed, nothing is
        store.drain()
        assert wait_for_index(store, 0.0) == 0


def test_before_the_first_drain_all_are_counted(tmp_path: Path) -> None:
    with Site(tmp_path).store as store:
        store.put(NS, "k", {"text": "tea"})
        assert store.status().age_seconds in (None, 0.0)
        assert wait_for_index(store, 0.0) == 1


class Time:
    """Passes while somebody sleeps; what is to happen then does so when it has come."""

    def __init__(self, store: TestingStore) -> None:
        self._store = store
        self._begun = store.clock()
        self.events: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        return (self._store.clock() - self._begun) / SECOND

    def sleep(self, seconds: float) -> None:
        self._store.clock.advance(seconds)  # type: ignore[attr-defined]
        while self.events and self.events[0][0] <= self.now():
            self.events.pop(0)[1]()


def test_on_a_cluster_figures_change_with_each_drain_and_that_is_waited_for(tmp_path: Path) -> None:
    # Given workers that bring everything to the index, which the drain after the next one sees
    with Site(tmp_path).store as store:
        store.put(NS, "k", {"text": "tea"})
        assert seen_by_a_drain(store) == 1
        time = Time(store)
        time.events = [
            (9.9, lambda: seen_by_a_drain(store)),
            (19.9, store.drain),
            (19.9, lambda: seen_by_a_drain(store)),
        ]
        # When somebody waits, then until nothing is pending
        assert wait_for_index(store, 60.0, sleep=time.sleep, monotonic=time.now) == 0
        assert 19.9 <= time.now() < 21


def test_on_a_cluster_two_drains_that_see_no_change_are_the_end(tmp_path: Path) -> None:
    with Site(tmp_path).store as store:
        store.put(NS, "k", {"text": "tea"})
        assert seen_by_a_drain(store) == 1
        time = Time(store)

        assert wait_for_index(store, 60.0, sleep=time.sleep, monotonic=time.now) == 1

        assert 25 <= time.now() < 26


def test_in_embedded_mode_nothing_moves_when_nothing_does_for_five_seconds(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as store:
        store.put(NS, "k", {"text": "tea"})
        time = Time(store)

        assert wait_for_index(store, 60.0, sleep=time.sleep, monotonic=time.now) == 1

        assert 5 <= time.now() < 6


class HeldModel:
    """An embedder that works on a text until it may end."""

    name, dimensions = "held", 2

    def __init__(self) -> None:
        self.is_at_work = threading.Event()
        self.may_end = threading.Event()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.is_at_work.set()
        assert self.may_end.wait(_PATIENCE)
        return [[1.0, 0.0] for _ in texts]


def test_in_embedded_mode_a_model_that_takes_long_is_waited_for(tmp_path: Path) -> None:
    # Given a store whose thread is at work on a text, for longer than nothing may move
    model = HeldModel()
    with ScyllaStore(Settings(path=str(tmp_path)), embedder=model) as store:
        receipt = store.put(NS, "k", {"text": "tea"})
        assert model.is_at_work.wait(_PATIENCE)
        passed: list[float] = []

        def sleep(seconds: float) -> None:
            passed.append(seconds)
            if len(passed) == 30:
                model.may_end.set()
                receipt.wait(_PATIENCE)

        # When somebody waits for the index, then until that is done
        assert wait_for_index(store, 60.0, sleep=sleep, monotonic=lambda: float(len(passed))) == 0
        assert len(passed) == 30


def test_in_embedded_mode_the_first_load_of_a_model_is_waited_for(tmp_path: Path) -> None:
    # Given a store whose model is just being loaded
    model = HeldModel()
    loads = threading.Event()

    def load() -> HeldModel:
        loads.set()
        assert model.may_end.wait(_PATIENCE)
        return model

    with ScyllaStore(Settings(path=str(tmp_path)), embedder=load) as store:
        receipt = store.put(NS, "k", {"text": "tea"})
        assert loads.wait(_PATIENCE)
        passed: list[float] = []

        def sleep(seconds: float) -> None:
            passed.append(seconds)
            if len(passed) == 30:
                model.may_end.set()
                receipt.wait(_PATIENCE)

        assert wait_for_index(store, 60.0, sleep=sleep, monotonic=lambda: float(len(passed))) == 0
