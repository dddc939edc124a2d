"""What a child process makes anew."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from scylla_store.contrib.celery.dispatcher import CeleryDispatcher
from scylla_store.contrib.celery.processes import ProcessStore
from scylla_store.executor import InProcessExecutor
from scylla_store.forks import follow
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.publisher import Publisher
from scylla_store.settings.options import CelerySettings, PublisherSettings, Settings

PATIENCE = 30
CELERY = Settings(celery=CelerySettings(broker_url="memory://"))
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Shared:
    """Something that threads share, with a lock that is held."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        follow(self)

    def after_fork(self) -> None:
        self.lock = threading.Lock()


class Broken:
    def __init__(self) -> None:
        follow(self)

    def after_fork(self) -> None:
        raise RuntimeError("no")


@needs_fork
def test_one_that_fails_leaves_no_other_without_a_new_lock() -> None:
    shared, broken = [Shared() for _ in range(20)], [Broken() for _ in range(20)]

    child = os.fork()
    if child == 0:
        os._exit(sum(one.lock.locked() for one in shared))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert all(one.lock.locked() for one in shared), "the parent's locks stay as they are"
    assert broken


class Counting:
    """A dispatcher that counts what it is sent."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        self.sent += len(refs)

    def backlog(self) -> int:
        return 0

    def close(self) -> None: ...


def no_engine() -> Any:
    raise AssertionError("nothing is to be indexed")


@needs_fork
@pytest.mark.parametrize(
    "make",
    [
        lambda: Publisher(Counting(), PublisherSettings()),
        lambda: InProcessExecutor(no_engine),
        lambda: CeleryDispatcher(CELERY),
        lambda: ProcessStore(CELERY),
    ],
    ids=["publisher", "executor", "dispatcher", "processes"],
)
def test_a_child_begins_with_free_locks_whatever_a_thread_of_the_parent_held(make: Callable[[], object]) -> None:
    # Given a thread that holds every lock
    made = make()
    holding, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold, args=(locks_of(made), holding, done))
    thread.start()
    assert holding.wait(PATIENCE)

    # When the process forks, then no lock is held in the child before anything is used there
    assert in_child(lambda: sum(not lock.acquire(blocking=False) for lock in locks_of(made))) == 0
    done.set()
    thread.join(PATIENCE)


def locks_of(thing: object) -> list[Any]:
    found = [value for value in vars(thing).values() if hasattr(value, "acquire")]
    assert found
    return found


def hold(locks: list[Any], holding: threading.Event, done: threading.Event) -> None:
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(lock)
        holding.set()
        done.wait(PATIENCE)


@needs_fork
def test_threads_that_use_the_publisher_first_after_a_fork_lose_no_ref() -> None:
    # Given a publisher that was in use
    dispatcher = Counting()
    publisher = Publisher(dispatcher, PublisherSettings(linger_ms=1))
    publisher.collect([a_ref()])
    assert publisher.flush(PATIENCE)

    # When threads of children use it first, all at once
    codes = [in_child(lambda: from_threads(publisher, dispatcher)) for _ in range(25)]

    # Then everything that they collect is sent
    assert codes == [0] * 25
    publisher.close()


def from_threads(publisher: Publisher, dispatcher: Counting) -> int:
    """0 when all of them came back and all refs were sent, else 1."""
    sys.setswitchinterval(1e-6)
    threads, dispatcher.sent = 6, 0
    together = threading.Barrier(threads)
    collected: list[str | None] = []

    def collect() -> None:
        together.wait()
        collected.extend(publisher.collect([a_ref()]))

    running = [threading.Thread(target=collect, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(PATIENCE)
    publisher.close(PATIENCE)
    return int(len(collected) != threads or None in collected or dispatcher.sent != threads)


def a_ref() -> Ref:
    return Ref(new_intent(ItemId(("docs",), "k"), bytes(16), 1, Kind.WRITE, now=1, due=2))


def in_child(work: Callable[[], int]) -> int:
    """Its result in a forked child, as the child's exit code."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
