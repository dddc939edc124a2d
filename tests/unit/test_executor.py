"""The thread that indexes in embedded mode."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from scylla_store.drain import Scope
from scylla_store.errors import StoreClosed
from scylla_store.executor import InProcessExecutor
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, Ref, new_intent


class Idle:
    """An engine with nothing to do."""

    def open(self) -> None:
        """There is no index."""

    def work(self, refs: Sequence[Ref]) -> None:
        raise AssertionError("no task was expected")

    def catch_up(self, scope: Scope) -> None:
        """The outbox is empty."""

    def data_version(self) -> int:
        return 0


def test_what_comes_after_close_is_left_to_the_outbox_without_a_word() -> None:
    # Given a closed executor, whose drain may be in the middle of a run
    executor = InProcessExecutor(Idle)
    executor.close()

    # When it is sent a task
    executor.send([], "task")

    # Then it neither fails nor keeps it
    assert executor.backlog() == 0


def test_where_no_thread_can_be_started_it_closes_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    executor = InProcessExecutor(Idle)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        executor.start()
    assert "cannot be started now" in caplog.text
    executor.close()


def test_a_store_that_is_closed_meanwhile_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    # Given an executor that finds its store closed before it is told
    ended = threading.Event()

    class Closed(Idle):
        def catch_up(self, scope: Scope) -> None:
            threading.current_thread().name = "found out"
            ended.set()
            raise StoreClosed

    executor = InProcessExecutor(Closed)
    executor.start()
    assert ended.wait(30)
    # When its thread is waited for, then it has ended by itself, without a word
    for thread in threading.enumerate():
        if thread.name == "found out":
            thread.join(30)
            assert not thread.is_alive()
    assert caplog.records == []
    executor.close()


def test_a_new_write_is_indexed_before_what_the_drain_has_brought_back() -> None:
    # Given two tasks of a drain that were sent before that of a new write
    intent = new_intent(ItemId(("docs",), "k"), bytes(16), 1, Kind.WRITE, now=1, due=1)
    old, new = Ref(intent, again=True), Ref(intent)
    done: list[Ref] = []
    worked = threading.Event()

    class Working(Idle):
        def open(self) -> None:
            for ref in (old, old, new):
                executor.send([ref], "task")
            assert executor.backlog() == 3

        def work(self, refs: Sequence[Ref]) -> None:
            done.extend(refs)
            if len(done) == 3:
                worked.set()

    executor = InProcessExecutor(Working)

    # When
    executor.start()

    # Then
    assert worked.wait(30)
    assert done == [new, old, old]
    executor.close()


def test_it_looks_at_what_is_due_although_tasks_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an engine whose every task brings the next one
    monkeypatch.setattr("scylla_store.executor.CATCH_UP_WITHIN", 0.01)
    looked = threading.Event()

    class Busy(Idle):
        def work(self, refs: Sequence[Ref]) -> None:
            executor.send([], "next")

        def catch_up(self, scope: Scope) -> None:
            if scope is Scope.DUE:
                looked.set()

    executor = InProcessExecutor(Busy)

    # When
    executor.send([], "first")

    # Then
    assert looked.wait(30)
    executor.close()
