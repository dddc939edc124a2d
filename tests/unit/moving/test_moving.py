"""Export and restoring over the stubs: what is read, what is written, and what wins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scylla_store.clock import LAST_MOMENT, SECOND, to_datetime
from scylla_store.database.base import Mutation
from scylla_store.errors import DamagedRow, NewerFormat, StoreError, TombstoneLimit, ValidationError
from scylla_store.filters import parse_filter
from scylla_store.identity import ItemId, Namespace
from scylla_store.intents import Kind
from scylla_store.moving import Export, Restorer, Stored, from_line
from scylla_store.testing import SettableClock, TestingStore
from tests.unit.core import ITEM, OTHER, START, Core, raises

NAMESPACES: list[Namespace] = [("a",), ("a", "b"), ("a\0",), ("b", "\U0001f600"), ("b", "\uffff")]


@pytest.fixture
def core() -> Core:
    return Core()


def exported(core: Core, prefix: Namespace = (), after: ItemId | None = None, **options: Any) -> list[Stored]:
    export = Export(core.db, core.parts.reader, core.clock, prefix, **options)  # type: ignore[arg-type]
    return [from_line(line) for page in export.lines(after) for line in page]


def keys(found: Sequence[Stored]) -> list[tuple[Namespace, str]]:
    return [(tuple(one.namespace), one.key) for one in found]


def put(core: Core, item: ItemId, text: str = "some text", **options: Any) -> None:
    core.elsewhere.registry.register({item.namespace})
    core.put(text, item, **options)


def stored(
    item: ItemId = ITEM, text: str = "old", *, created_at: int = START - 5, expires_at: int | None = None
) -> Stored:
    return Stored(list(item.namespace), item.key, {"text": text}, None, created_at, expires_at)


def restorer(core: Core, *, replaces: bool = False) -> Restorer:
    return Restorer(core.parts.writer, core.clock, replaces=replaces)


def test_all_that_a_reader_sees_comes_in_order_and_from_anywhere(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.walks.PAGE", 2)
    items = [ItemId(namespace, key) for namespace in NAMESPACES for key in ("1", "2", "\uffff", "\U0001f600")]
    for item in reversed(items):
        put(core, item)
    expected = sorted(items, key=lambda item: ([label.encode() for label in item.namespace], item.key.encode()))

    assert keys(exported(core)) == expected
    assert keys(exported(core, ("a",))) == expected[:8]
    for at, item in enumerate(expected):
        assert keys(exported(core, after=item)) == expected[at + 1 :]


def test_deleted_and_expired_documents_are_left_out_and_granted_time_counts(core: Core) -> None:
    put(core, ITEM, ttl=10)
    put(core, OTHER, ttl=5)
    put(core, ItemId(("docs",), "deleted"))
    core.delete(ItemId(("docs",), "deleted"))
    core.clock.advance(4)
    core.elsewhere.reader.get(*ITEM, refresh_ttl=True)
    core.clock.advance(2)

    [found] = exported(core)

    assert (found.key, found.expires_at, found.created_at) == ("k", START + 14 * SECOND, START)


def test_a_filter_chooses(core: Core) -> None:
    put(core, ITEM, "tea")
    put(core, OTHER, "coffee")

    assert keys(exported(core, where=parse_filter({"text": "tea"}))) == [ITEM]
    assert keys(exported(core, where=parse_filter({"$key": "other"}))) == [OTHER]


def test_what_cannot_be_read_ends_it_or_is_left_out_and_told(core: Core) -> None:
    # Given a damaged document, and a namespace that the database gives up at
    put(core, ITEM)
    put(core, OTHER)
    put(core, ItemId(("z",), "k"))
    core.database.write([Mutation(ITEM, START + 60, core.row().head.encode(), b"torn")])  # type: ignore[union-attr]
    with pytest.raises(DamagedRow):
        exported(core)
    told: list[StoreError] = []
    assert keys(exported(core, skips=told.append)) == [OTHER, (("z",), "k")]
    core.db.before["keys"] = lambda: raises(TombstoneLimit("too many"))
    assert keys(exported(core, skips=told.append)) == [(("z",), "k")]
    assert [type(error) for error in told] == [DamagedRow, TombstoneLimit]


def test_a_page_holds_documents_of_a_bounded_size(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.walks.SCAN_BYTES", 5000)
    for number in range(50):
        put(core, ItemId(("docs",), str(number)), "x" * 1000)

    sizes = [len(page) for page in Export(core.db, core.parts.reader, core.clock, ()).lines()]  # type: ignore[arg-type]

    assert sizes == [5] * 10


def test_a_restored_document_has_its_times_is_new_and_is_indexed(core: Core) -> None:
    restored = restorer(core)

    assert restored.write([stored(expires_at=START + SECOND)]) == 1

    row = core.row()
    assert row is not None
    assert (row.head.created_at, row.expires_at, row.version) == (START - 5, START + SECOND, START)
    assert {ref.intent.kind for ref in core.refs()} == {Kind.WRITE, Kind.EXPIRY}
    core.work(*core.refs(Kind.WRITE))
    assert core.versions() == [row.version]


def test_what_is_there_stays_and_what_was_deleted_or_has_expired_there_comes_back(core: Core) -> None:
    # Given a document, a deleted and an expired one
    core.put("newer", ITEM)
    core.put("gone", OTHER)
    core.delete(OTHER)
    past = ItemId(("docs",), "past")
    core.put("past", past, ttl=1)
    core.clock.advance(2)
    # When all are restored
    restored = restorer(core)
    restored.write([stored(ITEM), stored(OTHER), stored(past)])
    # Then only the one that a reader saw is as it was
    assert (restored.stored, restored.kept) == (2, 1)
    assert [core.row(item).value()["text"] for item in (ITEM, OTHER, past)] == ["newer", "old", "old"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("number", "error"), [(2, NewerFormat), (200, DamagedRow)])
def test_a_row_that_this_version_cannot_decode_stays_unless_it_is_to_be_replaced(
    core: Core, number: int, error: type[DamagedRow]
) -> None:
    # Given a document that a newer version wrote, or that is damaged
    core.put("newer", ITEM)
    before = core.row()
    assert before is not None
    head = bytearray(before.head.encode())
    head[16] = number
    core.database.write([Mutation(ITEM, START + 60, bytes(head), before.body)])
    # When it is restored, then it stays, and is counted as kept
    restored = restorer(core)
    restored.write([stored(ITEM), stored(OTHER)])
    assert (restored.stored, restored.kept) == (1, 1)
    with pytest.raises(error):
        core.row()
    # And is replaced when that is asked for
    restored = restorer(core, replaces=True)
    restored.write([stored(ITEM)])
    assert (restored.stored, restored.kept) == (1, 0)
    assert core.row().value() == {"text": "old"}  # type: ignore[union-attr]


def test_when_asked_to_it_replaces_and_brings_its_time_of_creation(core: Core) -> None:
    core.put("newer", ITEM)

    restored = restorer(core, replaces=True)
    restored.write([stored(ITEM)])

    assert (restored.stored, restored.kept) == (1, 0)
    row = core.row()
    assert row is not None
    assert (row.value(), row.head.created_at) == ({"text": "old"}, START - 5)
    assert row.version > START


def test_a_put_that_comes_between_the_look_and_the_write_wins(core: Core) -> None:
    def put_a_moment_later() -> None:
        core.clock.advance(0.001)
        core.put("newer", ITEM)

    core.db.before["commit"] = put_a_moment_later

    restorer(core).write([stored(ITEM)])

    assert core.row().value() == {"text": "newer"}  # type: ignore[union-attr]
    core.work(*core.refs())
    assert core.versions() == [core.row().version]  # type: ignore[union-attr]


def test_what_has_expired_since_the_export_is_left_out(core: Core) -> None:
    restored = restorer(core)

    assert restored.write([stored(expires_at=START), stored(OTHER, expires_at=START + 1)]) == 1

    assert (restored.expired, core.row()) == (1, None)


def test_what_was_created_while_the_clock_was_ahead_is_loaded_again(tmp_path: Path) -> None:
    # Given an embedded store whose clock was a day ahead for one put, so that the next versions, and times of creation, are too
    clock = SettableClock(START + 86_400 * SECOND)
    with (
        TestingStore(tmp_path / "source", clock=clock) as source,
        TestingStore(tmp_path / "target", clock=clock) as target,
    ):
        source.put(("docs",), "while it was ahead", {})
        clock.advance(-86_400)
        source.put(("docs",), "later", {})
        parts = source.parts
        pages = list(Export(parts.database, parts.reader, clock, ()).lines())
        # When it is loaded into another store, and into itself
        for store in (target, source):
            loading = Restorer(store.parts.writer, clock, replaces=True)
            assert loading.write([from_line(line) for page in pages for line in page]) == 2
        # Then the times are the same
        made = [(item.key, item.created_at) for item in target.list(()).items]
        assert made == [
            ("later", to_datetime(START + 86_400 * SECOND + 1)),
            ("while it was ahead", to_datetime(START + 86_400 * SECOND)),
        ]
        # And another write carries them on
        target.put(("docs",), "later", {"again": True})
        assert [(item.key, item.created_at) for item in target.list(()).items] == made


@pytest.mark.parametrize("created_at", [-1, 2**53])
def test_a_time_of_creation_that_cannot_be_is_refused_and_nothing_is_written(core: Core, created_at: int) -> None:
    with pytest.raises(ValidationError, match="created_at must lie between 1970 and 2255"):
        restorer(core).write([stored(OTHER), stored(created_at=created_at)])

    assert core.row(OTHER) is None


def test_an_expiry_that_no_datetime_tells_is_refused_and_nothing_is_written(core: Core) -> None:
    # Given a time that is in 9999 where it was written down, and later in UTC
    line = b'{"namespace":["docs"],"key":"k","value":{},"created_at":"2023-01-01T00:00:00+00:00",'
    late = from_line(line + b'"expires_at":"9999-12-31T23:59:59.999999-12:00"}')

    with pytest.raises(ValidationError, match="expires_at must lie before the year 10000"):
        restorer(core).write([stored(OTHER), late])

    assert core.row(OTHER) is None
    assert restorer(core).write([stored(OTHER, expires_at=LAST_MOMENT)]) == 1


def test_a_second_run_writes_nothing(core: Core) -> None:
    restorer(core).write([stored(ITEM), stored(OTHER)])
    before = core.refs()

    again = restorer(core)
    assert again.write([stored(ITEM), stored(OTHER)]) == 0

    assert again.kept == 2
    assert core.refs() == before
