"""Waiting for the index: what a drain saw before the wait begun says nothing about the writes that are waited for."""

from __future__ import annotations

from pathlib import Path

from scylla_store.cli.invocation import wait_for_index
from scylla_store.drain import Scope
from scylla_store.testing import TestingStore
from tests.unit.test_batch import NS, Site


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
