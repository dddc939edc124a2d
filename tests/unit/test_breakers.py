"""Circuit breakers: open after outages in a row, one try after a while, and nobody waits in between."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from scylla_store.breakers import Breaker, BreakingIndex
from scylla_store.errors import (
    BadVector,
    EmbeddedIndexBusy,
    EmbedderBusy,
    EmbedderUnavailable,
    IndexRefused,
    IndexThrottled,
    IndexUnavailable,
    StoreClosed,
    StoreError,
    TransientError,
)
from scylla_store.index.base import IndexSpecification, Question
from scylla_store.index.memory import MemoryIndex
from scylla_store.settings.options import BreakerSettings

PATIENCE = 20.0


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Case:
    """A breaker that opens after three outages for ten seconds."""

    def __init__(self) -> None:
        self.clock = Seconds()
        self.events: list[str] = []
        settings = BreakerSettings(failures=3, reset=10.0)
        self.breaker = Breaker("index", "The vector index", IndexUnavailable, settings, self.clock, self.events.append)

    def call(self, error: BaseException | None = None) -> str:
        """A call that fails so, or not; returns what the caller saw."""
        try:
            with self.breaker.calling():
                if error is not None:
                    raise error
        except BaseException as exc:  # noqa: BLE001 - it is what the test looks at
            return "asked" if exc is error else f"refused: {exc}"
        return "asked"

    def open(self) -> None:
        for _ in range(3):
            self.call(IndexUnavailable("connection refused"))

    @property
    def state(self) -> str:
        return self.breaker.circuit.state


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_circuit_opens_after_so_many_outages_in_a_row_and_then_nobody_is_asked(case: Case) -> None:
    # Given two outages, an answer, and two more outages
    for error in (IndexUnavailable(), IndexUnavailable(), None, IndexUnavailable(), IndexUnavailable()):
        assert case.call(error) == "asked"
    assert case.state == "closed"
    # When a third one follows
    assert case.call(IndexUnavailable("connection refused")) == "asked"
    # Then calls fail without asking, and say why and until when
    assert case.state == "open"
    case.clock.now += 4
    assert case.call() == (
        "refused: The vector index is not asked, its circuit is open and is tried again in 6.0 s: "
        "IndexUnavailable: connection refused"
    )
    assert case.events == ["opened", "refused"]


def test_what_is_raised_while_it_is_open_is_transient_and_of_the_dependencys_class(case: Case) -> None:
    case.open()

    with pytest.raises(IndexUnavailable) as failure, case.breaker.calling():
        raise AssertionError("asked")

    assert isinstance(failure.value, TransientError)


@pytest.mark.parametrize(
    "error",
    [
        IndexRefused(), IndexThrottled(), BadVector(), EmbeddedIndexBusy(), EmbedderBusy(), StoreClosed(),
        RuntimeError("bad text"), KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_refusals_throttling_bad_documents_and_what_this_machine_says_open_nothing(
    case: Case, error: BaseException
) -> None:
    for _ in range(50):
        case.call(error)

    assert (case.state, case.breaker.circuit.failures) == ("closed", 0)


@pytest.mark.parametrize("error", [IndexUnavailable(), EmbedderUnavailable()], ids=lambda error: type(error).__name__)
def test_outages_of_both_dependencies_count(case: Case, error: StoreError) -> None:
    for _ in range(3):
        case.call(error)

    assert case.state == "open"


def test_the_first_call_after_the_pause_tries_it_and_all_others_fail_at_once_meanwhile(case: Case) -> None:
    # Given an open circuit whose pause is over
    case.open()
    case.clock.now += 10
    # When one call is at it
    with case.breaker.calling():
        assert case.state == "half-open"
        # Then others in the same moment are not let through
        assert case.call() == (
            "refused: The vector index is not asked, its circuit is open and is being tried again now: "
            "IndexUnavailable: connection refused"
        )
    # And when it was answered, all are
    assert case.state == "closed"
    assert case.call() == "asked"
    assert case.events == ["opened", "refused", "closed"]


def test_many_threads_at_the_half_open_circuit_are_one_request(case: Case) -> None:
    case.open()
    case.clock.now += 10
    asked, refused = [], []
    together, release = threading.Barrier(8), threading.Event()

    def call() -> None:
        together.wait(PATIENCE)
        try:
            with case.breaker.calling():
                asked.append(1)
                release.wait(PATIENCE)
        except IndexUnavailable:
            refused.append(1)
            if len(refused) == 7:
                release.set()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(asked), len(refused)) == (1, 7)


def test_a_try_that_fails_keeps_it_open_for_as_long_again(case: Case) -> None:
    case.open()
    case.clock.now += 10

    assert case.call(IndexUnavailable("still away")) == "asked"

    assert case.breaker.circuit.retry_in == 10.0
    assert "still away" in case.call()
    case.clock.now += 10
    assert case.call() == "asked"
    assert case.state == "closed"


@pytest.mark.parametrize("error", [StoreClosed(), EmbedderBusy(), KeyboardInterrupt(), RuntimeError("a bug")], ids=repr)
def test_a_try_that_says_nothing_leaves_the_next_call_to_try(case: Case, error: BaseException) -> None:
    case.open()
    case.clock.now += 10

    case.call(error)

    assert case.state == "open"
    assert case.call() == "asked"
    assert case.state == "closed"


def test_an_answer_to_a_call_from_before_does_not_close_it(case: Case) -> None:
    # Given a slow call that was sent before the outages
    with case.breaker.calling():
        case.open()

    assert case.state == "open"


def test_outages_of_calls_from_before_do_not_prolong_it(case: Case) -> None:
    case.open()
    case.clock.now += 9
    mine = pytest.raises(IndexUnavailable)
    # Given a call that was let through before it opened and fails now
    late = Case()
    with mine, late.breaker.calling():
        late.open()
        late.clock.now += 9
        raise IndexUnavailable("late")

    assert late.breaker.circuit.retry_in == 1.0


def test_no_lock_is_held_during_a_call(case: Case) -> None:
    # Given a call that hangs
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        with case.breaker.calling():
            entered.set()
            release.wait(PATIENCE)

    thread = threading.Thread(target=hang)
    thread.start()
    assert entered.wait(PATIENCE)
    # Then another one is answered
    assert case.call() == "asked"
    release.set()
    thread.join()


def test_a_child_begins_with_a_closed_circuit_also_when_the_fork_happens_during_a_call(case: Case) -> None:
    case.open()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        os.write(writer, f"{case.state} {case.call()}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)

    assert os.read(reader, 100).decode() == "closed asked"
    os.close(reader)
    assert case.state == "open"


def _requests(index: BreakingIndex) -> dict[str, Callable[[], Any]]:
    return {
        "connect": index.connect,
        "points_of": lambda: index.points_of(["a"]),
        "without_vector": lambda: index.without_vector(["a"]),
        "vectors": lambda: index.vectors([("a", "b")]),
        "upsert": lambda: index.upsert([], at_most=1),
        "delete": lambda: index.delete([("a", "b")]),
        "query": lambda: index.query([Question([1.0], None, 0, 1)]),
        "count": lambda: index.count(prefix=None, now=0),
        "slices": lambda: index.slices(range(4), after=None, limit=1),
        "first_points": lambda: index.first_points(prefix=None, now=0, limit=1),
    }


@pytest.mark.parametrize("name", sorted(_requests(BreakingIndex(MemoryIndex(), Case().breaker))))
def test_every_request_to_the_index_goes_through_the_breaker(case: Case, name: str) -> None:
    index = BreakingIndex(MemoryIndex(), case.breaker)
    case.open()

    with pytest.raises(IndexUnavailable, match="is not asked"):
        _requests(index)[name]()


def test_setup_and_ping_ask_in_any_case(case: Case) -> None:
    index = BreakingIndex(MemoryIndex(), case.breaker)
    case.open()

    index.setup(IndexSpecification(2, "m"))
    assert index.ping() >= 0
    assert case.state == "open"
