"""Wrong arguments: a ValidationError that names the argument, and nothing was written."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Put, ScyllaStore, ValidationError
from scylla_store.testing import TestingStore

NS = ("docs",)
SURROGATE = "\ud800"
VECTOR = [1.0] * 256

Call = Callable[[ScyllaStore], Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestingStore]:
    """A store with one document, which is indexed."""
    with TestingStore(tmp_path_factory.mktemp("bad")) as store:
        store.put(NS, "seed", {"text": "words"}, wait=0)
        yield store


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"deeper": value}
    return value


def _loop() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


VALUES: list[object] = [
    None, [1], "text", {"a": math.nan}, {"a": math.inf}, {"a": b"bytes"}, {"a": {1}}, {"a": object()}, {"a": SURROGATE},
    {SURROGATE: 1}, {1: 2}, {None: 1}, _loop(), _nested(200), {"a": "x" * 1_048_576}, {"a": 10**5000},
]  # fmt: skip
KEYS: list[object] = ["", "x" * 1025, "é" * 513, SURROGATE, None, 5, b"key", ["a"]]
NAMESPACES: list[object] = [
    (), ("",), ("x" * 513,), ("a",) * 33, ("x" * 512,) * 17, "docs", None, (1,), (SURROGATE,), {"a"}, iter(["a"]), [["a"]],
]  # fmt: skip
TTLS: list[object] = [0, -1, 0.0, math.nan, math.inf, -math.inf, True, False, "5", 1e12, 10**400, []]
INDEXES: list[object] = [True, [], [1], [None], "title", [""], ["a.."], [SURROGATE], 0, {}, ["a"] * 33, ["x" * 600]]
SECONDS: list[object] = [-1, math.nan, "5", True, []]
LIMITS: list[object] = [0, -1, 10_001, 10**9, True, "5", 1.0, None]
VERSIONS: list[object] = [0, -1, True, None, "5", 1.0, []]
NO_LISTS: list[object] = [None, 5, object()]
NO_PAIRS: list[object] = ["ab", None, NS, (NS, "k", 1), "k", {"namespace": NS}]
NO_VECTORS: list[object] = [
    [], [1.0], [math.nan] * 256, [math.inf] * 256, [1e300] * 256, [10**400] * 256, ["1"] * 256, "1" * 256, b"1" * 256,
    [True] * 256, [None] * 256, 5, dict.fromkeys(range(256), 1.0), [[1.0]] * 256,
]  # fmt: skip
QUERIES: list[object] = ["", " \n", 5, b"words", ["words"], SURROGATE, "x" * 1_048_577]
CURSORS: list[object] = ["", "abc", b"abc", 5, SURROGATE, "é", [], True]

FILTERS: list[object] = [
    "text", [], 5, True, {1: 2}, {"a": math.nan}, {"a": b"x"}, {"a": {"$gtr": 1}}, {"$or": []}, {"a": {"$gt": None}}, {"a..b": 1},
    {SURROGATE: 1}, {"$key": 1}, {"a": {"$in": list(range(1001))}}, {"a": {"$eq": _loop()}}, {"a": {"$eq": _nested(200)}},
]  # fmt: skip

CASES: list[tuple[str, Call]] = [
    *(("value", lambda s, v=v: s.put(NS, "k", v)) for v in VALUES),
    *(("key", lambda s, v=v: s.put(NS, v, {})) for v in KEYS),
    *(("key", lambda s, v=v: s.get(NS, v)) for v in KEYS),
    *(("key", lambda s, v=v: s.delete(NS, v)) for v in KEYS),
    *(("prefix", lambda s, v=v: s.delete_namespace(v)) for v in NAMESPACES),
    *(("namespace", lambda s, v=v: s.put(v, "k", {})) for v in NAMESPACES),
    *(("namespace", lambda s, v=v: s.get(v, "k")) for v in NAMESPACES),
    *(("namespace", lambda s, v=v: s.delete(v, "k")) for v in NAMESPACES),
    *(("ttl", lambda s, v=v: s.put(NS, "k", {}, ttl=v)) for v in TTLS),
    *(("index", lambda s, v=v: s.put(NS, "k", {}, index=v)) for v in INDEXES),
    *(("wait", lambda s, v=v: s.put(NS, "k", {}, wait=v)) for v in SECONDS),
    *(("wait", lambda s, v=v: s.put_many([Put(NS, "k", {})], wait=v)) for v in SECONDS),
    *(("wait", lambda s, v=v: s.delete(NS, "seed", wait=v)) for v in SECONDS),
    *(("wait", lambda s, v=v: s.delete_many([(NS, "seed")], wait=v)) for v in SECONDS),
    *(("timeout", lambda s, v=v: s.flush(v)) for v in SECONDS),
    *(("value", lambda s, v=v: s.put_if_not_exists(NS, "k", v)) for v in VALUES),
    *(("value", lambda s, v=v: s.compare_and_set(NS, "seed", v, expected_version=1)) for v in VALUES),
    *(("value", lambda s, v=v: s.update(NS, "seed", lambda _: v)) for v in VALUES),
    *(("patch", lambda s, v=v: s.update(NS, "seed", v)) for v in VALUES),
    *(("key", lambda s, v=v: s.update(NS, v, {})) for v in KEYS),
    *(("key", lambda s, v=v: s.delete_if_exists(NS, v)) for v in KEYS),
    *(("namespace", lambda s, v=v: s.update(v, "seed", {})) for v in NAMESPACES),
    *(("namespace", lambda s, v=v: s.delete_if_version(v, "seed", expected_version=1)) for v in NAMESPACES),
    *(("ttl", lambda s, v=v: s.update(NS, "seed", {}, ttl=v)) for v in TTLS),
    *(("ttl", lambda s, v=v: s.update_if_exists(NS, "seed", {}, ttl=v)) for v in TTLS),
    *(("index", lambda s, v=v: s.update(NS, "seed", {}, index=v)) for v in INDEXES),
    *(("wait", lambda s, v=v: s.update(NS, "seed", {}, wait=v)) for v in SECONDS),
    *(("wait", lambda s, v=v: s.put_if_not_exists(NS, "k", {}, wait=v)) for v in SECONDS),
    *(("attempts", lambda s, v=v: s.update(NS, "seed", {}, attempts=v)) for v in LIMITS),
    *(("expected_version", lambda s, v=v: s.compare_and_set(NS, "seed", {}, expected_version=v)) for v in VERSIONS),
    *(("expected_version", lambda s, v=v: s.delete_if_version(NS, "seed", expected_version=v)) for v in VERSIONS),
    *(("puts", lambda s, v=v: s.put_many(v)) for v in NO_LISTS),
    *(("puts[1]", lambda s, v=v: s.put_many([Put(NS, "k", {}), v])) for v in (None, {"key": "k"}, (NS, "k", {}), "k")),
    *(("puts[1].key", lambda s, v=v: s.put_many([Put(NS, "k", {}), Put(NS, v, {})])) for v in KEYS),
    *(("puts[1].value", lambda s, v=v: s.put_many([Put(NS, "k", {}), Put(NS, "l", v)])) for v in VALUES),
    *(("puts[1].ttl", lambda s, v=v: s.put_many([Put(NS, "k", {}), Put(NS, "l", {}, ttl=v)])) for v in TTLS),
    *(("keys", lambda s, v=v: s.get_many(v)) for v in NO_LISTS),
    *(("keys", lambda s, v=v: s.delete_many(v)) for v in NO_LISTS),
    *(("keys[1]", lambda s, v=v: s.get_many([(NS, "k"), v])) for v in NO_PAIRS),
    *(("keys[1]", lambda s, v=v: s.delete_many([(NS, "seed"), v])) for v in NO_PAIRS),
    *(("keys[1].key", lambda s, v=v: s.get_many([(NS, "k"), (NS, v)])) for v in KEYS),
    *(("keys[1].namespace", lambda s, v=v: s.delete_many([(NS, "seed"), (v, "k")])) for v in NAMESPACES),
    *(("limit", lambda s, v=v: s.list(NS, limit=v)) for v in LIMITS),
    *(("limit", lambda s, v=v: s.list_namespaces(limit=v)) for v in LIMITS),
    *(("limit", lambda s, v=v: s.search(NS, "words", limit=v)) for v in LIMITS),
    *(("limit", lambda s, v=v: s.dead_letters.list(limit=v)) for v in LIMITS),
    *(("offset", lambda s, v=v: s.search(NS, "words", offset=v)) for v in LIMITS[1:]),
    *(("max_depth", lambda s, v=v: s.list_namespaces(max_depth=v)) for v in (0, -1, True, "1", 1.5)),
    *(("cursor", lambda s, v=v: s.list(NS, cursor=v)) for v in CURSORS),
    *(("cursor", lambda s, v=v: s.list(NS, cursor=v, filter={"a": 1})) for v in CURSORS),
    *(("filter", lambda s, v=v: s.list(NS, filter=v)) for v in FILTERS),
    *(("filter", lambda s, v=v: s.find(NS, filter=v)) for v in FILTERS),
    *(("prefix", lambda s, v=v: s.find(v)) for v in NAMESPACES[1:]),
    *(("limit", lambda s, v=v: s.find(NS, limit=v)) for v in LIMITS),
    *(("cursor", lambda s, v=v: s.find(NS, cursor=v)) for v in CURSORS),
    *(("order_by", lambda s, v=v: s.find(NS, order_by=v)) for v in (None, 5, b"x", "", "-", "$key", "a..b", "a", ["a"], SURROGATE)),
    *(("filter", lambda s, v=v: s.search(NS, "words", filter=v)) for v in FILTERS),
    ("filter", lambda s: s.search(NS, "words", filter={"year": {"$gt": 5}})),
    *(("filter", lambda s, v=v: s.count(NS, filter=v)) for v in FILTERS),
    *(("filter", lambda s, v=v: s.count(NS, filter=v, exact=True)) for v in FILTERS),
    *(("cursor", lambda s, v=v: s.list_namespaces(cursor=v)) for v in CURSORS),
    *(("cursor", lambda s, v=v: s.dead_letters.list(cursor=v)) for v in CURSORS),
    *(("prefix", lambda s, v=v: s.list(v)) for v in NAMESPACES[1:]),
    *(("prefix", lambda s, v=v: s.count(v)) for v in NAMESPACES[1:]),
    *(("prefix", lambda s, v=v: s.search(v, "words")) for v in NAMESPACES[1:]),
    *(("prefix", lambda s, v=v: s.list_namespaces(v)) for v in NAMESPACES[1:]),
    *(("suffix", lambda s, v=v: s.list_namespaces((), v)) for v in NAMESPACES[1:]),
    *(("query", lambda s, v=v: s.search(NS, v)) for v in QUERIES),
    *(("vector", lambda s, v=v: s.search(NS, vector=v)) for v in NO_VECTORS),
    ("query or a vector", lambda s: s.search(NS)),
    ("query or a vector", lambda s: s.search(NS, "words", vector=VECTOR)),
    *(("min_score", lambda s, v=v: s.search(NS, "words", min_score=v)) for v in (math.nan, math.inf, "1", True, 10**400)),
    *(("ident", lambda s, v=v: s.dead_letters.get(v)) for v in ("", None, 5, b"x", SURROGATE)),
    *(("which", lambda s, v=v: s.dead_letters.replay(v)) for v in ("", None, 5, [5], [SURROGATE])),
    *(("which", lambda s, v=v: s.dead_letters.discard(v)) for v in ("", None, 5, [5])),
    *(("reason", lambda s, v=v: s.dead_letters.replay(reason=v)) for v in ("", 5, b"x", SURROGATE)),
    *(("prefix", lambda s, v=v: s.dead_letters.discard(prefix=v)) for v in NAMESPACES[1:] if v is not None),
    *(("prefix", lambda s, v=v: s.dead_letters.list(prefix=v)) for v in NAMESPACES[1:] if v is not None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "call"), CASES, ids=[f"{number}-{argument}" for number, (argument, _) in enumerate(CASES)]
)
def test_a_wrong_argument_is_named_and_nothing_is_written(store: TestingStore, argument: str, call: Call) -> None:
    with pytest.raises(ValidationError) as failure:
        call(store)

    assert argument in str(failure.value)
    assert [item.key for item in store.list(()).items] == ["seed"]
    assert store.status(exact=True).pending == 0


def test_what_may_look_wrong_is_right(tmp_path: Path) -> None:
    class Members(str, enum.Enum):
        KEY = "k"
        LABEL = "docs"
        PATH = "text"

    with TestingStore(tmp_path) as store:
        # Given members of an enum of strings, whose str() is their name
        store.put((Members.LABEL,), Members.KEY, {"text": Members.KEY, "other": "x"}, index=[Members.PATH], wait=0)
        # Then they are the strings that they are equal to
        item = store.get(NS, "k")
        assert item is not None
        assert (item.namespace, item.key, item.value["text"]) == (NS, "k", "k")
        assert store.get_many([((Members.LABEL,), Members.KEY)]) == [item]
        assert [hit.path for hit in store.search(NS, Members.KEY)] == ["text"]
        # And these are taken: nothing to write, iterators, lists as pairs, a wait without end
        assert (store.put_many([]), store.delete_many([]), store.get_many([])) == ([], [], [])
        assert len(store.put_many(Put(NS, str(number), {}) for number in range(3))) == 3
        assert len(store.get_many(iter([[["docs"], "0"], (NS, "1")]))) == 2
        assert store.put(NS, "waits", {}, wait=math.inf).created is True


def test_a_cursor_belongs_to_its_call(store: TestingStore) -> None:
    store.put_many([Put(("pages",), str(number), {}, index=False) for number in range(3)], wait=0)
    cursor = store.list(("pages",), limit=1).cursor

    for call in (
        lambda: store.list(("other",), cursor=cursor),
        lambda: store.list_namespaces(("pages",), cursor=cursor),
        lambda: store.dead_letters.list(cursor=cursor),
        lambda: store.list(("pages",), cursor=f"{cursor}A"),
    ):
        with pytest.raises(ValidationError, match="cursor"):
            call()
    assert [item.key for item in store.list(("pages",), limit=5, cursor=cursor).items] == ["1", "2"]
    store.delete_many([(("pages",), str(number)) for number in range(3)], wait=0)
