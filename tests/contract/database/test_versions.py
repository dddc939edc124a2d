"""The write path on each database: which version a write gets, and which writes are refused, whatever the clocks say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from scylla_store.clock import SECOND, VersionClock
from scylla_store.database.base import Database
from scylla_store.errors import ClockSkew
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, Ref
from scylla_store.items import Put
from scylla_store.receipts import Receipt
from scylla_store.registry import Registry
from scylla_store.rows import Row, decode
from scylla_store.settings.options import Settings
from scylla_store.skew import SkewGuard
from scylla_store.writes import Writer
from tests.contract.database.rows import cells, item, put, write
from tests.contract.database.subject import Subject


class Publisher:
    """Leaves everything to the outbox."""

    def __init__(self) -> None:
        self.refs: list[Ref] = []

    def collect(self, refs: list[Ref]) -> list[str | None]:
        self.refs += refs
        return [None for _ in refs]


@dataclass
class Process:
    """The write path of a process whose clock is so many seconds off."""

    database: Database
    clock: Callable[[], int]
    offset: float = 0.0

    def __post_init__(self) -> None:
        self.published = Publisher()
        clock = VersionClock(lambda: self.clock() + int(self.offset * SECOND))
        settings = Settings()
        self._writer = Writer(
            self.database,
            self.published,  # type: ignore[arg-type]
            Registry(self.database, clock.now),
            SkewGuard(self.database, settings.clock, clock.now),
            clock,
            settings,
            None,
        )

    def put(self, of: ItemId, value: Any = 1, *, ttl: float | None = None) -> Receipt:
        return self.put_many([Put(*of, {"value": value}, ttl=ttl)])[0]

    def put_many(self, puts: Sequence[Put]) -> list[Receipt]:
        return self._writer.write([self._writer.check_put(put) for put in puts])

    def delete(self, of: ItemId) -> Receipt:
        return self._writer.write([self._writer.check_delete(*of)])[0]


def process(subject: Subject, offset: float = 0.0) -> Process:
    return Process(subject.database, subject.now, offset)


def row(subject: Subject, of: ItemId) -> Row:
    found = decode(cells(subject.database, of))
    assert found is not None
    return found


def test_the_version_is_the_time_of_the_write(subject: Subject) -> None:
    before = subject.now()
    receipt = process(subject).put(item())

    assert receipt.version is not None
    assert before <= receipt.version <= subject.now()
    assert row(subject, receipt.item).version == receipt.version


def test_versions_grow_while_the_clock_steps_back(subject: Subject) -> None:
    of, writer = item(), process(subject)
    versions = []
    for offset in (0.0, -1.0, -4.0, 0.5, -4.0):
        writer.offset = offset
        versions.append(writer.put(of, offset).version)

    assert versions == sorted(set(versions))  # type: ignore[type-var]
    assert row(subject, of).value() == {"value": -4.0}


def test_of_two_writers_whose_clocks_are_three_seconds_apart_the_later_write_stays(subject: Subject) -> None:
    of = item()
    writers = [process(subject, 1.5), process(subject, -1.5)]
    versions = []
    for number in range(20):
        writer = writers[number % 2]
        receipt = writer.delete(of) if number % 5 == 4 else writer.put(of, number)
        versions.append(receipt.version)
        found = row(subject, of)
        assert found.version == receipt.version
        assert found.head.deleted or found.value() == {"value": number}

    assert versions == sorted(set(versions))  # type: ignore[type-var]


@pytest.mark.parametrize("offset", [-30.0, 30.0])
def test_a_clock_that_is_too_far_off_is_refused_with_the_reason(subject: Subject, offset: float) -> None:
    of, writer = item(), process(subject, offset)
    if subject.has_one_writer:
        assert writer.put(of).version == row(subject, of).version
        return

    with pytest.raises(ClockSkew, match=r"clock is [+-](30|29)\.\d s from the database's.*synchronise"):
        writer.put(of)
    assert cells(subject.database, of) is None

    writer.offset = 0.0
    assert writer.put(of).version == row(subject, of).version


def test_a_head_too_far_ahead_is_refused_with_the_reason(subject: Subject) -> None:
    ahead = put(item(), subject.now() + 60 * SECOND)
    write(subject.database, ahead)
    writer = process(subject)

    if subject.has_one_writer:
        assert writer.put(ahead.id).version == ahead.version + 1
        return
    with pytest.raises(ClockSkew, match=r"lies (60|59)\.\d s in the future"):
        writer.put(ahead.id)
    with pytest.raises(ClockSkew):
        writer.delete(ahead.id)
    assert cells(subject.database, ahead.id).version == ahead.version  # type: ignore[union-attr]


def test_a_head_a_little_ahead_is_exceeded(subject: Subject) -> None:
    ahead = put(item(), subject.now() + 2 * SECOND)
    write(subject.database, ahead)

    assert process(subject).put(ahead.id).version == ahead.version + 1
    assert process(subject, -2.0).delete(ahead.id).version == ahead.version + 2


def test_receipts_say_what_was_there_before(subject: Subject) -> None:
    of, writer = item(), process(subject)

    first, second, gone, again = writer.put(of), writer.put(of), writer.delete(of), writer.put(of)

    assert [(one.created, one.existed) for one in (first, second, gone, again)] == [
        (True, False),
        (False, True),
        (False, True),
        (True, False),
    ]
    assert row(subject, of).head.created_at == again.version
    assert writer.put(of).version != again.version
    assert row(subject, of).head.created_at == again.version


def test_a_delete_of_nothing_is_a_write(subject: Subject) -> None:
    of, writer = item(), process(subject)

    receipt = writer.delete(of)

    assert (receipt.created, receipt.existed) == (False, False)
    found = row(subject, of)
    assert (found.version, found.head.deleted, found.body) == (receipt.version, True, None)
    assert [ref.intent.item for ref in writer.published.refs] == [of]
    assert list(subject.database.outbox.get([receipt.intent])) == [receipt.intent]
    assert writer.put(of).created


def test_a_put_never_inherits_a_ttl_and_files_its_expiry(subject: Subject) -> None:
    of, writer = item(), process(subject)

    mortal = writer.put(of, ttl=1000.0)
    assert row(subject, of).expires_at == mortal.version + 1000 * SECOND  # type: ignore[operator]
    refs = subject.database.outbox.get([ref.intent.key for ref in writer.published.refs])
    assert [entry.intent.kind for entry in refs.values()] == [Kind.WRITE]

    writer.put(of)
    assert row(subject, of).expires_at is None


def test_a_batch_has_receipts_in_its_order_and_the_last_write_of_an_item_stays(subject: Subject) -> None:
    namespace, writer = item().namespace, process(subject)
    puts = [Put(namespace, f"k{number % 150}", {"value": number}) for number in range(200)]
    puts += [Put((*namespace, str(number)), "k", {"value": number}) for number in range(50)]

    receipts = writer.put_many(puts)

    assert [receipt.item for receipt in receipts] == [ItemId(tuple(one.namespace), one.key) for one in puts]
    assert [receipt.version for receipt in receipts[:50]] == [receipt.version for receipt in receipts[150:200]]
    assert len({receipt.version for receipt in receipts}) == 200
    found = {of: decode(one) for of, one in subject.database.read([one.item for one in receipts]).items()}
    last = {ItemId(tuple(one.namespace), one.key): one.value for one in puts}
    assert {of: one.value() for of, one in found.items() if one is not None} == last
    listed = {one.namespace for one in subject.database.namespaces(namespace, after=None, limit=100)}
    assert listed == {tuple(one.namespace) for one in puts}


def test_the_largest_document_is_stored(subject: Subject) -> None:
    of, writer = item(), process(subject)
    text = "x" * (1_048_576 - len('{"value":""}'))

    receipt = writer.put(of, text)

    assert row(subject, of).value() == {"value": text}
    assert list(subject.database.outbox.get([receipt.intent])) == [receipt.intent]
