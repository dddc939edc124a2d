"""Reading ahead: once, in another thread, for whoever asks for the same."""

from __future__ import annotations

import threading

import pytest

from scylla_store.errors import IndexUnavailable
from scylla_store.reconcile.ahead import Ahead


class Source:
    """Answers with what it was asked, and remembers it and the threads that asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[int] = set()

    def read(self, number: int) -> int:
        self.asked.append(number)
        self.threads.add(threading.get_ident())
        if number < 0:
            raise IndexUnavailable("it is down")
        return number


def test_what_was_begun_is_read_once_and_not_in_the_thread_that_takes_it() -> None:
    source, ahead = Source(), Ahead(2)
    ahead.start(source.read, 7)
    assert ahead.take(source.read, 7) == 7
    assert source.asked == [7]
    assert threading.get_ident() not in source.threads


def test_what_was_not_begun_is_read_when_it_is_asked_for() -> None:
    source, ahead = Source(), Ahead(2)
    ahead.start(source.read, 7)
    assert ahead.take(source.read, 8) == 8


def test_so_many_reads_are_under_way_at_most_and_those_before_what_is_taken_are_forgotten() -> None:
    source, ahead = Source(), Ahead(2)
    # Given more than may be begun
    for number in (7, 8, 9):
        ahead.start(source.read, number)
    assert ahead.take(source.read, 8) == 8
    # When a place is free again
    ahead.start(source.read, 9)
    # Then what was begun is read once, and what nobody wanted is read anew
    assert [ahead.take(source.read, 9), ahead.take(source.read, 7)] == [9, 7]
    assert sorted(source.asked) == [7, 7, 8, 9]


def test_an_answer_is_taken_once() -> None:
    source, ahead = Source(), Ahead(2)
    ahead.start(source.read, 7)
    assert [ahead.take(source.read, 7), ahead.take(source.read, 7)] == [7, 7]
    assert source.asked == [7, 7]


def test_what_reading_raised_is_raised_where_it_is_taken() -> None:
    source, ahead = Source(), Ahead(2)
    ahead.start(source.read, -1)
    with pytest.raises(IndexUnavailable, match="it is down"):
        ahead.take(source.read, -1)


def test_disabled_it_reads_in_the_thread_that_asks() -> None:
    source, ahead = Source(), Ahead(0)
    ahead.start(source.read, 7)
    assert source.asked == []
    assert ahead.take(source.read, 7) == 7
    assert source.threads == {threading.get_ident()}


def test_closed_it_begins_nothing_more() -> None:
    source, ahead = Source(), Ahead(2)
    ahead.start(source.read, 7)
    ahead.close()
    ahead.start(source.read, 8)
    assert source.asked == [7]
    assert ahead.take(source.read, 8) == 8


def test_closing_it_waits_for_what_is_under_way() -> None:
    # Given a read that does not end yet
    answered, ended, gate = list[int](), list[list[int]](), threading.Event()
    ahead = Ahead(1)

    def read(number: int) -> None:
        gate.wait()
        answered.append(number)

    ahead.start(read, 7)

    def close() -> None:
        ahead.close(patience=60)
        ended.append(list(answered))

    # When
    closing = threading.Thread(target=close)
    closing.start()
    gate.set()
    closing.join()

    # Then
    assert ended == [[7]]


def test_closing_it_leaves_what_does_not_end() -> None:
    gate = threading.Event()
    ahead = Ahead(1)
    ahead.start(gate.wait)
    ahead.close(patience=0)
    gate.set()
