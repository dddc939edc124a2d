"""What the machine writes and asks for: few names and words, so that they meet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from scylla_store import DEFAULT_TTL
from scylla_store.updates import KEEP

WORDS = ("tea", "coffee", "green tea", "milk", "black coffee with milk")
POISON = "poison"
"""No text with this word can be embedded while the embedder is ill."""

NAMESPACES: tuple[tuple[str, ...], ...] = (("a",), ("a", "b"), ("a", "b", "c"), ("a\0",), ("é", "b"))
KEYS = ("k", "kk", "é\uffff")
PREFIXES = ((), ("a",), ("a", "b"), ("é",), ("nobody",))

IDS = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(KEYS))
_TEXTS = st.sampled_from([*WORDS, *WORDS, "", POISON])
_NUMBERS = st.sampled_from([0, 1, 1.0, 2, 2.5, -1, 10**20, "1"])
VALUES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"title": _TEXTS},
    optional={
        "n": _NUMBERS,
        "tags": st.lists(st.sampled_from(WORDS), max_size=2),
        "meta": st.fixed_dictionaries({}, optional={"note": _TEXTS, "rank": _NUMBERS}),
        "gone": st.none(),
    },
)
PATCHES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from([None, "tea", "coffee"]),
        "n": _NUMBERS | st.none(),
        "tags": st.just(["milk"]) | st.none(),
        "meta": st.fixed_dictionaries({}, optional={"note": _TEXTS | st.none(), "rank": _NUMBERS | st.none()}) | st.just("text"),
    },
)  # fmt: skip
TTLS = st.sampled_from([None, None, None, DEFAULT_TTL, 0.000001, 1.0, 30.0, 3600.0, 20_000.5, 20_000.5])
INDEXES = st.sampled_from([None, None, None, False, ("title",), ("tags[*]", "meta.note")])
PUTS = st.tuples(IDS, VALUES, INDEXES, TTLS)
KEPT_TTLS = st.just(KEEP) | st.just(KEEP) | TTLS
KEPT_INDEXES = st.just(KEEP) | INDEXES

_CONDITIONS = st.sampled_from(
    [
        {"n": 1},
        {"n": {"$gt": 1}},
        {"n": {"$lte": 1}},
        {"title": "tea"},
        {"title": {"$startsWith": "green"}},
        {"tags[*]": "milk"},
        {"tags": {"$contains": "tea"}},
        {"meta.rank": {"$in": [1, "1"]}},
        {"gone": None},
        {"meta": {"$exists": False}},
        {"$key": {"$ne": "k"}},
        {"meta": {"note": "tea"}},
    ]
)
FILTERS: st.SearchStrategy[dict[str, Any] | None] = (
    st.none()
    | _CONDITIONS
    | _CONDITIONS.map(lambda one: {"$not": one})
    | st.lists(_CONDITIONS, min_size=2, max_size=2).map(lambda two: {"$or": two})
)


def texts(value: dict[str, Any], index: Any) -> dict[str, str]:
    """The texts that are embedded, by path. Only the paths of `INDEXES` are known."""
    if index is False:
        return {}
    if index is None:
        joined = "\n".join(strings(value))
        return {"$": joined} if joined else {}
    at = {f"tags[{place}]": tag for place, tag in enumerate(value.get("tags") or ())}
    meta = value.get("meta")
    known = {"title": value.get("title"), **at, "meta.note": meta.get("note") if isinstance(meta, dict) else None}
    wanted = {path for path in known if path in index or re.sub(r"\d+", "*", path) in index}
    return {path: text for path, text in known.items() if path in wanted and isinstance(text, str) and text.strip()}


def strings(value: Any) -> Iterator[str]:
    """Strings that are not blank, in document order."""
    if isinstance(value, str) and value.strip():
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(child)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, as its text says."""
    if not isinstance(patch, dict):
        return patch
    known = target if isinstance(target, dict) else {}
    names = [*known, *(name for name in patch if name not in known)]
    return {
        name: merged(known.get(name), patch[name]) if name in patch else known[name]
        for name in names
        if patch.get(name, name) is not None
    }


def plus_one(value: dict[str, Any]) -> dict[str, Any]:
    """A function for `update`."""
    number = value.get("n")
    return {**value, "n": number + 1 if isinstance(number, int) else 1}
