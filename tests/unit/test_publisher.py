"""The background publisher: coalesces, never blocks, leaves to the outbox what it cannot send."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from scylla_store.errors import BrokerUnavailable
from scylla_store.identity import ItemId
from scylla_store.intents import Intent, IntentKey, Kind, Ref
from scylla_store.publisher import Publisher
from scylla_store.settings.options import PublisherSettings

DEADLINE = 10


def a_ref(number: int) -> Ref:
    key = IntentKey(number, 0, number.to_bytes(16, "big"))
    return Ref(Intent(key, ItemId(("ns",), str(number)), bytes(16), number, Kind.WRITE, number))


class Recording:
    """A dispatcher that keeps what it is sent, and may be told to fail or to wait."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[str]]] = []
        self.down = False
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.gave_up = threading.Event()

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        self.entered.set()
        if not self.go.wait(DEADLINE):
            self.gave_up.set()
            raise BrokerUnavailable
        if self.down:
            raise BrokerUnavailable
        self.sent.append((task_id, [ref.intent.item.key for ref in refs]))

    def backlog(self) -> int | None:
        return None

    def close(self) -> None: ...


@pytest.fixture
def dispatcher() -> Recording:
    return Recording()


@pytest.fixture
def publisher(dispatcher: Recording) -> Iterator[Publisher]:
    made = Publisher(dispatcher, PublisherSettings(batch_size=3, linger_ms=10_000, queue_size=5))
    yield made
    dispatcher.go.set()
    made.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        threading.Event().wait(0.002)


def test_a_full_batch_is_sent_at_once_and_a_part_only_when_it_is_flushed(
    publisher: Publisher, dispatcher: Recording
) -> None:
    # When four refs are collected
    ids = publisher.collect([a_ref(number) for number in range(4)])

    # Then the first three go together, under the id that was told
    until(lambda: dispatcher.sent)
    assert [(ids[0], ["0", "1", "2"])] == dispatcher.sent
    assert ids[0] == ids[1] == ids[2] != ids[3]

    # And the fourth when somebody asks for it
    assert publisher.flush(DEADLINE)
    assert (ids[3], ["3"]) == dispatcher.sent[1]


def test_a_part_of_a_batch_is_sent_after_it_lingered(dispatcher: Recording) -> None:
    publisher = Publisher(dispatcher, PublisherSettings(batch_size=100, linger_ms=1))

    publisher.collect([a_ref(1)])

    until(lambda: dispatcher.sent)
    publisher.close()


def test_collecting_never_waits_and_what_does_not_fit_has_no_task(publisher: Publisher, dispatcher: Recording) -> None:
    # Given a broker that hangs on the first task
    dispatcher.go.clear()
    publisher.collect([a_ref(number) for number in range(3)])
    assert dispatcher.entered.wait(DEADLINE)

    # When more is collected than the queue holds
    ids = publisher.collect([a_ref(number) for number in range(10)])

    # Then five fit
    assert [True] * 5 + [False] * 5 == [task_id is not None for task_id in ids]


def test_a_broker_that_is_down_empties_the_queue_and_is_used_again_when_it_is_back(
    publisher: Publisher, dispatcher: Recording
) -> None:
    dispatcher.down = True
    publisher.collect([a_ref(number) for number in range(5)])
    assert publisher.flush(DEADLINE)
    assert not dispatcher.sent

    dispatcher.down = False
    publisher.collect([a_ref(number) for number in range(3)])

    until(lambda: dispatcher.sent)


def test_where_no_thread_can_be_started_the_outbox_has_it_and_the_next_one_is_sent(
    publisher: Publisher, dispatcher: Recording, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_more_threads)
        assert publisher.collect([a_ref(1)]) == [None]
    assert "cannot be started now" in caplog.text
    assert publisher.collect([a_ref(2)]) != [None]
    assert publisher.flush(DEADLINE)
    assert [keys for _, keys in dispatcher.sent] == [["2"]]


def _no_more_threads(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_close_sends_what_was_collected_and_twice_is_fine(publisher: Publisher, dispatcher: Recording) -> None:
    publisher.collect([a_ref(1)])

    publisher.close()
    publisher.close()

    assert [["1"]] == [keys for _, keys in dispatcher.sent]
    assert [None] == publisher.collect([a_ref(2)])


def test_close_does_not_wait_for_a_broker_that_hangs(publisher: Publisher, dispatcher: Recording) -> None:
    dispatcher.go.clear()
    publisher.collect([a_ref(number) for number in range(4)])
    assert dispatcher.entered.wait(DEADLINE)

    publisher.close(timeout=0.05)

    assert not dispatcher.sent
    assert not dispatcher.gave_up.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_publishes_on_its_own_and_not_what_the_parent_collected(
    publisher: Publisher, dispatcher: Recording
) -> None:
    # Given a ref that the parent has collected but not sent
    publisher.collect([a_ref(1)])
    reader, writer = os.pipe()

    # When a child collects another
    child = os.fork()
    if child == 0:
        publisher.collect([a_ref(2)])
        publisher.close()
        os.write(writer, repr([keys for _, keys in dispatcher.sent]).encode())
        os._exit(0)
    os.waitpid(child, 0)

    # Then each sends its own
    assert b"[['2']]" == os.read(reader, 100)
    assert publisher.flush(DEADLINE)
    assert [["1"]] == [keys for _, keys in dispatcher.sent]
