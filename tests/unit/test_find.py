"""`find`: what the index knows, in an order, as it is now."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Find, IndexUnavailable, Put, Settings, ValidationError
from scylla_store.cursors import to_cursor
from scylla_store.index.memory import MemoryIndex
from scylla_store.settings.options import ChunkingSettings, EmbedderSettings, IndexSettings, LimitSettings
from scylla_store.testing import FailingEmbedder, TestingStore
from tests.unit.core import Hooked, raises

NS = ("docs",)

Make = Callable[..., TestingStore]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes stores on one folder; each closes the one before."""
    made: list[TestingStore] = []

    def make(most: int = 10_000, ranges: tuple[str, ...] = ("year",), **options: Any) -> TestingStore:
        for store in made:
            store.close()
        settings = Settings(
            embedder=EmbedderSettings(name="hashing"),
            limits=LimitSettings(max_scanned=most),
            index=IndexSettings(range_fields=ranges),
            chunking=ChunkingSettings(unit="characters", size=50, overlap=0),
        )
        made.append(TestingStore(tmp_path, settings=settings, **options))
        return made[-1]

    yield make
    for store in made:
        store.close()


def keys(store: TestingStore, **options: Any) -> list[str]:
    """Keys of the first page."""
    return [item.key for item in store.find(NS, **options).items]


def walked(store: TestingStore, **options: Any) -> list[list[str]]:
    """Keys of all pages."""
    pages, cursor = [], None
    while True:
        page = store.find(NS, cursor=cursor, **options)
        pages.append([item.key for item in page.items])
        assert page.cursor is None or page.cursor != cursor, "it goes on"
        cursor = page.cursor
        if cursor is None:
            return pages


def test_what_changed_last_comes_first(make: Make) -> None:
    store = make()
    for key in "abc":
        store.put(NS, key, {"text": "tea"})
        store.clock.advance(1)
    store.put(NS, "a", {"text": "more tea"}, wait=0)

    assert keys(store) == ["a", "c", "b"]
    assert keys(store, order_by="$created_at") == ["a", "b", "c"]
    assert keys(store, order_by="-$created_at", limit=2) == ["c", "b"]
    assert keys(store, order_by="$version") == ["b", "c", "a"]
    assert store.find(NS).items[0] == store.get(NS, "a")


def test_a_document_comes_once_whatever_the_number_of_its_chunks(make: Make) -> None:
    store = make()
    store.put(NS, "long", {"text": "tea and more tea. " * 60})
    store.put(NS, "none", {"n": 1}, wait=0)

    assert walked(store, limit=1, order_by="$created_at") == [["long"], ["none"]]


def test_what_is_not_in_the_index_is_not_found(make: Make) -> None:
    store = make()
    store.put(NS, "a", {"text": "tea"}, wait=0)
    store.put(NS, "hidden", {"text": "tea"}, index=False, wait=0)
    store.put(NS, "late", {"text": "tea"})

    assert keys(store) == ["a"]
    assert [item.key for item in store.list(NS).items] == ["a", "hidden", "late"]
    store.drain()
    assert keys(store) == ["late", "a"]


def test_only_what_lies_under_the_prefix_is_found(make: Make) -> None:
    store = make()
    for namespace in (NS, ("docs", "alice"), ("docs2",), ("other", "docs")):
        store.put(namespace, "/".join(namespace), {"text": "tea"}, wait=0)

    assert keys(store) == ["docs/alice", "docs"]
    assert len(store.find(()).items) == 4


def test_a_field_orders_numbers_then_text_then_what_has_neither(make: Make) -> None:
    store = make()
    years: dict[str, Any] = {
        "a": 1990, "b": "2020-01-31", "c": 1989.5, "d": None, "e": "2020-02", "f": [1], "g": -3, "h": 10**400, "i": True,
    }  # fmt: skip
    store.put_many([Put(NS, key, {"text": "tea", "year": year}) for key, year in years.items()], wait=0)
    store.put(NS, "j", {"text": "tea"}, wait=0)

    ascending, descending = keys(store, order_by="year"), keys(store, order_by="-year")

    assert ascending[:6] == ["g", "c", "a", "h", "b", "e"]
    assert descending[:6] == ["e", "b", "h", "a", "c", "g"]
    assert sorted(ascending[6:]) == ["d", "f", "i", "j"]
    assert ascending[6:] == descending[6:]


def test_a_document_that_says_too_much_for_filters_has_its_place_all_the_same(make: Make) -> None:
    store = make()
    store.put_many([Put(NS, str(year), {"text": "tea", "year": year}) for year in (1, 3)])
    store.put(NS, "2", {"text": "tea", "year": 2, **{f"field{at}": at for at in range(600)}}, wait=0)

    assert keys(store, order_by="year") == ["1", "2", "3"]
    assert keys(store, order_by="year", filter={"field7": 7}) == ["2"]


def test_an_item_matches_as_it_is_now_and_not_as_it_was_indexed(make: Make) -> None:
    store = make()
    store.put_many([Put(NS, key, {"text": "tea", "lang": "en"}) for key in "abc"], wait=0)
    store.put(NS, "a", {"text": "tea", "lang": "de"})
    store.delete(NS, "b")

    assert keys(store, filter={"lang": "en"}) == ["c"]
    assert sorted(keys(store)) == ["a", "c"]
    assert keys(store, filter={"lang": "de"}) == []
    store.drain()
    assert keys(store, filter={"lang": "de"}) == ["a"]


def test_an_item_expires_at_its_microsecond(make: Make) -> None:
    store = make()
    store.put(NS, "mortal", {"text": "tea"}, ttl=10, wait=0)
    assert keys(store) == ["mortal"]

    store.clock.advance(10)

    assert keys(store) == []


def test_pages_are_filled_although_the_index_knows_what_is_gone(make: Make) -> None:
    # Given documents of which most were deleted since they were indexed
    store = make()
    store.put_many([Put(NS, f"{number:02}", {"text": "tea"}) for number in range(40)], wait=0)
    store.delete_many([(NS, f"{number:02}") for number in range(40) if number % 10])

    # Only what comes behind the last one is not known to be gone
    assert walked(store, limit=2, order_by="$created_at") == [["00", "10"], ["20", "30"], []]


@pytest.mark.parametrize(("most", "pages"), [(4, [["0"], [], ["8"], []]), (100, [["0", "8"]])])
def test_a_call_looks_at_so_many_points_and_goes_on_from_there(make: Make, most: int, pages: list[list[str]]) -> None:
    # Given documents of which the index cannot tell the few that match
    store = make(most=most)
    for number in range(13):
        store.put(NS, str(number), {"text": "tea", "at": [number % 8, 0]})
    store.drain()
    asked = {"at[0]": 0}

    assert walked(store, filter=asked, order_by="$created_at", limit=5) == pages
    # And without a filter a page has what it was asked for
    assert len(keys(store, limit=10)) == 10


def test_a_cursor_goes_on_with_its_own_call_alone(make: Make) -> None:
    store = make()
    store.put_many([Put(NS, key, {"text": "tea", "year": 5}) for key in "abcd"], wait=0)
    cursor = store.find(NS, limit=1, order_by="year").cursor
    listed = store.list(NS, limit=1).cursor
    others: list[dict[str, Any]] = [
        {}, {"order_by": "-year"}, {"order_by": "$version"}, {"order_by": "year", "filter": {"year": 5}},
    ]  # fmt: skip

    assert len(keys(store, order_by="year", cursor=cursor)) == 3
    for options in others:
        with pytest.raises(ValidationError, match="cursor belongs to another call"):
            store.find(NS, cursor=cursor, **options)
    with pytest.raises(ValidationError, match="cursor belongs to another call"):
        store.find(("docs", "a"), order_by="year", cursor=cursor)
    with pytest.raises(ValidationError, match="cursor belongs to another call"):
        store.find(NS, cursor=listed)
    with pytest.raises(ValidationError, match="cursor belongs to another call"):
        store.list(NS, cursor=cursor)


_NOBODY = "00000000-0000-0000-0000-000000000000"
_MADE_UP: list[list[Any]] = [
    [], [None], [None, None], [None, 5], [None, "x"], [None, "\ud800"], [[], _NOBODY], ["", _NOBODY], [{}, _NOBODY],
    [[1, 2], _NOBODY], [[1.5], _NOBODY], [[2**60], _NOBODY], [[True] * 4, _NOBODY], [[2**60] * 4, _NOBODY], [5, _NOBODY],
]  # fmt: skip


@pytest.mark.parametrize("order_by", ["year", "-$updated_at"])
def test_a_cursor_that_somebody_made_up_is_refused(make: Make, order_by: str) -> None:
    store = make()
    store.put(NS, "k", {"text": "tea", "year": 5}, wait=0)

    for position in _MADE_UP:
        with pytest.raises(ValidationError, match="cursor is damaged"):
            store.find(NS, order_by=order_by, cursor=to_cursor(["find", list(NS), order_by, None], position))


@pytest.mark.parametrize(
    ("order_by", "message"),
    [
        ("$created", r"order_by is no field of an item to order by; did you mean \$created_at\?"),
        ("-$key", "order_by is no field of an item to order by"),
        ("$", "order_by is no field of an item to order by"),
        ("price", "order_by: find orders .* index.range_fields names: add 'price', and reconciliation"),
        ("--year", "order_by: .* add '-year'"),
        ("a[*]", r"order_by: .* a path with \[\*\] cannot be among them"),
        ("a..b", "order_by: 'a..b' is wrong at character 3"),
        ("-", "order_by: a path cannot be empty"),
        ("", "order_by has 0 bytes"),
        ("x" * 5000, "order_by has 5000 bytes"),
        (None, "order_by must be a string"),
        (["year"], "order_by must be a string"),
    ],
)
def test_an_order_that_there_is_not_is_refused_and_says_what_to_do(make: Make, order_by: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make().find(NS, order_by=order_by)


def test_a_path_may_be_written_in_several_ways(make: Make) -> None:
    store = make(ranges=(r"\-year", "a.b"))
    store.put_many([Put(NS, str(number), {"-year": number, "a": {"b": -number}}) for number in range(3)], wait=0)

    assert keys(store, order_by=r"\-year") == ["0", "1", "2"]
    assert keys(store, order_by="--year") == ["2", "1", "0"]
    assert keys(store, order_by=r"\a.b") == ["2", "1", "0"]
    cursor = store.find(NS, order_by="a.b", limit=1).cursor
    assert keys(store, order_by=r"\a.b", cursor=cursor) == ["1", "0"]


def test_a_range_that_is_not_declared_is_refused(make: Make) -> None:
    with pytest.raises(ValidationError, match=r"filter: search and find compare by \$gt only"):
        make(ranges=()).find(NS, filter={"year": {"$gt": 5}})


def test_documents_of_an_older_way_come_last_until_they_are_made_anew(make: Make) -> None:
    # Given documents that were indexed when another field was declared in its place
    puts = [Put(NS, str(year), {"text": "tea", "year": year, "other": -year}) for year in range(5)]
    make(ranges=("other",)).put_many(puts, wait=0)
    embedder = FailingEmbedder(times=0)
    store = make(ranges=("year",), embedder=embedder)
    # When one more comes
    store.put(NS, "9", {"year": 9}, wait=0)
    # Then all are found, and that one has a place before the others
    assert keys(store, order_by="year")[0] == "9"
    assert sorted(keys(store, order_by="year")) == ["0", "1", "2", "3", "4", "9"]
    # And in their order once a reconciliation has been round, which embeds nothing
    store.clock.advance(60)
    assert store.reconcile().stale == 5
    assert store.drain() == 0
    store.clock.advance(60)
    assert keys(store, order_by="year") == ["0", "1", "2", "3", "4", "9"]
    assert embedder.calls == []


def test_a_damaged_document_is_reported_and_takes_no_other_one_with_it(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = make()
    store.put_many([Put(NS, key, {"text": "tea"}) for key in "abc"], wait=0)
    with sqlite3.connect(tmp_path / "store.sqlite3") as connection:
        connection.execute("UPDATE items SET body = x'00' WHERE key = 'b'")
    connection.close()

    assert sorted(keys(store)) == ["a", "c"]
    assert "damaged row is left out of a find" in caplog.text


def test_an_index_that_is_down_is_said_as_in_a_search(make: Make) -> None:
    index = Hooked(MemoryIndex())
    store = make(index=index)
    store.setup()
    index.before["first_points"] = lambda: raises(IndexUnavailable("it is down"))

    with pytest.raises(IndexUnavailable, match="it is down"):
        store.find(NS)


def test_a_rebuild_is_said(make: Make, tmp_path: Path) -> None:
    import shutil

    store = make()
    store.put(NS, "a", {"text": "tea"}, wait=0)
    assert store.find(NS).is_rebuilding is False
    store.close()
    shutil.rmtree(tmp_path / "index")

    store = make()

    assert store.find(NS).is_rebuilding is True


def test_a_batch_finds(make: Make) -> None:
    store = make()
    store.put_many([Put(NS, key, {"text": "tea", "year": year}) for key, year in (("a", 2), ("b", 1))], wait=0)

    newest, ordered = store.batch([Find(NS, limit=1), Find(NS, {"year": {"$lt": 3}}, "year")])

    assert len(newest.items) == 1
    assert [item.key for item in ordered.items] == ["b", "a"]
    with pytest.raises(ValidationError, match=r"operations\[0\]\.order_by"):
        store.batch([Find(NS, order_by="price")])
