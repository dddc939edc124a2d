"""The guard: bounded calls, bounded time, and vectors that are vectors."""

from __future__ import annotations

import contextvars
import itertools
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from scylla_store.embedders import GuardedEmbedder, HashingEmbedder
from scylla_store.embedders import guarded as guarded_module
from scylla_store.errors import (
    BadVector,
    ConfigurationError,
    EmbedderBusy,
    EmbedderTimeout,
    EmbedderUnavailable,
    StoreClosed,
)
from scylla_store.settings.options import EmbedderSettings
from scylla_store.testing import HangingEmbedder

SOON = 0.05
LONG = 60.0


class Recording:
    """Vectors of two numbers; remembers the texts of each call."""

    name = "recording"
    dimensions = 2

    def __init__(self, answer: Callable[[list[str]], Any] = lambda texts: [[1.0, 0.0] for _ in texts]) -> None:
        self.calls: list[list[str]] = []
        self._answer = answer

    def embed(self, texts: list[str]) -> Any:
        self.calls.append(texts)
        return self._answer(texts)


def guarded(embedder: Any, timeout: float = LONG, **settings: Any) -> GuardedEmbedder:
    return GuardedEmbedder(embedder, EmbedderSettings(timeout=timeout, **settings))


def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class InThread:
    """A call of an embedder in another thread."""

    def __init__(self, embedder: GuardedEmbedder, text: str = "text") -> None:
        self.answer: Sequence[Sequence[float]] | Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(embedder, text), daemon=True)
        self._thread.start()

    def _run(self, embedder: GuardedEmbedder, text: str) -> None:
        try:
            self.answer = embedder.embed([text])
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            self.answer = exc

    def end(self) -> Any:
        """What it came to."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.answer


@contextmanager
def hanging(timeout: float, **settings: Any) -> Iterator[tuple[GuardedEmbedder, HangingEmbedder]]:
    """An embedder that hangs on "slow", and is released at the end."""
    inner = HangingEmbedder(hang_on=lambda text: text == "slow")
    try:
        yield guarded(inner, timeout, **settings), inner
    finally:
        inner.release.set()


def works(embedder: GuardedEmbedder) -> bool:
    try:
        return len(embedder.embed(["text"])) == 1
    except EmbedderUnavailable:
        return False


# -- the size of a call


@pytest.mark.parametrize(
    ("own", "setting", "sizes"), [(3, 256, [3, 3, 1]), (256, 3, [3, 3, 1]), (7, 256, [7]), (256, 1, [1] * 7)]
)
def test_a_call_has_no_more_texts_than_the_embedder_or_the_settings_allow(
    own: int, setting: int, sizes: list[int]
) -> None:
    inner = Recording()
    inner.max_batch_items = own  # type: ignore[attr-defined]
    embedder = guarded(inner, max_batch_items=setting)

    vectors = embedder.embed([f"text {number}" for number in range(7)])

    assert len(vectors) == 7
    assert [len(call) for call in inner.calls] == sizes
    assert embedder.max_batch_items == min(own, setting)


def test_a_call_has_no_more_bytes_than_allowed_unless_one_text_alone_has_more() -> None:
    inner = Recording()
    inner.max_batch_bytes = 10  # type: ignore[attr-defined]

    guarded(inner).embed(["漢漢", "aaaa", "b", "x" * 11, "\ud800", "c"])

    assert inner.calls == [["漢漢", "aaaa"], ["b"], ["x" * 11], ["\ud800", "c"]]


def test_no_texts_need_no_call() -> None:
    inner = Recording()

    assert guarded(inner).embed([]) == []
    assert inner.calls == []


def test_the_limits_of_the_settings_hold_for_an_embedder_that_names_none() -> None:
    embedder = guarded(Recording(), max_batch_items=5, max_batch_bytes=2048)

    assert (embedder.max_batch_items, embedder.max_batch_bytes) == (5, 2048)


# -- the vectors


def numpy_vectors(texts: list[str]) -> Any:
    import numpy

    return numpy.ones((len(texts), 2), numpy.float32)


@pytest.mark.parametrize(
    "answer",
    [
        numpy_vectors,
        lambda texts: list(numpy_vectors(texts)),
        lambda texts: ((number for number in (1, 1)) for _ in texts),
        lambda texts: tuple((1.0, 1) for _ in texts),
    ],
    ids=["numpy array", "list of numpy arrays", "generators", "tuples"],
)
def test_vectors_of_any_kind_become_lists_of_floats(answer: Callable[[list[str]], Any]) -> None:
    vectors = guarded(Recording(answer)).embed(["a", "b"])

    assert vectors == [[1.0, 1.0], [1.0, 1.0]]
    assert {type(number) for vector in vectors for number in vector} <= {float, int}


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        pytest.param([[1.0, 0.0]], "returned 1 vectors for 2 texts", id="too few"),
        pytest.param([[1.0, 0.0]] * 3, "returned 3 vectors for 2 texts", id="too many"),
        pytest.param([[1.0, 0.0], [1.0]], "returned a vector of 1 numbers; it has 2 dimensions", id="too short"),
        pytest.param([[1.0, 0.0, 0.0]] * 2, "returned a vector of 3 numbers; it has 2 dimensions", id="too long"),
        pytest.param([[1.0, 0.0], [math.nan, 0.0]], "returned a vector with numbers that are not finite", id="NaN"),
        pytest.param([[-math.inf, 0.0]] * 2, "returned a vector with numbers that are not finite", id="infinite"),
        pytest.param([[1e39, 0.0]] * 2, "returned a vector with numbers that are not finite", id="infinite in 32 bits"),
        pytest.param([["x", "y"]] * 2, "returned no list of vectors", id="no numbers"),
        pytest.param([1.0, 0.0], "returned no list of vectors", id="one flat vector"),
        pytest.param(None, "returned no list of vectors", id="None"),
    ],
)
def test_what_is_no_vector_is_refused_for_good_and_names_the_embedder(vectors: Any, reason: str) -> None:
    with pytest.raises(BadVector) as caught:
        guarded(Recording(lambda _: vectors)).embed(["a", "b"])

    assert str(caught.value) == f"The embedder recording {reason}"


def test_a_function_has_the_dimensions_of_its_first_vector() -> None:
    asked: list[list[str]] = []

    def function(texts: list[str]) -> list[list[float]]:
        asked.append(texts)
        return [[1.0, 2.0, 3.0] for _ in texts]

    embedder = guarded(function)
    assert asked == []
    assert embedder.dimensions == 3
    assert embedder.dimensions == 3
    assert len(asked) == 1


@pytest.mark.parametrize("vectors", [[], [[]], [[1.0], [1.0]]])
def test_a_function_whose_dimensions_cannot_be_told_is_refused(vectors: list[list[float]]) -> None:
    def function(texts: list[str]) -> list[list[float]]:
        return vectors

    with pytest.raises(BadVector, match="returned no vector for a text"):
        _ = guarded(function).dimensions


@pytest.mark.parametrize("name", ["", 5])
def test_a_name_that_is_none_is_refused(name: object) -> None:
    inner = Recording()
    inner.name = name  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="name of an embedder"):
        guarded(inner)


# -- what the embedder raises


@pytest.mark.parametrize("error", [EmbedderUnavailable("rate limit"), RuntimeError("bad text"), SystemExit(3)])
def test_an_error_of_the_embedder_passes_through_as_it_is(error: BaseException) -> None:
    def fail(texts: list[str]) -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        guarded(Recording(fail)).embed(["a"])

    assert caught.value is error


def test_after_an_error_the_next_call_is_made() -> None:
    answers = iter([RuntimeError("bad text"), [[1.0, 0.0]]])

    def answer(texts: list[str]) -> Any:
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return given

    embedder = guarded(Recording(answer))
    with pytest.raises(RuntimeError):
        embedder.embed(["a"])

    assert embedder.embed(["a"]) == [[1.0, 0.0]]


def test_the_embedder_sees_the_context_of_its_caller() -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    embedder = guarded(Recording(lambda texts: [[float(tenant.get() == "alice"), 0.0] for _ in texts]))

    token = tenant.set("alice")
    vectors = embedder.embed(["a"])
    tenant.reset(token)

    assert vectors == [[1.0, 0.0]]


# -- time


def test_a_call_that_hangs_is_abandoned_after_its_time(caplog: pytest.LogCaptureFixture) -> None:
    with hanging(SOON) as (embedder, inner), caplog.at_level(logging.WARNING):
        with pytest.raises(EmbedderTimeout) as caught:
            embedder.embed(["slow"])

        assert f"The embedder {inner.name} hangs: a call did not end within 0.05 s" in str(caught.value)
        assert f"A call of the embedder {inner.name} is abandoned in its thread: it did not end within 0.05 s." in (
            caplog.messages
        )


def test_while_an_abandoned_call_hangs_others_fail_at_once_without_a_call() -> None:
    with hanging(SOON) as (embedder, inner):
        with pytest.raises(EmbedderUnavailable):
            embedder.embed(["slow"])

        for _ in range(3):
            with pytest.raises(EmbedderUnavailable, match="until it ends no other is made") as caught:
                embedder.embed(["quick"])
            assert not isinstance(caught.value, EmbedderTimeout), "this one was not even asked"

        assert inner.calls == [["slow"]]


def test_once_the_abandoned_call_has_ended_the_embedder_is_used_again() -> None:
    with hanging(SOON) as (embedder, inner):
        with pytest.raises(EmbedderUnavailable):
            embedder.embed(["slow"])

        inner.release.set()

        until(lambda: works(embedder))


def test_one_call_is_made_at_a_time_and_the_next_waits_for_it() -> None:
    with hanging(LONG) as (embedder, inner):
        first = InThread(embedder, "slow")
        assert inner.hanging.wait(30)
        second = InThread(embedder)

        assert second.answer is None
        assert inner.calls == [["slow"]]
        inner.release.set()

        assert len(first.end()) == len(second.end()) == 1
        assert inner.calls == [["slow"], ["text"]]


def test_of_several_calls_that_come_while_one_hangs_only_that_one_is_left_behind() -> None:
    with hanging(0.3) as (embedder, inner):
        calls = [InThread(embedder, "slow") for _ in range(8)]

        ends = [call.end() for call in calls]
        assert [type(end) for end in ends].count(EmbedderTimeout) == 1
        assert all(isinstance(end, EmbedderUnavailable) for end in ends)
        assert inner.calls == [["slow"]]


def test_a_call_that_does_not_get_its_turn_in_time_says_so_and_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with hanging(LONG) as (embedder, inner):
        # Given a call at work, and a clock by which the next one has waited for its turn too long at its second look
        first = InThread(embedder, "slow")
        assert inner.hanging.wait(30)
        monkeypatch.setattr(guarded_module, "time", SimpleNamespace(monotonic=itertools.count(0, LONG + 1).__next__))

        with pytest.raises(EmbedderBusy, match=r"is busy with other calls for 60 s.*embedder\.concurrency"):
            embedder.embed(["quick"])

        inner.release.set()
        assert len(first.end()) == 1
        assert inner.calls == [["slow"]]


def test_with_more_concurrency_calls_run_beside_each_other() -> None:
    with hanging(LONG, concurrency=2) as (embedder, inner):
        first = InThread(embedder, "slow")
        assert inner.hanging.wait(30)

        assert len(embedder.embed(["quick"])) == 1
        assert first.answer is None


def test_an_abandoned_call_stops_others_whatever_the_concurrency() -> None:
    with hanging(SOON, concurrency=2) as (embedder, inner):
        for text in ("slow", "quick"):
            with pytest.raises(EmbedderUnavailable):
                embedder.embed([text])

        assert inner.calls == [["slow"]]


class SoftTimeLimit(Exception):
    """As Celery raises it in the thread that waits."""


@pytest.fixture
def soft_time_limit() -> Iterator[Callable[[], None]]:
    """Raises SoftTimeLimit in the main thread, once called."""

    def handle(*_: object) -> None:
        raise SoftTimeLimit

    before = signal.signal(signal.SIGUSR1, handle)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_a_call_whose_caller_is_interrupted_is_abandoned_too(soft_time_limit: Callable[[], None]) -> None:
    with hanging(LONG) as (embedder, inner):
        # Given a call that hangs, and one that waits for it
        waiting: list[InThread] = []

        def interrupt() -> None:
            inner.hanging.wait()
            waiting.append(InThread(embedder))
            soft_time_limit()

        threading.Thread(target=interrupt, daemon=True).start()

        # When the first caller is interrupted
        with pytest.raises(SoftTimeLimit):
            embedder.embed(["slow"])

        # Then neither the one that waits nor the next waits any longer
        assert isinstance(waiting[0].end(), EmbedderUnavailable)
        assert isinstance(InThread(embedder).end(), EmbedderUnavailable)
        assert inner.calls == [["slow"]]


def test_a_caller_that_is_interrupted_before_its_call_begins_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = guarded(inner := Recording())

    def interrupted(_: threading.Thread) -> None:
        raise SoftTimeLimit

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(SoftTimeLimit):
            embedder.embed(["a"])

    assert InThread(embedder, "b").end() == [[1.0, 0.0]]
    assert inner.calls == [["b"]]


def test_a_caller_that_is_interrupted_while_its_thread_starts_leaves_no_more_than_that_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with hanging(LONG) as (embedder, inner):
        start = threading.Thread.start

        def interrupted(thread: threading.Thread) -> None:
            start(thread)
            inner.hanging.wait()
            raise SoftTimeLimit

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", interrupted)
            with pytest.raises(SoftTimeLimit):
                embedder.embed(["slow"])

        assert isinstance(InThread(embedder).end(), EmbedderUnavailable)
        inner.release.set()
        until(lambda: works(embedder))


def test_the_dimensions_of_a_function_that_hangs_are_not_waited_for() -> None:
    release = threading.Event()

    def function(texts: list[str]) -> list[list[float]]:
        release.wait()
        return [[1.0] for _ in texts]

    with pytest.raises(EmbedderUnavailable):
        _ = guarded(function, SOON).dimensions
    release.set()


# -- the end


def test_closing_ends_the_waiting_and_names_the_reason() -> None:
    with hanging(LONG) as (embedder, inner):
        running = InThread(embedder, "slow")
        assert inner.hanging.wait(30)
        waiting = InThread(embedder)

        embedder.close()

        assert isinstance(running.end(), StoreClosed)
        assert isinstance(waiting.end(), StoreClosed)


def test_closing_twice_is_fine_and_no_call_is_made_after() -> None:
    inner = Recording()
    embedder = guarded(inner)

    embedder.close()
    embedder.close()

    with pytest.raises(StoreClosed):
        embedder.embed(["a"])
    assert inner.calls == []


def test_calls_that_follow_each_other_share_a_thread_that_closing_ends() -> None:
    # Given an embedder that notes its threads
    threads: list[threading.Thread] = []

    def noting(texts: list[str]) -> list[list[float]]:
        threads.append(threading.current_thread())
        return [[1.0] for _ in texts]

    embedder = guarded(noting)

    # When it is called again once the thread waits for more
    embedder.embed(["a"])
    until(lambda: embedder.embed(["b"]) == [[1.0]] and threads[-1] is threads[-2])

    # Then closing leaves none of them
    embedder.close()
    assert [thread for thread in threads if thread.is_alive()] == []


def test_calls_leave_no_thread_behind() -> None:
    embedder = guarded(HashingEmbedder(4))
    before = threading.active_count()

    for _ in range(20):
        embedder.embed(["a"])

    until(lambda: threading.active_count() <= before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_process_embeds_although_a_call_hangs_in_its_parent() -> None:
    with hanging(SOON) as (embedder, _):
        with pytest.raises(EmbedderUnavailable):
            embedder.embed(["slow"])

        child = os.fork()
        if child == 0:
            os._exit(0 if works(embedder) else 1)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert not works(embedder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_what_was_closed_before_a_fork_is_closed_in_the_child() -> None:
    embedder = guarded(Recording())
    embedder.close()

    child = os.fork()
    if child == 0:
        try:
            embedder.embed(["a"])
        except StoreClosed:
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_a_machine_without_threads_left_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = guarded(Recording())

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _cannot_start)
        with pytest.raises(EmbedderUnavailable, match="can't start new thread"):
            embedder.embed(["a"])

    assert embedder.embed(["a"]) == [[1.0, 0.0]]


def _cannot_start(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
