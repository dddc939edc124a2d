"""Conditional writes: the head is compared and replaced in one step, at a time that the database chooses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from scylla_store.clock import SECOND
from scylla_store.database.base import Database, Refresh
from scylla_store.rows import Cells
from tests.contract.database.rows import cells, delete, item, put, write
from tests.contract.database.subject import Subject, eventually


def settled(database: Database, of: object) -> Cells | None:
    return database.read([of], serial=True).get(of)  # type: ignore[list-item, arg-type]


def test_exactly_the_head_that_was_read_is_replaced(subject: Subject) -> None:
    of, database = item(), subject.database
    first, second, third = (put(of, 0) for _ in range(3))

    assert database.compare_and_set(None, first)
    assert not database.compare_and_set(None, second)
    assert not database.compare_and_set(second.head, third)
    assert database.compare_and_set(first.head, second)
    assert not database.compare_and_set(first.head, third)

    found = settled(database, of)
    assert found is not None
    assert (found.head, found.body) == (second.head, second.body)


def test_versions_of_conditional_writes_grow_and_are_times(subject: Subject) -> None:
    of, database = item(), subject.database
    heads: list[bytes | None] = [None]
    versions = []
    for _ in range(5):
        mutation = put(of, 0)
        assert database.compare_and_set(heads[-1], mutation)
        heads.append(mutation.head)
        versions.append(settled(database, of).version)  # type: ignore[union-attr]

    assert versions == sorted(set(versions))
    assert abs(versions[-1] - subject.now()) < 5 * SECOND


def test_a_plain_write_and_conditional_ones_follow_each_other(subject: Subject) -> None:
    of, database = item(), subject.database
    plain = put(of, subject.now() - SECOND)
    write(database, plain)

    conditional = put(of, 0)
    assert database.compare_and_set(plain.head, conditional)
    assert settled(database, of).head == conditional.head  # type: ignore[union-attr]

    with database.writing([of]) as writing:
        after = put(of, max(subject.now(), writing.floor(of)))
        assert writing.commit([after]) == [None]
    assert cells(database, of) == Cells(of, after.version, after.head, after.body)


def test_a_conditional_delete_leaves_a_head_for_a_while_and_takes_the_refresh_away(subject: Subject) -> None:
    of, database = item(), subject.database
    first, gone, barred = put(of, 0), delete(of, 0, ttl=2), delete(item(), 0)
    assert database.compare_and_set(None, first)
    version = settled(database, of).version  # type: ignore[union-attr]
    database.refresh([Refresh(of, b"granted", version, 60)])

    assert database.compare_and_set(first.head, gone)
    found = settled(database, of)
    assert found == Cells(of, found.version, gone.head)  # type: ignore[union-attr]
    assert database.compare_and_set(None, barred)
    assert settled(database, barred.id).head == barred.head  # type: ignore[union-attr]

    subject.pass_time(3)
    eventually(lambda: settled(database, of) is None)
    again = put(of, 0)
    assert database.compare_and_set(None, again)
    assert settled(database, of).head == again.head  # type: ignore[union-attr]


def test_a_conditional_write_over_a_head_from_the_future_is_applied_and_shadowed(subject: Subject) -> None:
    # Given a head whose time lies ahead of the database's clock
    of, database = item(), subject.database
    ahead = put(of, subject.now() + 2 * SECOND)
    write(database, ahead)

    # When it is replaced conditionally
    conditional = put(of, 0)
    assert database.compare_and_set(ahead.head, conditional)

    # Then the write is applied and yet not there (with one clock, it is)
    found = settled(database, of)
    assert found is not None
    assert found.head == (conditional.head if subject.has_one_writer else ahead.head)

    # And a second one may be applied as well; once that time has passed, it stays
    def is_replaced() -> bool:
        head = settled(database, of).head  # type: ignore[union-attr]
        again = put(of, 0)
        assert database.compare_and_set(head, again)
        return settled(database, of).head == again.head  # type: ignore[union-attr]

    assert is_replaced() == subject.has_one_writer
    subject.pass_time(2)
    eventually(is_replaced)


def test_of_many_conditional_writes_one_is_applied(subject: Subject) -> None:
    of, database = item(), subject.database
    head: bytes | None = None
    for _ in range(3):
        mutations = [put(of, 0) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            applied = list(pool.map(lambda mutation, head=head: database.compare_and_set(head, mutation), mutations))

        [winner] = [mutation for mutation, won in zip(mutations, applied, strict=True) if won]
        head = settled(database, of).head  # type: ignore[union-attr]
        assert head == winner.head
