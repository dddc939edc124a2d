"""All public calls of a store: what is right for each argument, and what is wrong."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import repeat
from random import Random
from typing import Any, NamedTuple

from scylla_store import ANY_LABEL, Delete, Find, Get, List, ListNamespaces, Put, ScyllaStore, Search
from scylla_store.cursors import to_cursor
from tests.unit.bad_inputs import values as wrong
from tests.unit.bad_inputs.filters import FILTER, INDEX_FILTER
from tests.unit.bad_inputs.values import Make, fixed, labels, no, number, some, text


class Case(NamedTuple):
    """One call with something wrong in it, and the names of which the message has to have one."""

    call: str
    run: Callable[[ScyllaStore], Any]
    names: tuple[str, ...]


class Wrong(NamedTuple):
    """A wrong value that the message calls otherwise than its argument."""

    value: Any
    name: str


@dataclass(frozen=True)
class Call:
    """A call. `right` makes arguments; `wrong` makes wrong ones, a value or a `Wrong`."""

    name: str
    right: dict[str, Make]
    wrong: dict[str, Make]
    run: Callable[[ScyllaStore, dict[str, Any]], Any] = field(default=lambda store, arguments: None)

    def case(self, random: Random) -> Case:
        """One or two arguments are wrong."""
        arguments = {name: make(random) for name, make in self.right.items()}
        names = []
        for name in random.sample(list(self.wrong), min(len(self.wrong), random.choice([1, 1, 1, 2]))):
            found = self.wrong[name](random)
            arguments[name], shown = found if isinstance(found, Wrong) else (found, name)
            names.append(shown)
        return Case(self.name, lambda store: self.run(store, arguments), tuple(names))


def _method(name: str, right: dict[str, Make], bad: dict[str, Make]) -> Call:
    """A method of the store, or of something that hangs on it."""

    def run(store: ScyllaStore, arguments: dict[str, Any]) -> Any:
        target: Any = store
        for step in name.split(".")[:-1]:
            target = getattr(target, step)
        return getattr(target, name.split(".")[-1])(**arguments)

    return Call(name, right, bad, run)


NS, KEY, VALUE = fixed(("docs",), ["docs"]), fixed("seed", "other"), fixed({"text": "words"}, {})
_NAMESPACE, _PREFIX, _KEY = labels(1), labels(0), text(1024)
_ID = {"namespace": NS, "key": KEY}
_WRONG_ID = {"namespace": _NAMESPACE, "key": _KEY}
_WRITE = {**_ID, "value": VALUE}
_OPTIONS: dict[str, Make] = {"index": wrong.INDEX, "ttl": wrong.TTL, "wait": wrong.SECONDS}
_WRONG_WRITE = {**_WRONG_ID, "value": wrong.document, **_OPTIONS}
_WAIT: dict[str, Make] = {"wait": wrong.SECONDS}
_LIMIT = number(0, 10_001)
_DEPTH = some(no("none", "int"), fixed(0, -1, -wrong.HUGE))
_VERSION = some(no("int"), fixed(0, -1, -wrong.HUGE))
_FILTERS: dict[str, Make] = {"filter": FILTER}
_NO_LIST = some(no("str", "bytes", "list", "tuple", "dict", "set", "iterator"))

_CALLS_OF_CURSORS: list[list[Any]] = [
    ["list", ["docs"]], ["list", ["other"]], ["list_namespaces", [], [], None], ["dead_letters", None, None],
    ["find", ["docs"], "-$updated_at", None], ["list"], [], None,
]  # fmt: skip
_POSITIONS: list[Any] = [
    [["docs"], "k"],
    [["docs"], None],
    ["k"],
    [None, "x"],
    [],
    None,
    5,
    [[1], 2],
    [["docs"], "\ud800"],
    [[1], "x"],
    {},
    "abc",
]


def _cursor_of(own: list[Any]) -> Make:
    """No cursor of this call: of another one, changed, cut, or of a wrong form beneath a right checksum."""

    def changed(random: Random) -> str:
        cursor = to_cursor(own, [["docs"], "k"])
        at = random.randrange(len(cursor))
        return random.choice(
            [
                cursor[:at],
                cursor[at + 1 :],
                cursor[:at] + random.choice("Aa-_!é\ud800 ") * 2 + cursor[at + 1 :],
                f"{cursor}{random.choice(['=', 'A', ' ', cursor])}",
                base64.urlsafe_b64encode(random.randbytes(at)).decode(),
            ]
        )

    def forged(random: Random) -> str:
        body = random.choice([b"[" * 100_000, b"5", b"[]", b"null", b'{"a":1}', b"\xff", b"[1,2,3]", b'"ab"'])
        return base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")

    def foreign(random: Random) -> str:
        other = random.choice([call for call in _CALLS_OF_CURSORS if call != own])
        return to_cursor(other, random.choice(_POSITIONS))

    return some(no("str", "none"), fixed("", " ", "x", wrong.LONG, wrong.SURROGATE), changed, forged, foreign)


def _listed(right: Make, wrong_one: Callable[[Random], tuple[Any, str]], argument: str) -> Make:
    """A list of right ones, and a wrong one among them, as any kind of iterable."""

    def make(random: Random) -> Wrong:
        if random.random() < 0.2:
            return Wrong(random.choice([_NO_LIST(random), repeat(right(random))]), argument)
        found = [right(random) for _ in range(random.randrange(4))]
        at = random.randrange(len(found) + 1)
        one, name = wrong_one(random)
        found.insert(at, one)
        kind = random.choice([list, tuple, iter])
        return Wrong(kind(found), f"{argument}[{at}]{name}")

    return make


def _fields(kind: type, right: dict[str, Make], bad: dict[str, Make]) -> Callable[[Random], tuple[Any, str]]:
    def make(random: Random) -> tuple[Any, str]:
        name = random.choice(list(bad))
        arguments = {each: one(random) for each, one in right.items()}
        return kind(**{**arguments, name: bad[name](random)}), f".{name}"

    return make


def _pair(random: Random) -> tuple[Any, str]:
    """No pair of namespace and key."""
    if random.random() < 0.3:
        return random.choice([no("tuple", "list")(random), (("docs",),), (("docs",), "k", 1), [], ()]), ""
    if random.random() < 0.5:
        return (_NAMESPACE(random), "k"), ".namespace"
    return (("docs",), _KEY(random)), ".key"


def _either(*makes: Callable[[Random], tuple[Any, str]]) -> Callable[[Random], tuple[Any, str]]:
    return lambda random: random.choice(makes)(random)


def _question(random: Random) -> tuple[Any, str]:
    """Neither a text nor a vector."""
    vector = wrong.VECTOR(random)
    return wrong.QUERY(random) if isinstance(vector, str) or random.random() < 0.5 else vector, ""


def _other(random: Random) -> tuple[Any, str]:
    return no("iterator")(random), ""


_PUT_OPTIONS = {"value": wrong.document, "index": wrong.INDEX, "ttl": wrong.TTL}
_PUT = _fields(Put, _WRITE, {**_WRONG_ID, **_PUT_OPTIONS})
_FOUND: dict[str, Make] = {"prefix": _PREFIX, "filter": INDEX_FILTER, "limit": _LIMIT}
_SEARCHED: dict[str, Make] = {
    **_FOUND, "offset": number(-5, 10_001), "min_score": wrong.SCORE, "with_value": wrong.FLAG, "refresh_ttl": wrong.FLAG
}  # fmt: skip
_REFRESHING = {"prefix": NS, "query": fixed("words"), "refresh_ttl": fixed(True)}
_LIST_CURSOR, _NAMES_CURSOR = _cursor_of(["list", ["docs"]]), _cursor_of(["list_namespaces", [], [], None])
_FIND_CURSOR = _cursor_of(["find", ["docs"], "-$updated_at", None])
_OPERATION = _either(
    _other,
    _PUT,
    _fields(Get, _ID, {**_WRONG_ID, "refresh_ttl": wrong.FLAG}),
    _fields(Delete, _ID, _WRONG_ID),
    _fields(Search, {"prefix": NS, "query": fixed("words")}, {**_SEARCHED, "query": wrong.QUERY}),
    _fields(Search, _REFRESHING, {**_SEARCHED, "query": wrong.QUERY}),
    _fields(Find, {"prefix": NS}, {**_FOUND, "order_by": wrong.ORDER, "cursor": _FIND_CURSOR}),
    _fields(List, {"prefix": NS}, {"prefix": _PREFIX, **_FILTERS, "limit": _LIMIT, "cursor": _LIST_CURSOR}),
    _fields(ListNamespaces, {}, {"prefix": _PREFIX, "suffix": _PREFIX, "max_depth": _DEPTH, "cursor": _NAMES_CURSOR}),
)


_OPERATIONS = (
    Get(("docs",), "k"),
    Get(("docs", "below", "it"), "k", refresh_ttl=True),
    Put(("docs",), "k", {}),
    Delete(("docs",), "seed"),
    Search(("docs",), "words", refresh_ttl=True),
)


def _in_pipeline(name: str) -> Callable[[ScyllaStore, dict[str, Any]], Any]:
    def run(store: ScyllaStore, arguments: dict[str, Any]) -> None:
        with store.pipeline(size=1) as pipeline:
            getattr(pipeline, name)(**arguments)

    return run


def _wait(store: ScyllaStore, arguments: dict[str, Any]) -> None:
    store.receipt.wait(**arguments)  # type: ignore[attr-defined]


_LETTERS: dict[str, Make] = {
    "reason": some(no("none", "str"), fixed("", wrong.SURROGATE, "x" * 201, wrong.LONG)),
    "prefix": labels(0, none=True),
}
_IDENT = text(64)
_WHICH = _listed(fixed("0" * 32), lambda random: (_IDENT(random), ""), "which")

CALLS = [
    _method("put", _WRITE, _WRONG_WRITE),
    _method("put_if_not_exists", _WRITE, _WRONG_WRITE),
    _method("update_if_exists", _WRITE, _WRONG_WRITE),
    _method("compare_and_set", {**_WRITE, "expected_version": fixed(1)}, {**_WRONG_WRITE, "expected_version": _VERSION}),
    _method("update", {**_ID, "key": fixed("seed"), "patch": fixed({"a": 1})},
            {**_WRONG_ID, "patch": wrong.merge_patch, "attempts": number(0, 10_001), **_OPTIONS}),
    _method("put_many", {"puts": lambda random: [Put(("docs",), "k", {})]},
            {"puts": _listed(lambda random: Put(("docs",), "k", {}), _either(_other, _PUT), "puts"), **_WAIT}),
    _method("put_many", {"puts": lambda random: [Put(("docs",), "k", {})]}, {"on_progress": wrong.FUNCTION}),
    _method("delete", _ID, {**_WRONG_ID, **_WAIT}),
    _method("delete_if_exists", _ID, {**_WRONG_ID, **_WAIT}),
    _method("delete_if_version", {**_ID, "expected_version": fixed(1)}, {**_WRONG_ID, "expected_version": _VERSION, **_WAIT}),
    _method("delete_many", {"keys": fixed([(("docs",), "seed")])},
            {"keys": _listed(fixed((("docs",), "k")), _pair, "keys"), **_WAIT}),
    _method("delete_namespace", {"prefix": NS}, {"prefix": _NAMESPACE, "on_progress": wrong.FUNCTION}),
    _method("batch", {}, {"operations": _listed(fixed(*_OPERATIONS),
                                                _OPERATION, "operations")}),
    _method("pipeline", {}, {"size": _LIMIT}),
    Call("pipeline.put", _WRITE, {**_WRONG_ID, **_PUT_OPTIONS}, _in_pipeline("put")),
    Call("pipeline.delete", _ID, _WRONG_ID, _in_pipeline("delete")),
    Call("receipt.wait", {}, {"timeout": some(wrong.SECONDS, fixed(None))}, _wait),
    _method("get", _ID, {**_WRONG_ID, "refresh_ttl": wrong.FLAG}),
    _method("get_many", {}, {"keys": _listed(fixed((("docs",), "k")), _pair, "keys")}),
    _method("search", {"prefix": NS, "query": fixed("words")}, {**_SEARCHED, "query": wrong.QUERY}),
    _method("search", {"prefix": NS, "vector": fixed([1.0] * 256)}, {**_SEARCHED, "vector": wrong.VECTOR}),
    _method("search_many", {"prefix": NS, "queries": fixed(["words"], [[1.0] * 256])},
            {**_SEARCHED, "queries": _listed(fixed("words", [1.0] * 256), _question, "queries")}),
    _method("find", {"prefix": NS}, {**_FOUND, "order_by": wrong.ORDER, "cursor": _FIND_CURSOR}),
    _method("list", {"prefix": NS}, {"prefix": _PREFIX, **_FILTERS, "limit": _LIMIT, "cursor": _LIST_CURSOR}),
    _method("list_namespaces", {"suffix": fixed((), (ANY_LABEL,))},
            {"prefix": _PREFIX, "suffix": _PREFIX, "max_depth": _DEPTH, "limit": _LIMIT, "cursor": _NAMES_CURSOR}),
    _method("count", {"prefix": NS}, {"prefix": _PREFIX, **_FILTERS, "exact": wrong.FLAG}),
    _method("status", {}, {"exact": wrong.FLAG}),
    _method("reconcile", {}, {"full": wrong.FLAG, "dry_run": wrong.FLAG, "max_rate": wrong.RATE, "on_progress": wrong.FUNCTION}),
    _method("resync", {}, {"prefix": _PREFIX}),
    _method("flush", {}, {"timeout": some(wrong.SECONDS, fixed(None))}),
    _method("dead_letters.list", {}, {"limit": _LIMIT, "cursor": _cursor_of(["dead_letters", None, None]), **_LETTERS}),
    _method("dead_letters.get", {}, {"ident": _IDENT}),
    _method("dead_letters.counts", {}, {"most": _LIMIT}),
    _method("dead_letters.replay", {}, {"which": _WHICH}),
    _method("dead_letters.replay", {"which": fixed("all")}, _LETTERS),
    _method("dead_letters.discard", {}, {"which": _WHICH}),
    _method("dead_letters.discard", {}, _LETTERS),
]  # fmt: skip
"""Every public call that takes arguments."""


def case(seed: int) -> Case:
    """The case of this number: always the same."""
    random = Random(seed)
    return random.choice(CALLS).case(random)
