"""Reading by key, and by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scylla_store.cursors import to_cursor
from scylla_store.errors import ClockSkew, ScanLimitReached, ValidationError
from scylla_store.filters import parse_filter
from scylla_store.identity import ItemId, Namespace
from scylla_store.reconcile.resyncing import resync
from scylla_store.rows import Cells
from scylla_store.settings.options import LimitSettings, Settings
from tests.unit.core import ITEM, START, Core, SettableClock

MINUTE = 60_000_000


def test_a_clock_that_is_far_off_grants_no_time() -> None:
    # Given an item with a TTL, and a process whose clock is a minute ahead
    core = Core()
    core.put(ttl=3600.0)
    fast = core.other(SettableClock(START + MINUTE)).reader
    # When it wants to grant the item its time again
    with pytest.raises(ClockSkew):
        fast.get(*ITEM, refresh_ttl=True)
    # Then the item has the time that it had, and can be read
    before = core.elsewhere.reader.get(*ITEM)
    assert before is not None
    assert fast.get(*ITEM) == before
    # And a right clock grants it
    core.clock.advance(1800)
    after = core.elsewhere.reader.get(*ITEM, refresh_ttl=True)
    assert after is not None
    assert after.expires_at is not None
    assert before.expires_at is not None
    assert (after.expires_at - before.expires_at).total_seconds() == 1800


@pytest.mark.parametrize("asked", [None, {"text": {"$exists": True}}], ids=["all", "filtered"])
@pytest.mark.parametrize("elsewhere", [("others",), ("docs",), ("docs", "ab"), ("docs", "b", "a")])
def test_a_cursor_that_somebody_made_up_does_not_lead_out_of_the_prefix(
    elsewhere: Namespace, asked: dict[str, object] | None
) -> None:
    # Given a document of somebody else
    core = Core()
    core.put("nobody's business", ItemId(elsewhere, "k"))
    # When a cursor says that a page under another prefix ended just before it
    where = parse_filter(asked)
    call = ["list", ["docs", "a"], *([] if where is None else [where.digest])]
    cursor = to_cursor(call, [list(elsewhere), "a"])
    # Then it is refused
    with pytest.raises(ValidationError, match="cursor is damaged"):
        core.parts.reader.page(("docs", "a"), cursor=cursor, where=where)


# -- a page without a filter


@pytest.fixture
def bounded() -> Core:
    """One that looks at 10 rows in a call."""
    return Core(settings=Settings(limits=LimitSettings(max_scanned=10)))


def walk(core: Core, prefix: tuple[str, ...] = (), **options: Any) -> Iterator[tuple[list[str], int]]:
    """Keys of each page, and the reads it took, to the end."""
    cursor, is_last = None, False
    while not is_last:
        core.db.calls.clear()
        page = core.parts.reader.page(prefix, cursor=cursor, **options)
        cursor, is_last = page.cursor, page.cursor is None
        yield [item.key for item in page.items], core.db.calls.count("keys")


def test_a_page_looks_at_so_many_deleted_rows_and_the_next_one_goes_on(bounded: Core) -> None:
    for number in range(35):
        bounded.put(item=ItemId(("a",), f"{number:02}"))
        bounded.delete(ItemId(("a",), f"{number:02}"))
    bounded.put(item=ItemId(("b",), "kept"))

    assert [keys for keys, _ in walk(bounded, limit=1)] == [[], [], [], ["kept"]]


def test_expired_rows_are_looked_at_too(bounded: Core) -> None:
    for number in range(10):
        bounded.put(item=ItemId(("a",), f"{number:02}"), ttl=5)
    bounded.put(item=ItemId(("a",), "kept"))
    bounded.clock.advance(6)

    assert [keys for keys, _ in walk(bounded, limit=1)] == [[], ["kept"]]


def test_a_page_of_live_documents_is_full_whatever_one_call_looks_at(bounded: Core) -> None:
    names = [f"{number:02}" for number in range(40)]
    for name in names:
        bounded.put(item=ItemId(("a",), name))

    assert [keys for keys, _ in walk(bounded, limit=20)] == [names[:20], names[20:]]


def test_what_is_deleted_behind_the_last_document_makes_no_other_page(bounded: Core) -> None:
    for name in ("a", "b", "c"):
        bounded.put(item=ItemId(("a",), name))
    bounded.delete(ItemId(("a",), "b"))
    bounded.delete(ItemId(("a",), "c"))

    assert [keys for keys, _ in walk(bounded, limit=1)] == [["a"]]


@pytest.mark.parametrize("where", [None, {}], ids=["all", "filtered"])
def test_a_call_looks_into_so_many_empty_namespaces(bounded: Core, where: dict[str, object] | None) -> None:
    # Given namespaces that are listed, and hold nothing any more
    bounded.database.register([("n", f"{number:02}") for number in range(35)], now=START)
    bounded.put(item=ItemId(("n", "z"), "kept"))

    pages = list(walk(bounded, ("n",), limit=1, where=parse_filter(where)))

    assert [keys for keys, _ in pages] == [[], [], [], ["kept"]]
    assert max(reads for _, reads in pages) <= 12


def test_a_count_with_a_filter_looks_into_so_many_empty_namespaces(bounded: Core) -> None:
    bounded.database.register([("n", f"{number:02}") for number in range(11)], now=START)

    with pytest.raises(ScanLimitReached):
        bounded.parts.reader.count_some((), parse_filter({}))  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["count", "count_some", "page", "resync"])
def test_what_a_call_holds_at_once_is_bounded_in_bytes(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given documents of 1,000 bytes, of which five are all that fits in memory
    core, read = Core(), list[int]()
    for number in range(50):
        core.put("x" * 1000, ItemId(("a",), f"{number:02}"))
    for module in ("reads", "reconcile.resyncing"):
        monkeypatch.setattr(f"scylla_store.{module}.SCAN_BYTES", 5000)
    keys, nothing = core.database.keys, parse_filter({"$key": "none"})

    def watched(*args: Any, **options: Any) -> list[Cells]:
        found = keys(*args, **options)
        read.append(len(found))
        return found

    monkeypatch.setattr(core.database, "keys", watched)
    reader = core.parts.reader
    calls: dict[str, Callable[[], Any]] = {
        "count": lambda: reader.count(("a",)),
        "count_some": lambda: reader.count_some(("a",), nothing),  # type: ignore[arg-type]
        "page": lambda: len(reader.page(("a",), limit=1, where=nothing).items),
        "resync": lambda: resync(core.database, reader, core.clock, ("a",)),
    }
    # When all of them are read
    assert calls[call]() == (50 if call in ("count", "resync") else 0)
    # Then never more than those are there
    assert (max(read), sum(read)) == (5, 50)


def test_large_documents_behind_a_deleted_one_are_read_in_pages_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scylla_store.reads.SCAN_BYTES", 5000)
    core = Core()
    names = [f"{number:02}" for number in range(50)]
    for name in names:
        core.put("x" * 1000, ItemId(("a",), name))
    core.delete(ItemId(("a",), "00"))

    assert [name for keys, _ in walk(core, limit=7) for name in keys] == names[1:]
    assert [name for keys, _ in walk(core, limit=500) for name in keys] == names[1:]


def test_deleted_rows_take_few_reads_whatever_the_limit_is() -> None:
    core = Core()
    for number in range(500):
        core.put(item=ItemId(("a",), f"{number:03}"))
        core.delete(ItemId(("a",), f"{number:03}"))

    assert [keys for keys, reads in walk(core, limit=1) if reads <= 10] == [[]]
