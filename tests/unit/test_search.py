"""Searching on bad days: an embedder that is somebody else's, a row that is damaged."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scylla_store import EmbedderUnavailable, Put, ValidationError
from scylla_store.errors import DamagedRow
from scylla_store.identity import ItemId, item_digest, point_id
from scylla_store.index.base import Match, Point, Question
from scylla_store.index.memory import MemoryIndex
from scylla_store.testing import FailingEmbedder, TestingStore

QUERY = "words that are nobody's business"


class Unwilling:
    def __float__(self) -> float:
        raise RuntimeError("no number")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no CUDA"), "RuntimeError: no CUDA"),
        (ValueError(f"cannot tokenize {QUERY!r}"), "quotes the document and is left out"),
        (EmbedderUnavailable("the service is away"), "the service is away"),
    ],
)
def test_whatever_an_embedder_raises_on_a_query_has_a_name_and_does_not_quote_it(
    tmp_path: Path, error: Exception, reason: str
) -> None:
    with (
        TestingStore(tmp_path, embedder=FailingEmbedder(error=error)) as store,
        pytest.raises(EmbedderUnavailable) as failure,
    ):
        store.search(("docs",), QUERY)

    assert reason in str(failure.value)
    assert QUERY not in str(failure.value)


@pytest.mark.parametrize("cell", ["head", "body"])
def test_a_damaged_document_is_reported_and_takes_no_other_hit_with_it(
    tmp_path: Path, cell: str, caplog: pytest.LogCaptureFixture
) -> None:
    with TestingStore(tmp_path) as store:
        # Given three documents, one of which is damaged after it was indexed
        for key in ("a", "b", "c"):
            store.put(("docs",), key, {"text": "the same words"})
        assert store.drain() == 0
        with sqlite3.connect(tmp_path / "store.sqlite3") as connection:
            connection.execute(f"UPDATE items SET {cell} = x'00' WHERE key = 'b'")
        connection.close()
        # When they are searched, then the others are found, and the damage is logged
        assert {hit.item.key for hit in store.search(("docs",), "the same words")} == {"a", "c"}
        assert "damaged row is left out" in caplog.text
        # And whoever asks for it by key is told
        with pytest.raises(DamagedRow, match="'b'"):
            store.get(("docs",), "b")


@pytest.mark.parametrize(
    "damage", [{"path": 5}, {"path": "a["}, {"path": ["text"]}, {"start": "x"}, {"start": 0.5}, {"end": {}}], ids=str
)
def test_a_point_that_does_not_say_which_chunk_it_is_of_takes_no_hit_with_it(
    tmp_path: Path, damage: dict[str, Any]
) -> None:
    index = MemoryIndex()
    with TestingStore(tmp_path, index=index) as store:
        # Given two documents, and a point of one that was damaged
        store.setup()
        for key in ("a", "b"):
            store.put(("docs",), key, {"text": "the same words"}, wait=0)
        [damaged] = index.at([point_id(item_digest(ItemId(("docs",), "b")), 0)]).values()
        vectors = index.vectors([(damaged.id, damaged.fingerprint)])
        index.upsert([Point(damaged.id, vectors[damaged.id], {**damaged.payload, **damage})], at_most=2**60)
        # When they are searched, then both are found, one without the text
        hits = store.search(("docs",), "the same words")
        assert {hit.item.key: hit.text for hit in hits} == {"a": "the same words", "b": None}


class Meanwhile(MemoryIndex):
    """An index to which something happens after a query."""

    def __init__(self) -> None:
        super().__init__()
        self.then: list[Callable[[], object]] = []

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        found = super().query(questions)
        while self.then:
            self.then.pop()()
        return found


def test_hits_come_best_first_also_when_a_better_one_is_indexed_between_two_requests(tmp_path: Path) -> None:
    index = Meanwhile()
    with TestingStore(tmp_path, index=index) as store:
        # Given documents of which the nearest are gone, so that a search asks the index twice
        store.setup()
        store.put_many([Put(("docs",), f"{at}", {"text": "tea " * 5 + "word " * at}) for at in range(40)], wait=0)
        store.delete_many([(("docs",), f"{at}") for at in range(18)])
        # When a document that is nearer than all of them is indexed in between
        index.then = [lambda: store.put(("docs",), "new", {"text": "tea"}, wait=0)]
        hits = store.search(("docs",), "tea", limit=5)
        # Then it comes first
        assert hits[0].item.key == "new"
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("numbers", [itertools.repeat(1.0), [Unwilling()] * 256], ids=["without end", "unwilling"])
def test_a_vector_that_never_ends_or_fails_when_asked_for_numbers_is_refused(tmp_path: Path, numbers: Any) -> None:
    with TestingStore(tmp_path) as store, pytest.raises(ValidationError, match=r"^vector must"):
        store.search((), vector=numbers)
