"""Rows: what is written is read, and of two writes the same one always stays."""

from __future__ import annotations

import itertools
import os
import tracemalloc
import uuid
from dataclasses import replace

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.base import Database, Mutation, Position, Refresh
from scylla_store.identity import ItemId, item_digest
from scylla_store.rows import Cells, Head, stamp
from tests.contract.database.rows import cells, delete, filed, intent, item, letter, put, write
from tests.contract.database.subject import Subject, eventually
from tests.contract.test_isolation import hostile_namespaces

HOSTILE_KEYS = (
    "a", "b", "aa", "a\0", "\0", "\0a", "a\0b", ".", "/", "%", "_", "*", "'", '"', "\\", ";--", " ", "  ", "\n", "é", "e\N{COMBINING ACUTE ACCENT}",
    "z", "Z", "ß", "ss", "\N{GREEK SMALL LETTER OMEGA}", "\uffff", "\ue000", "\U0001f600", "\U0010ffff", "\x7f", "\x80", "0", "00", "null", "k" * 1024,
)  # fmt: skip


def test_what_was_written_is_read_cell_by_cell(subject: Subject) -> None:
    mutation = put(item(), subject.now())

    write(subject.database, mutation)

    expected = Cells(mutation.id, mutation.version, mutation.head, mutation.body)
    assert subject.database.read([mutation.id]) == {mutation.id: expected}
    assert subject.database.read([mutation.id], serial=True) == {mutation.id: expected}
    assert subject.database.read([mutation.id], body=False) == {mutation.id: replace(expected, body=None)}


def test_a_read_of_many_leaves_out_what_is_not_there(subject: Subject) -> None:
    stored = [put(item(f"k{number}"), subject.now()) for number in range(150)]
    same = [put(ItemId(stored[0].id.namespace, f"s{number}"), subject.now()) for number in range(350)]
    write(subject.database, *stored, *same)
    ids = [mutation.id for mutation in [*stored, *same]]

    found = subject.database.read([*ids, *ids[:10], item(), ItemId(stored[0].id.namespace, "absent")])

    assert {of: row.body for of, row in found.items()} == {row.id: row.body for row in [*stored, *same]}
    assert subject.database.read([]) == {}


def test_the_heads_before_a_write_and_the_version_to_exceed(subject: Subject) -> None:
    first, second = put(item("a"), subject.now()), item("b")
    write(subject.database, first)

    with subject.database.writing([first.id, second, first.id]) as writing:
        assert writing.heads == {first.id: Cells(first.id, first.version, first.head)}
        assert writing.floor(first.id) == first.version + 1
        assert writing.floor(second) == (first.version + 1 if subject.has_one_writer else 0)


def test_without_commit_nothing_is_written(database: Database) -> None:
    of = item()

    with database.writing([of]):
        pass

    assert database.read([of]) == {}
    write(database, put(of, 1))


def test_a_write_that_fails_in_between_writes_nothing_and_stops_nobody(database: Database) -> None:
    of = item()

    with pytest.raises(KeyError), database.writing([of]):
        raise KeyError

    write(database, put(of, 1))


LOW, HIGH = b"\x01" * 16, b"\x02" * 16


@pytest.mark.parametrize("first_wins", [True, False])
@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (lambda of, now: put(of, now + 1), lambda of, now: put(of, now)),
        (lambda of, now: delete(of, now + 1), lambda of, now: put(of, now)),
        (lambda of, now: put(of, now + 1), lambda of, now: delete(of, now)),
        (lambda of, now: put(of, now, write_id=HIGH), lambda of, now: put(of, now, write_id=LOW)),
        (lambda of, now: delete(of, now, write_id=LOW), lambda of, now: put(of, now, write_id=HIGH)),
        (lambda of, now: delete(of, now, write_id=HIGH), lambda of, now: put(of, now, write_id=LOW)),
    ],
    ids=["puts", "late put", "late delete", "puts at once", "delete at once", "delete at once, larger"],
)
def test_of_two_writes_the_same_one_wins_all_cells_in_any_order(
    subject: Subject, winner: object, loser: object, first_wins: bool
) -> None:
    # Given two writes that did not see each other
    of, now = item(), subject.now()
    winning, losing = winner(of, now), loser(of, now)  # type: ignore[operator]
    # When they arrive in either order
    for mutation in (winning, losing) if first_wins else (losing, winning):
        write(subject.database, mutation)
    # Then the later one stays, and of two at the same time always the same
    assert cells(subject.database, of) == Cells(of, winning.version, winning.head, winning.body)


def test_a_delete_of_nothing_leaves_a_head_for_a_while(subject: Subject) -> None:
    bar = delete(item(), subject.now(), ttl=5)

    write(subject.database, bar)
    assert cells(subject.database, bar.id) == Cells(bar.id, bar.version, bar.head)

    subject.pass_time(5)
    eventually(lambda: subject.database.read([bar.id]) == {})
    assert subject.database.keys(bar.id.namespace, after=None, limit=10) == []
    with subject.database.writing([bar.id]) as writing:
        assert writing.heads == {}


def test_a_put_after_a_delete_brings_the_item_back_for_good(subject: Subject) -> None:
    of, now = item(), subject.now()
    write(subject.database, put(of, now))
    write(subject.database, delete(of, now + 1, ttl=1))

    again = put(of, now + 2)
    write(subject.database, again)

    subject.pass_time(2)
    other = delete(item(), subject.now(), ttl=1)
    write(subject.database, other)
    subject.pass_time(2)
    eventually(lambda: cells(subject.database, other.id) is None)
    assert cells(subject.database, of) == Cells(of, again.version, again.head, again.body)


def test_an_expired_row_is_deleted_at_its_own_version_and_never_a_newer_one(subject: Subject) -> None:
    # Given an expired row, and a worker that is about to delete it at its version
    of, now = item(), subject.now()
    expired = put(of, now)
    clean = replace(delete(of, now), head=Head(expired.head[:16], now, deleted=True).encode())
    write(subject.database, expired)
    write(subject.database, clean)
    assert cells(subject.database, of) == Cells(of, now, clean.head)
    # When a put comes, and the delete again
    newer = put(of, now + 1)
    write(subject.database, newer)
    write(subject.database, clean)
    # Then the put stays
    assert cells(subject.database, of) == Cells(of, newer.version, newer.head, newer.body)


def test_a_refresh_touches_neither_head_nor_body_and_the_later_one_stays(subject: Subject) -> None:
    row = put(item(), subject.now())
    write(subject.database, row)
    filed_with = intent(row.id, row.version, due=row.version + 30 * SECOND)

    subject.database.refresh([Refresh(row.id, b"second", row.version + 2, 60, (filed_with,))])
    subject.database.refresh([Refresh(row.id, b"first", row.version + 1, 60)])

    assert cells(subject.database, row.id) == Cells(row.id, row.version, row.head, row.body, b"second")
    assert list(subject.database.outbox.get([filed_with.key])) == [filed_with.key]


def test_several_refreshes_are_written_together_each_with_its_intents(subject: Subject) -> None:
    rows = [put(item(), subject.now()) for _ in range(40)]
    write(subject.database, *rows)
    filed_with = [intent(row.id, row.version, due=row.version + 30 * SECOND) for row in rows]

    subject.database.refresh(
        [
            Refresh(row.id, row.head[:16], row.version + 1, 60, (filed,))
            for row, filed in zip(rows, filed_with, strict=True)
        ]
    )
    subject.database.refresh([])

    assert [cells(subject.database, row.id).refresh for row in rows] == [row.head[:16] for row in rows]  # type: ignore[union-attr]
    assert len(subject.database.outbox.get([filed.key for filed in filed_with])) == 40


def test_a_refresh_is_gone_after_its_ttl(subject: Subject) -> None:
    row = put(item(), subject.now())
    write(subject.database, row)
    subject.database.refresh([Refresh(row.id, b"granted", row.version + 1, 1)])

    subject.pass_time(1)

    eventually(lambda: cells(subject.database, row.id) == Cells(row.id, row.version, row.head, row.body))


def test_a_delete_takes_the_refresh_away_and_an_older_one_stays_away(subject: Subject) -> None:
    row = put(item(), subject.now())
    write(subject.database, row)
    subject.database.refresh([Refresh(row.id, b"granted", row.version + 1, 60)])
    gone = delete(row.id, row.version + 5)

    write(subject.database, gone)
    subject.database.refresh([Refresh(row.id, b"late", row.version + 4, 60)])
    subject.database.refresh([Refresh(row.id, b"at once", row.version + 5, 60)])

    assert cells(subject.database, row.id) == Cells(row.id, gone.version, gone.head)


@pytest.mark.parametrize("size", [60_000, 1_048_576])
def test_a_document_above_the_limit_of_a_batch_is_stored_with_its_intents(subject: Subject, size: int) -> None:
    large = filed(put(item(), subject.now(), value=os.urandom(size // 2).hex().encode()))
    small = filed(put(ItemId(large.id.namespace, "small"), subject.now()))

    write(subject.database, small, large)

    assert cells(subject.database, large.id) == Cells(large.id, large.version, large.head, large.body)
    keys = [intent.key for mutation in (small, large) for intent in mutation.intents]
    assert set(subject.database.outbox.get(keys)) == set(keys)
    [first, second] = subject.database.keys(large.id.namespace, after=None, limit=2)
    assert (first.body, second.body) == (large.body, small.body)


def _in_one_namespace(now: int) -> list[Mutation]:
    namespace = item().namespace
    return [filed(put(ItemId(namespace, f"k{number}"), now + number)) for number in range(1000)]


def _in_many_namespaces(now: int) -> list[Mutation]:
    return [filed(put(item(f"k{number}"), now + number)) for number in range(1000)]


def _mixed(now: int) -> list[Mutation]:
    namespaces = [item().namespace for _ in range(7)]
    mixed = []
    for number in range(300):
        of = ItemId(namespaces[number % 7], f"k{number}")
        mixed.append(filed(delete(of, now) if number % 3 == 0 else put(of, now, value=b'"%s"' % (b"x" * number * 40))))
    return mixed


@pytest.mark.parametrize("make", [_in_one_namespace, _in_many_namespaces, _mixed])
def test_a_thousand_writes_at_once_are_all_stored_with_their_intents(subject: Subject, make: object) -> None:
    mutations = make(subject.now())  # type: ignore[operator]

    write(subject.database, *mutations)

    expected = {row.id: Cells(row.id, row.version, row.head, row.body) for row in mutations}
    assert subject.database.read(list(expected)) == expected
    intents = {intent.key: intent for row in mutations for intent in row.intents}
    stored = subject.database.outbox.get(list(intents))
    assert {key: entry.intent for key, entry in stored.items()} == intents


def test_pages_of_hostile_keys_are_in_the_order_of_their_bytes(subject: Subject) -> None:
    namespace = item().namespace
    rows = {key: put(ItemId(namespace, key), subject.now()) for key in HOSTILE_KEYS}
    write(subject.database, *rows.values())

    found: list[Cells] = []
    while page := subject.database.keys(namespace, after=found[-1].id.key if found else None, limit=7):
        assert len(page) <= 7
        found += page

    expected = sorted(HOSTILE_KEYS, key=str.encode)
    assert found == [Cells(rows[key].id, rows[key].version, rows[key].head, rows[key].body) for key in expected]
    assert set(subject.database.read([row.id for row in rows.values()])) == {row.id for row in rows.values()}


def test_a_page_of_keys_ends_when_its_bodies_are_large_enough_and_the_next_goes_on_there(subject: Subject) -> None:
    namespace = item().namespace
    rows = [put(ItemId(namespace, f"k{number}"), subject.now(), value=b'"%s"' % (b"x" * 1000)) for number in range(9)]
    write(subject.database, *rows)

    pages: list[list[Cells]] = []
    while page := subject.database.keys(
        namespace, after=pages[-1][-1].id.key if pages else None, limit=7, max_bytes=2500
    ):
        pages.append(page)

    assert [len(page) for page in pages] == [3, 3, 3]
    assert [found.body for page in pages for found in page] == [row.body for row in rows]


def test_a_page_has_deleted_heads_and_leaves_out_rows_without_a_head(subject: Subject) -> None:
    namespace = item().namespace
    rows = {key: ItemId(namespace, key) for key in "abcd"}
    now = subject.now()
    write(subject.database, put(rows["a"], now), delete(rows["c"], now), put(rows["d"], now))
    subject.database.bury(letter(rows["b"], now))

    assert [found.id.key for found in subject.database.keys(namespace, after=None, limit=2)] == ["a", "c"]
    assert [found.id.key for found in subject.database.keys(namespace, after="a", limit=9)] == ["c", "d"]
    subject.database.exhume([(rows["b"], now)])


def test_items_of_namespaces_that_look_alike_are_never_mixed(subject: Subject) -> None:
    root = item().namespace
    namespaces = [(*root, *namespace) for namespace in hostile_namespaces(274, seed=4)]
    now = subject.now()
    rows = {namespace: put(ItemId(namespace, "k"), now + number) for number, namespace in enumerate(namespaces)}

    write(subject.database, *rows.values())

    for namespace, row in rows.items():
        [found] = subject.database.keys(namespace, after=None, limit=10)
        assert (found.id, found.body) == (row.id, row.body)
    for one, other in itertools.pairwise(namespaces):
        assert item_digest(ItemId(one, "k")) != item_digest(ItemId(other, "k"))


def test_the_mark_of_a_letter_is_a_cell_of_its_own(subject: Subject) -> None:
    row = put(item(), subject.now())
    write(subject.database, row)
    dead = letter(row.id, row.version + 1)

    subject.database.bury(dead)

    mark = stamp(dead.write_id, dead.timestamp)
    assert cells(subject.database, row.id) == Cells(row.id, row.version, row.head, row.body, letter=mark)
    newer = put(row.id, row.version + 2)
    write(subject.database, newer)
    assert cells(subject.database, row.id) == Cells(row.id, newer.version, newer.head, newer.body, letter=mark)
    subject.database.exhume([(row.id, dead.timestamp)])
    assert cells(subject.database, row.id) == Cells(row.id, newer.version, newer.head, newer.body)


def test_a_scan_meets_every_row_once_whatever_its_page_and_goes_on_behind_a_row_that_is_gone(subject: Subject) -> None:
    # Given rows in several namespaces, deleted heads among them
    own = uuid.uuid4().hex
    ids = [ItemId((own, label), f"k{number}") for label in ("a", "a]", "b", "\U0001f600") for number in range(5)]
    ids += [ItemId((own, f"single{number}"), "k") for number in range(7)]
    write(subject.database, *(put(of, subject.now()) for of in ids))
    write(subject.database, delete(ids[3], subject.now() + 1))
    for limit in (1, 2, 3, 7, 100):
        # When they are read page by page
        found: list[ItemId] = []
        after: Position | None = None
        while page := subject.database.scan(after=after, limit=limit):
            assert len(page) <= limit
            assert all(row.head is not None for row in page)
            found += [row.id for row in page]
            after = page[-1].id
        # Then each comes once
        mine = [of for of in found if of.namespace[0] == own]
        assert sorted(mine) == sorted(ids)
    # And a position need not be that of a row, nor of a namespace
    first = subject.database.scan(after=None, limit=1)[0].id
    behind = ItemId(first.namespace, first.key + "\0")
    assert subject.database.scan(after=behind, limit=1) == subject.database.scan(after=first, limit=1)


def test_a_scan_goes_on_behind_a_namespace(subject: Subject) -> None:
    own = uuid.uuid4().hex
    ids = [ItemId((own, label), f"k{number}") for label in ("a", "b") for number in range(5)]
    write(subject.database, *(put(of, subject.now()) for of in ids))
    everything: list[ItemId] = []
    after: Position | None = None
    while page := subject.database.scan(after=after, limit=3):
        everything.append(page[0].id)
        after = (page[0].id.namespace, None)

    mine = [of for of in everything if of.namespace[0] == own]
    assert sorted(mine) == [ids[0], ids[5]]


def test_a_page_of_a_scan_ends_when_its_bodies_are_large_enough(subject: Subject) -> None:
    # Given small documents, and large ones behind them, some alone in their namespaces
    own = uuid.uuid4().hex
    small = [ItemId((own, "a"), f"a{number:03}") for number in range(60)]
    large = [ItemId((own, "a"), f"b{number:03}") for number in range(5)]
    apart = [ItemId((own, "a", f"{number}"), "k") for number in range(5)]
    write(subject.database, *(put(of, subject.now(), value=b'"few"') for of in small))
    for of in large + apart:
        write(subject.database, put(of, subject.now(), value=b'"' + b"m" * 40_000 + b'"'))
    # When they are scanned
    found: list[ItemId] = []
    after: Position | None = None
    while page := subject.database.scan(after=after, limit=1000, max_bytes=70_000):
        # Then no page goes on behind the row that made it large enough
        assert sum(len(row.body or b"") for row in page[:-1]) < 70_000
        found += [row.id for row in page]
        after = page[-1].id
    # And each row comes once
    mine = [of for of in found if of.namespace[0] == own]
    assert sorted(mine) == sorted(small + large + apart)


def test_a_scan_needs_memory_for_its_page_and_not_for_all_that_it_could_have_read(subject: Subject) -> None:
    # Given a namespace of documents of 30 MB together
    own = uuid.uuid4().hex
    for number in range(300):
        write(subject.database, put(ItemId((own,), f"k{number:03}"), subject.now(), value=os.urandom(100_000)))
    # When one page of it is read
    tracemalloc.start()
    try:
        page = subject.database.scan(after=ItemId((own,), "k"), limit=300, max_bytes=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Then the page is small, and so was what was read for it
    assert len(page) == 10
    assert peak < 28_000_000


def test_bodies_come_with_a_scan(subject: Subject) -> None:
    mutation = put(item(), subject.now())
    write(subject.database, mutation)
    after: Position | None = None
    found = []
    while page := subject.database.scan(after=after, limit=50):
        found += [row for row in page if row.id == mutation.id]
        after = page[-1].id
    assert [cells(subject.database, mutation.id)] == found
