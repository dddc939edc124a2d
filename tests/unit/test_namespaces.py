"""Listing namespaces by what they begin and end with, as deep as wanted, page by page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scylla_store import ANY_LABEL, ScyllaStore, ValidationError
from scylla_store.identity import Namespace, sort_key
from scylla_store.patterns import LabelPattern, Pattern
from scylla_store.settings.options import LimitSettings, Settings
from scylla_store.testing import SettableClock, TestingStore
from tests.unit.core import Core

ALL: list[Namespace] = [
    ("*", "notes"),
    ("docs",),
    ("docs", "api", "v1"),
    ("docs", "api", "v2"),
    ("docs", "guide"),
    ("users", "ann", "notes"),
    ("users", "bob", "notes"),
    ("users", "bob", "notes", "old"),
]
"""In order."""


@pytest.fixture
def store(scylla_store: TestingStore) -> TestingStore:
    for namespace in ALL:
        scylla_store.put(namespace, "k", {"text": "x"})
    return scylla_store


@pytest.mark.parametrize(
    ("prefix", "suffix", "max_depth", "expected"),
    [
        ((), (), None, ALL),
        (("docs",), (), None, ALL[1:5]),
        (("docs",), (), 1, [("docs",)]),
        (("docs",), (), 2, [("docs",), ("docs", "api"), ("docs", "guide")]),
        (("users", ANY_LABEL), (), None, ALL[5:]),
        (("users", ANY_LABEL, "notes"), (), None, ALL[5:]),
        (("users", ANY_LABEL, "notes"), (), 2, [("users", "ann"), ("users", "bob")]),
        ((ANY_LABEL, "api"), (), None, ALL[2:4]),
        ((), ("notes",), None, [ALL[0], *ALL[5:7]]),
        ((), ("notes", ANY_LABEL), None, [ALL[7]]),
        ((), (ANY_LABEL, "notes"), None, [ALL[0], *ALL[5:7]]),
        (("users",), ("notes",), 1, [("users",)]),
        (("docs",), (ANY_LABEL,) * 2, None, ALL[2:5]),
        (("docs", ANY_LABEL, ANY_LABEL, ANY_LABEL), (), None, []),
        ((), (ANY_LABEL,) * 5, None, []),
        (("*",), (), None, [("*", "notes")]),
        (("users", "*"), (), None, []),
    ],
)
def test_labels_are_given_or_any(
    store: TestingStore,
    prefix: Sequence[LabelPattern],
    suffix: Sequence[LabelPattern],
    max_depth: int | None,
    expected: list[Namespace],
) -> None:
    assert store.list_namespaces(prefix, suffix, max_depth=max_depth).items == expected
    assert walked(store, prefix, suffix, max_depth, limit=1) == expected


def walked(
    store: ScyllaStore, prefix: Sequence[LabelPattern], suffix: Sequence[LabelPattern], depth: int | None, limit: int
) -> list[Namespace]:
    """All pages."""
    found: list[Namespace] = []
    cursor = None
    while True:
        page = store.list_namespaces(prefix, suffix, max_depth=depth, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


LABELS = st.sampled_from(["a", "b", "*", "\ud7ff", "\U0001f600"])
NAMESPACES = st.lists(LABELS, min_size=1, max_size=4).map(tuple)
PATTERNS = st.lists(st.one_of(LABELS, st.just(ANY_LABEL)), max_size=3).map(tuple)


@given(
    st.sets(NAMESPACES, max_size=12),
    PATTERNS,
    PATTERNS,
    st.none() | st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 5),
)
def test_pages_together_show_what_a_loop_over_all_would(
    namespaces: set[Namespace],
    prefix: tuple[LabelPattern, ...],
    suffix: tuple[LabelPattern, ...],
    depth: int | None,
    limit: int,
    scanned: int,
) -> None:
    core = Core(settings=Settings(limits=LimitSettings(max_scanned=scanned)))
    core.database.register(namespaces, now=0)
    reader = core.elsewhere.reader

    found: list[Namespace] = []
    cursor = None
    for _ in itertools.count():
        page = reader.list_namespaces(prefix, suffix, max_depth=depth, limit=limit, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break

    matching = [one for one in sorted(namespaces, key=sort_key) if fits(prefix, one) and fits(suffix[::-1], one[::-1])]
    assert found == list(dict.fromkeys(one[:depth] for one in matching))


def fits(pattern: Sequence[LabelPattern], namespace: Namespace) -> bool:
    """Whether it begins so, told label by label."""
    if len(pattern) > len(namespace):
        return False
    return all(wanted is ANY_LABEL or wanted == namespace[at] for at, wanted in enumerate(pattern))


def test_a_page_ends_after_so_many_namespaces_looked_at_and_the_next_goes_on_there() -> None:
    # Given many namespaces that do not match, before one that does
    core = Core(settings=Settings(limits=LimitSettings(max_scanned=50)))
    core.database.register({("tenant", f"{number:03}", "x") for number in range(99)} | {("tenant", "zzz", "y")}, now=0)
    # When the one is asked for
    first = core.elsewhere.reader.list_namespaces(("tenant",), ("y",))
    second = core.elsewhere.reader.list_namespaces(("tenant",), ("y",), cursor=first.cursor)
    # Then the first page is empty and says that it is not the last
    assert (first.items, second.items, second.cursor) == ([], [("tenant", "zzz", "y")], None)


def test_what_a_page_ended_in_the_middle_of_is_not_shown_again() -> None:
    # Given a page that ends after two of the namespaces that look alike when they are cut
    core = Core(settings=Settings(limits=LimitSettings(max_scanned=2)))
    core.database.register({("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")}, now=0)
    first = core.elsewhere.reader.list_namespaces(max_depth=1)
    second = core.elsewhere.reader.list_namespaces(max_depth=1, cursor=first.cursor)
    assert (first.items, second.items) == ([("a",)], [("b",)])


def test_any_label_and_a_star_are_not_the_same_for_a_cursor(store: TestingStore) -> None:
    cursor = store.list_namespaces((ANY_LABEL,), limit=1).cursor
    with pytest.raises(ValidationError, match="another call"):
        store.list_namespaces(("*",), limit=1, cursor=cursor)


def test_any_label_is_no_label(store: TestingStore) -> None:
    assert repr(ANY_LABEL) == "ANY_LABEL"
    with pytest.raises(ValidationError, match=r"namespace\[1\]"):
        store.put(("docs", ANY_LABEL), "k", {})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"prefix\[0\]"):
        store.list((ANY_LABEL,))  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=r"suffix\[1\]"):
        Pattern.of((ANY_LABEL, ""), "suffix")


def test_a_namespace_that_has_left_the_list_is_listed_again_when_it_is_written_to(
    scylla_store: TestingStore, scylla_store_clock: SettableClock
) -> None:
    # Given a namespace that was empty for so long that a reconciliation has taken it off the list
    scylla_store.put(("docs",), "k", {})
    scylla_store.delete(("docs",), "k", wait=0.0)
    scylla_store_clock.advance(4 * 3600)
    scylla_store.reconcile()
    assert scylla_store.list_namespaces().items == []

    # When the same process writes to it
    scylla_store.put(("docs",), "k", {"text": "tea"})

    # Then it is found
    assert [("docs",)] == scylla_store.list_namespaces().items
    assert ["k"] == [item.key for item in scylla_store.list(()).items]
