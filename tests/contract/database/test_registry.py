"""Namespaces, dead letters, leases and named values."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from scylla_store.database.base import Database, Registration
from scylla_store.identity import Namespace, item_digest, sort_key
from scylla_store.letters import DeadLetter
from tests.contract.database.rows import cells, item, letter, put, write
from tests.contract.database.subject import Subject
from tests.contract.test_isolation import hostile_namespaces


def listed(database: Database, prefix: Namespace, *, page: int = 1000) -> list[Namespace]:
    found: list[Namespace] = []
    while rows := database.namespaces(prefix, after=found[-1] if found else None, limit=page):
        assert len(rows) <= page
        found += [row.namespace for row in rows]
    return found


def test_hostile_namespaces_are_listed_in_order_and_under_whole_labels_only(subject: Subject) -> None:
    # Given namespaces that look alike
    root = uuid.uuid4().hex
    namespaces = [(root, *namespace) for namespace in hostile_namespaces(274, seed=5)]
    strangers = [(f"{root}\0",), (f"{root}x", "a"), (f"{root}\0", "a"), (root[:-1],), (root[:-1], root[-1])]

    subject.database.register([*namespaces, *strangers], now=1000)

    # Then all of a prefix are listed, in order, in pages of any size
    expected = sorted(namespaces, key=sort_key)
    assert listed(subject.database, (root,)) == expected
    assert listed(subject.database, (root,), page=19) == expected
    # And under each of them exactly those that begin with its labels
    for prefix in namespaces[::9]:
        below = [namespace for namespace in expected if namespace[: len(prefix)] == prefix]
        assert listed(subject.database, prefix) == below
    everything = listed(subject.database, ())
    assert everything == sorted(everything, key=sort_key)
    assert {*namespaces, *strangers} <= set(everything)
    for namespace in [*namespaces, *strangers]:
        subject.database.unregister(Registration(namespace, 1000))


def test_a_page_may_begin_after_a_namespace_that_is_not_listed(database: Database) -> None:
    root = uuid.uuid4().hex
    database.register([(root, "a"), (root, "c")], now=1)

    def after(namespace: Namespace) -> list[Namespace]:
        return [row.namespace for row in database.namespaces((root,), after=namespace, limit=10)]

    assert after((root, "b")) == [(root, "c")]
    assert after((root,)) == [(root, "a"), (root, "c")]
    assert after((root[:-1],)) == [(root, "a"), (root, "c")]
    assert after((root, "c")) == []


def test_a_namespace_that_was_listed_again_stays_listed(database: Database) -> None:
    namespace = (uuid.uuid4().hex,)
    database.register([namespace], now=100)
    [seen] = database.namespaces(namespace, after=None, limit=1)
    assert seen == Registration(namespace, 100)

    database.register([namespace], now=200)
    database.register([namespace], now=150)
    database.unregister(seen)

    [again] = database.namespaces(namespace, after=None, limit=1)
    assert again.seen_at == 200
    database.unregister(again)
    assert database.namespaces(namespace, after=None, limit=1) == []
    database.register([], now=300)


def buried(database: Database, *letters: DeadLetter) -> list[DeadLetter]:
    for one in letters:
        database.bury(one)
    return sorted(letters, key=lambda one: one.id)


def all_letters(database: Database, page: int) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    while rows := database.letters(after=found[-1].id if found else None, limit=page):
        assert len(rows) <= page
        found += rows
    return found


def test_letters_are_listed_by_id_and_read_one_by_one(database: Database) -> None:
    letters = buried(database, *(letter(item("é\0"), 100 + number, message=f"why {number} 😀") for number in range(40)))

    for page in (7, 1000):
        found = all_letters(database, page)
        assert [one for one in found if one in letters] == letters
        assert found == sorted(found, key=lambda one: one.id)
    assert database.letter(letters[0].id) == letters[0]
    assert database.letter("0" * 32) is None
    assert database.letter("") is None
    database.exhume([(one.item, one.timestamp) for one in letters])
    assert not set(letters) & set(all_letters(database, 1000))


def test_the_newer_letter_of_an_item_stays(database: Database) -> None:
    of = item()
    newer, older = letter(of, 200), letter(of, 100, message="older")

    buried(database, newer, older)

    assert database.letter(newer.id) == newer
    discarded = replace(newer, discarded=True, timestamp=201)
    database.bury(discarded)
    assert database.letter(newer.id) == discarded
    database.exhume([(of, 201)])


def test_a_letter_goes_with_its_mark_but_never_a_newer_one(database: Database) -> None:
    row = put(item(), 1000)
    write(database, row)
    first, second = letter(row.id, 2000), letter(row.id, 3000)
    database.bury(first)
    database.bury(second)

    database.exhume([(row.id, first.timestamp)])
    assert database.letter(second.id) == second
    assert cells(database, row.id).letter is not None  # type: ignore[union-attr]

    database.exhume([(row.id, second.timestamp), (item(), 1)])
    assert database.letter(second.id) is None
    assert cells(database, row.id).letter is None  # type: ignore[union-attr]


def test_a_letter_that_comes_after_a_newer_one_was_taken_away_stays_away(database: Database) -> None:
    row = put(item(), 1000)
    write(database, row)
    database.bury(letter(row.id, 3000))
    database.exhume([(row.id, 3000)])

    database.bury(letter(row.id, 2000))

    assert database.letter(item_digest(row.id)) is None
    assert cells(database, row.id).letter is None  # type: ignore[union-attr]


def test_an_item_without_a_row_can_have_a_letter(database: Database) -> None:
    of = item()
    database.bury(letter(of, 100))

    found = cells(database, of)
    assert found is not None
    assert (found.version, found.head) == (0, None)
    with database.writing([of]) as writing:
        assert writing.heads == {}
    database.exhume([(of, 100)])
    assert cells(database, of) is None


def test_a_lease_has_one_owner_until_it_is_over(subject: Subject) -> None:
    database, name = subject.database, uuid.uuid4().hex

    assert database.lease(name, "a", 60)
    assert not database.lease(name, "b", 60)
    assert database.lease(name, "a", 60)
    subject.pass_time(61)
    assert database.lease(name, "b", 60)
    assert not database.lease(name, "a", 60)


def test_only_its_owner_gives_a_lease_back(database: Database) -> None:
    name = uuid.uuid4().hex
    assert database.lease(name, "a", 60)

    database.release(name, "b")
    assert not database.lease(name, "b", 60)
    database.release(name, "a")
    database.release(name, "a")

    assert database.lease(name, "b", 60)


def test_of_many_who_want_a_lease_one_gets_it(database: Database) -> None:
    name = uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda owner: database.lease(name, str(owner), 60), range(8)))
    assert sum(taken) == 1


def test_of_many_who_want_a_lease_that_is_over_one_gets_it(subject: Subject) -> None:
    name = uuid.uuid4().hex
    assert subject.database.lease(name, "before", 60)
    subject.pass_time(61)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda owner: subject.database.lease(name, str(owner), 60), range(8)))
    assert sum(taken) == 1


def test_a_named_value_is_the_last_one_that_was_stored(database: Database) -> None:
    name = uuid.uuid4().hex
    assert database.state(name) is None

    database.set_state(name, b"\0first")
    database.set_state(name, b"")
    assert database.state(name) == b""
    database.set_state(name, b"\xff" * 10_000)

    assert database.state(name) == b"\xff" * 10_000
    assert database.state(name + "x") is None


def test_of_many_first_values_of_a_name_one_is_stored_and_told_to_all(database: Database) -> None:
    # Given a name that has none
    name = uuid.uuid4().hex
    # When many store one at the same time
    with ThreadPoolExecutor(8) as pool:
        told = set(pool.map(lambda number: database.first_state(name, b"%d" % number), range(8)))
    # Then all are told the same, which is stored, and stays
    assert told == {database.state(name)}
    assert {database.first_state(name, b"later")} == told
