"""What is asked of the store, and what the model says to it."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

from scylla_store import Hit, ScanLimitReached, ScyllaStore
from scylla_store.embedders import HashingEmbedder
from tests.model.model import Document, Id, Model, of_item, shown

_EMBEDDER = HashingEmbedder()
_NEAR = 1e-3
"""Scores are made of 32-bit floats."""


class Checks:
    """Asks, at one moment.

    Args:
        is_clean: whether the index holds everything; else it may lack and keep, and only what it brings is looked at.
    """

    def __init__(self, store: ScyllaStore, model: Model, now: int, *, is_clean: bool) -> None:
        self._store = store
        self._model = model
        self._now = now
        self._is_clean = is_clean

    def listed(self, prefix: tuple[str, ...], where: dict[str, Any] | None, limit: int) -> None:
        """All pages of `list` together."""
        found, cursor = [], None
        while True:
            page = self._store.list(prefix, filter=where, limit=limit, cursor=cursor)
            assert len(page.items) <= limit
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        assert [of_item(item) for item in found] == [shown(one) for one in self._model.under(prefix, self._now, where)]

    def counted(self, prefix: tuple[str, ...], where: dict[str, Any] | None = None) -> None:
        """Exact, by the index, and at most so many rows with a filter."""
        expected = self._model.under(prefix, self._now, where)
        assert self._store.count(prefix, filter=where, exact=True) == len(expected)
        if where is not None:
            with suppress(ScanLimitReached):
                assert self._store.count(prefix, filter=where) == len(expected)
        elif self._is_clean:
            assert self._store.count(prefix) == sum(one.index is not False for one in expected)

    def found(
        self,
        prefix: tuple[str, ...],
        query: str,
        where: dict[str, Any] | None,
        *,
        limit: int = 1000,
        offset: int = 0,
        min_score: float | None = None,
    ) -> int:
        """A search; returns how many hits there were."""
        hits = self._store.search(prefix, query, filter=where, limit=limit, offset=offset, min_score=min_score)
        assert not hits.is_rebuilding
        assert len(hits) <= limit
        assert len({(hit.item.namespace, hit.item.key) for hit in hits}) == len(hits)
        assert all(one.score >= other.score for one, other in pairwise(hits))
        documents = {one.id: one for one in self._model.under(prefix, self._now, where)}
        for hit in hits:
            item: Id = hit.item.namespace, hit.item.key
            assert of_item(hit.item) == shown(documents.get(item))
            assert min_score is None or hit.score >= min_score - _NEAR
            if self._is_clean:
                _check(hit, documents[item], query)
        if self._is_clean:
            self._check_complete(hits, list(documents.values()), query, limit, offset, min_score)
        return len(hits)

    def _check_complete(
        self, hits: Any, documents: list[Document], query: str, limit: int, offset: int, min_score: float | None
    ) -> None:
        best = [max(scores(one, query).values()) for one in documents if one.id not in self._model.dead and one.texts()]
        wanted = sorted((score for score in best if min_score is None or score > min_score + _NEAR), reverse=True)
        if hits.is_partial:
            assert len(hits) < limit
            return
        if min_score is None:
            expected = wanted[offset : offset + limit]
            assert len(hits) == len(expected)
            assert all(abs(hit.score - score) < _NEAR for hit, score in zip(hits, expected, strict=True))
        else:
            assert len(hits) >= min(limit, len(wanted) - offset)

    def letters(self, root: tuple[str, ...]) -> None:
        """Dead letters are those of the model; others only of documents that nobody sees any more."""
        found: dict[Id, bool] = {}
        cursor = None
        while True:
            page = self._store.dead_letters.list(2, cursor, prefix=root)
            found |= {(letter.item.namespace, letter.item.key): letter.discarded for letter in page.items}
            cursor = page.cursor
            if cursor is None:
                break
        alive = {one.id for one in self._model.under(root, self._now)}
        expected = {item: given_up for item, (_, given_up) in self._model.dead.items() if item in alive}
        assert expected == {item: given_up for item, given_up in found.items() if item in alive}
        assert found.keys() - alive <= self._model.documents.keys()


def scores(document: Document, query: str) -> dict[str, float]:
    """How near each of the document's texts is, by path."""
    texts = document.texts()
    asked, *vectors = _EMBEDDER.embed([query, *texts.values()])
    return {path: sum(a * b for a, b in zip(asked, vector, strict=True)) for path, vector in zip(texts, vectors, strict=True)}


def _check(hit: Hit, document: Document, query: str) -> None:
    """The hit is of the document's own text, as it is now, by the best of its chunks."""
    near = scores(document, query)
    assert hit.fresh
    assert hit.path in near, (hit, document)
    assert hit.text == document.texts()[hit.path]
    assert abs(hit.score - near[hit.path]) < _NEAR
    assert hit.score > max(near.values()) - _NEAR
