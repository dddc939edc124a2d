"""`update`, and the conditional writes of the store as its callers see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ScyllaStore, ValidationError
from scylla_store.testing import TestingStore

NS = ("docs",)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TestingStore]:
    with TestingStore(tmp_path) as store:
        yield store


def current(store: ScyllaStore) -> dict[str, Any]:
    item = store.get(NS, "k")
    assert item is not None
    return item.value


def test_a_patch_is_merged_into_what_is_stored(store: TestingStore) -> None:
    store.put(NS, "k", {"title": "Tea", "author": {"name": "Ann", "born": 1950}, "tags": ["a", "b"], "draft": True})

    outcome = store.update(NS, "k", {"author": {"born": None, "city": "Bath"}, "tags": ["c"], "draft": None})

    assert outcome
    assert outcome.current == store.get(NS, "k")
    assert current(store) == {"title": "Tea", "author": {"name": "Ann", "city": "Bath"}, "tags": ["c"]}


def test_a_function_gets_a_copy_and_returns_the_whole_value(store: TestingStore) -> None:
    store.put(NS, "k", {"count": 1, "list": [1]})
    given: list[dict[str, Any]] = []

    def change(value: dict[str, Any]) -> dict[str, Any]:
        given.append(value)
        value["list"].append(2)
        return {"count": value["count"] + 1, "list": value["list"]}

    assert store.update(NS, "k", change)
    given[0]["list"].append(3)
    assert current(store) == {"count": 2, "list": [1, 2]}


def test_what_is_not_there_or_has_expired_is_not_updated(store: TestingStore) -> None:
    calls: list[object] = []

    assert not store.update(NS, "k", {"a": 1})
    store.put(NS, "k", {"a": 0}, ttl=5)
    store.clock.advance(5)  # type: ignore[attr-defined]
    outcome = store.update(NS, "k", lambda value: calls.append(value) or value)  # type: ignore[func-returns-value]

    assert (bool(outcome), outcome.current, outcome.receipt) == (False, None, None)
    assert calls == []
    assert store.get(NS, "k") is None


def test_an_update_keeps_the_end_and_the_index_unless_others_are_given(store: TestingStore) -> None:
    # Given an item that ends in a minute and has one path in the index
    store.put(NS, "k", {"title": "green tea", "text": "black coffee"}, index=["title"], ttl=60)
    before = store.get(NS, "k")
    assert before is not None

    # When it is updated, Then it ends as before, also when its time was extended meanwhile
    store.clock.advance(20)  # type: ignore[attr-defined]
    kept = store.update(NS, "k", {"n": 1}, wait=0).current
    assert kept is not None
    assert (kept.expires_at, kept.created_at) == (before.expires_at, before.created_at)
    assert [hit.path for hit in store.search(NS, "tea")] == ["title"]
    refreshed = store.get(NS, "k", refresh_ttl=True)
    again = store.update(NS, "k", {"n": 2}).current
    assert refreshed is not None
    assert again is not None
    assert again.expires_at == refreshed.expires_at

    # When others are given, Then they count
    given = store.update(NS, "k", {"n": 3}, ttl=100, index=["text"], wait=0).current
    assert given is not None
    assert given.expires_at is not None
    assert abs(given.expires_at - given.updated_at - timedelta(seconds=100)) < timedelta(seconds=1)
    assert [hit.path for hit in store.search(NS, "coffee")] == ["text"]
    forever = store.update(NS, "k", {"n": 4}, ttl=None, index=False, wait=0).current
    assert forever is not None
    assert forever.expires_at is None
    assert store.search(NS, "coffee") == []


def test_what_an_encoder_turns_into_json_may_stand_in_a_patch(store: TestingStore) -> None:
    store.put(NS, "k", {"a": 1})

    with pytest.raises(ValidationError, match=r"patch\.when"):
        store.update(NS, "k", {"when": timedelta(1)})

    assert current(store) == {"a": 1}


Call = Callable[[TestingStore], Any]
WRONG: list[tuple[str, Call]] = [
    ("patch must be a dictionary", lambda store: store.update(NS, "k", [1])),  # type: ignore[arg-type]
    ("patch must be a dictionary", lambda store: store.update(NS, "k", None)),  # type: ignore[arg-type]
    ("must return the whole value", lambda store: store.update(NS, "k", lambda value: value.update(a=2))),  # type: ignore[arg-type, return-value]
    (r"value\.a", lambda store: store.update(NS, "k", lambda value: {"a": {1, 2}})),
    ("attempts must be", lambda store: store.update(NS, "k", {}, attempts=0)),
    ("attempts must be", lambda store: store.update(NS, "k", {}, attempts=True)),
    ("attempts must be", lambda store: store.update(NS, "k", {}, attempts=10_001)),
    ("ttl must be", lambda store: store.update(NS, "k", {}, ttl=0)),
    ("ttl must be", lambda store: store.update(NS, "missing", {}, ttl=-1)),
    ("index", lambda store: store.update(NS, "missing", {}, index=True)),  # type: ignore[arg-type]
    ("key", lambda store: store.update(NS, "", {})),
    ("wait must be", lambda store: store.update(NS, "k", {"a": 2}, wait=-1)),
    ("wait must be", lambda store: store.put_if_not_exists(NS, "new", {}, wait=-1)),
    ("wait must be", lambda store: store.delete_if_exists(NS, "k", wait=-1)),
    ("value must be", lambda store: store.put_if_not_exists(NS, "new", [])),  # type: ignore[arg-type]
    ("ttl must be", lambda store: store.update_if_exists(NS, "k", {}, ttl=0)),
    ("index", lambda store: store.compare_and_set(NS, "k", {}, expected_version=1, index=True)),  # type: ignore[arg-type]
    ("namespace", lambda store: store.delete_if_exists((), "k")),
    ("expected_version", lambda store: store.compare_and_set(NS, "k", {}, expected_version=None)),  # type: ignore[arg-type]
    ("expected_version", lambda store: store.delete_if_version(NS, "k", expected_version="1")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("message", "call"), WRONG)
def test_wrong_arguments_are_refused_and_nothing_is_written(store: TestingStore, message: str, call: Call) -> None:
    version = store.put(NS, "k", {"a": 1}).version
    store.drain()

    with pytest.raises(ValidationError, match=message):
        call(store)

    item = store.get(NS, "k")
    assert item is not None
    assert (item.version, item.value) == (version, {"a": 1})
    assert store.get(NS, "new") is None
    assert store.status(exact=True).pending == 0


def test_an_error_of_the_function_is_the_callers_and_nothing_is_written(store: TestingStore) -> None:
    store.put(NS, "k", {"a": 1})

    with pytest.raises(KeyError):
        store.update(NS, "k", lambda value: value["missing"])

    assert current(store) == {"a": 1}


def test_the_five_conditional_writes_are_indexed_and_wait_like_plain_ones(store: TestingStore) -> None:
    def found() -> list[str]:
        return [hit.item.value["text"] for hit in store.search(NS, "tea coffee water")]

    first = store.put_if_not_exists(NS, "k", {"text": "tea"}, wait=0)
    assert found() == ["tea"]
    assert not store.put_if_not_exists(NS, "k", {"text": "water"}, wait=0)
    second = store.update_if_exists(NS, "k", {"text": "coffee"}, wait=0)
    assert found() == ["coffee"]
    assert first.receipt is not None
    assert second.receipt is not None
    assert not store.compare_and_set(NS, "k", {"text": "x"}, expected_version=first.receipt.version or 0)
    third = store.compare_and_set(NS, "k", {"text": "water"}, expected_version=second.receipt.version or 0, wait=0)
    assert found() == ["water"]
    assert third.current is not None
    assert not store.delete_if_version(NS, "k", expected_version=second.receipt.version or 0)
    assert store.delete_if_version(NS, "k", expected_version=third.current.version, wait=0)
    assert found() == []
    assert not store.delete_if_exists(NS, "k")
    assert store.put_if_not_exists(NS, "k", {"text": "tea"}, wait=0)
    assert store.delete_if_exists(NS, "k", wait=0)
    assert found() == []
    assert store.status(exact=True).pending == 0


def test_a_namespace_of_conditional_writes_is_listed(store: TestingStore) -> None:
    store.put_if_not_exists(("made", "here"), "k", {})

    assert store.list_namespaces(("made",)).items == [("made", "here")]
    assert [item.key for item in store.list(("made",)).items] == ["k"]
