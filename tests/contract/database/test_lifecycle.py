"""Connecting, setting up and closing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scylla_store.clock import SECOND
from scylla_store.errors import StoreClosed
from tests.contract.database.rows import cells, item, put, write
from tests.contract.database.subject import Subject


def test_setup_may_run_again_and_at_once(subject: Subject) -> None:
    row = put(item(), subject.now())
    write(subject.database, row)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(subject.open().setup) for _ in range(4)]:
            done.result()
    subject.database.setup()

    assert cells(subject.database, row.id) is not None


def test_closing_twice_leaves_no_thread_and_ends_the_use(subject: Subject) -> None:
    before = set(threading.enumerate())
    database = subject.open()
    database.setup()
    write(database, put(item(), subject.now()))

    database.close()
    database.close()

    assert set(threading.enumerate()) <= before
    for use in (database.connect, database.ping, lambda: database.read([item()]), lambda: database.outbox.summary(1)):
        with pytest.raises(StoreClosed):
            use()  # type: ignore[operator]
    with pytest.raises(StoreClosed), database.writing([item()]):
        pass


def test_it_is_pinged(subject: Subject) -> None:
    assert 0 < subject.database.ping() < 5


def test_its_clock_is_told_where_it_has_one(subject: Subject) -> None:
    reading = subject.database.clock()

    if subject.has_one_writer:
        assert reading is None
        return
    assert reading is not None
    assert abs(reading.now - subject.now()) < 5 * SECOND
    assert list(reading.nodes.values()) == [0]


def test_threads_write_and_read_at_once(subject: Subject) -> None:
    ids = [item(f"k{number}") for number in range(200)]

    def write_and_read(of: object) -> bool:
        row = put(of, subject.now())  # type: ignore[arg-type]
        write(subject.database, row)
        return cells(subject.database, row.id).body == row.body  # type: ignore[union-attr]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, ids))
    assert len(subject.database.read(ids)) == 200
