"""Namespaces never leak: hostile label lists, each as a prefix against all others, on the embedded store and on real servers."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scylla_store import Put, ScyllaStore
from scylla_store.testing import TestingStore

SEED = 20_000
NAMESPACES = 150
"""Each is a prefix against every other one: 22,350 ordered pairs."""

_PIECES = (
    "a", "b", "aa", "ab", "\0", "a\0", "\0a", "a\0b", ".", "a.b", "/", "a/b", "\\", "%", "_", "*", "[]", '"', "'", ";", " ", "a ",
    "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}", "\U0001d54f", "\U0010ffff", "\ufffd", "\u200b", "\x7f",
    "\uff0e", "null", "true", "0", "1", "-1", "\n", "\r\n", "A", "\N{LATIN CAPITAL LETTER SHARP S}", "ss", "$", "a" * 255,
)  # fmt: skip


def hostile_namespaces(count: int, seed: int) -> list[tuple[str, ...]]:
    """Label lists that are prefixes of each other, or look as if they were."""
    dice = random.Random(seed)
    found: dict[tuple[str, ...], None] = {}
    while len(found) < count:
        base = dice.choice(list(found)) if found and dice.random() < 0.5 else ()
        labels = [*base, *(dice.choice(_PIECES) for _ in range(dice.randint(1, 3)))]
        if base and dice.random() < 0.4:  # nearly the same: a longer last label, or two labels made one
            labels = [*base[:-1], base[-1] + dice.choice(_PIECES)]
        if len(base) >= 2 and dice.random() < 0.3:
            labels = [*base[:-2], base[-2] + dice.choice(("", "/", "\0", ".")) + base[-1]]
        if len(labels) <= 8 and all(len(label.encode()) <= 512 for label in labels):
            found[tuple(labels)] = None
    return list(found)


@pytest.fixture(params=["embedded", "cluster"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScyllaStore]:
    """An embedded store, or one on Cassandra and Qdrant; both are indexed by `drain()`."""
    if request.param == "embedded":
        with TestingStore(tmp_path) as embedded:
            yield embedded
        return
    from scylla_store.database.cql import ScyllaDB
    from scylla_store.index.server import QdrantServer
    from scylla_store.settings.options import ClockSettings, DatabaseSettings, EmbedderSettings, IndexSettings, Settings

    contact, name = request.getfixturevalue("cassandra"), f"isolation_{uuid.uuid4().hex[:8]}"
    url = request.getfixturevalue("qdrant")
    database = ScyllaDB(DatabaseSettings(contact_points=(contact,), keyspace=name))
    index = QdrantServer(IndexSettings(url=url, collection=name))
    try:
        # The store's clock stands still while the server's goes on.
        settings = Settings(embedder=EmbedderSettings(name="hashing"), clock=ClockSettings(max_clock_skew=300))
        with TestingStore(tmp_path, settings=settings, database=database, index=index) as store:
            store.setup()
            yield store
    finally:
        index.close()
        database.close()


def test_a_prefix_shows_what_lies_under_its_labels_and_nothing_else(store: TestingStore) -> None:
    # Given one document with the same words in each of many hostile namespaces
    namespaces = hostile_namespaces(NAMESPACES, SEED)
    store.put_many([Put(namespace, "k", {"text": "the same words everywhere"}) for namespace in namespaces])
    assert store.drain() == 0
    for prefix in namespaces:
        # When each of them is used as a prefix
        expected = {namespace for namespace in namespaces if namespace[: len(prefix)] == prefix}
        hits = store.search(prefix, "the same words", limit=NAMESPACES)
        listed = store.list(prefix, limit=NAMESPACES)
        names = store.list_namespaces(prefix, limit=NAMESPACES)
        # Then search, list, list_namespaces and both counts agree on exactly what begins with its labels
        assert {hit.item.namespace for hit in hits} == expected
        assert {item.namespace for item in listed.items} == expected
        assert set(names.items) == expected
        assert (store.count(prefix), store.count(prefix, exact=True)) == (len(expected), len(expected))
        assert store.get(prefix, "k") is not None


def test_documents_cannot_change_whose_they_are(store: TestingStore) -> None:
    # Given a document that says it is somebody else's
    forged = {"namespace": ["victim"], "key": "k", "item": "0" * 32, "tenant": "x", "prefixes": ["x"], "version": 2**60}
    store.put(("attacker",), "k", {**forged, "text": "mine"})
    store.put(("victim",), "k", {"text": "mine"})
    assert store.drain() == 0
    # When both are read and searched
    for namespace in (("attacker",), ("victim",)):
        (hit,) = store.search(namespace, "mine")
        # Then each finds its own
        assert (hit.item.namespace, hit.item.key) == (namespace, "k")
    assert store.get(("victim",), "k").value == {"text": "mine"}  # type: ignore[union-attr]


def test_the_namespaces_are_hostile() -> None:
    namespaces = hostile_namespaces(NAMESPACES, SEED)
    pairs = list(itertools.permutations(namespaces, 2))
    nested = [(one, other) for one, other in pairs if other[: len(one)] == one]
    joined = [(one, other) for one, other in pairs if "".join(one) == "".join(other)]
    textual = [(one, other) for one, other in pairs if "/".join(other).startswith("/".join(one))]

    assert len(pairs) > 10_000
    assert len(nested) > 50
    assert len(joined) >= 10
    assert len(textual) > len(nested)
