"""What is asked of the store, and what the model says to it."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

from scylla_store import Hit, ScanLimitReached, ScyllaStore
from scylla_store.embedders import HashingEmbedder
from scylla_store.items import Hits
from tests.model.model import Document, Id, Model, of_item, shown

_EMBEDDER = HashingEmbedder()
_NEAR = 1e-3
"""Scores are made of 32-bit floats."""


class Checks:
    """Asks, at one moment.

    Args:
        is_clean: whether the index holds everything; else it may lack what was written, and keep what is gone.
        is_damaged: whether it may lack anything.
    """

    def __init__(self, store: ScyllaStore, model: Model, now: int, *, is_clean: bool, is_damaged: bool = False) -> None:
        self._store = store
        self._model = model
        self._now = now
        self._is_clean = is_clean
        self._solid = not is_damaged

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
        self.judge(hits, prefix, query, where, limit=limit, offset=offset, min_score=min_score)
        return len(hits)

    def judge(
        self,
        hits: Hits,
        prefix: tuple[str, ...],
        query: str,
        where: dict[str, Any] | None,
        *,
        limit: int,
        offset: int = 0,
        min_score: float | None = None,
        with_value: bool = True,
    ) -> None:
        """Hits of a search."""
        assert not hits.is_rebuilding
        assert len(hits) <= limit
        assert len({(hit.item.namespace, hit.item.key) for hit in hits}) == len(hits)
        assert all(one.score >= other.score for one, other in pairwise(hits))
        documents = {one.id: one for one in self._model.under(prefix, self._now, where)}
        for hit in hits:
            item: Id = hit.item.namespace, hit.item.key
            expected = shown(documents[item])
            assert of_item(hit.item) == (expected if with_value else {**(expected or {}), "value": None})
            assert min_score is None or hit.score >= min_score - _NEAR
            if self._is_clean:
                _check(hit, documents[item], query, with_text=with_value)
        if self._is_clean:
            self._check_complete(hits, list(documents.values()), query, limit, offset, min_score)
        elif self._solid and min_score is None and not hits.is_partial:
            steady = [one for one in self._steady(documents) if one.texts() and one.id not in self._model.dead]
            assert len(hits) >= min(limit, len(steady) - offset)

    def _steady(self, documents: dict[Id, Document]) -> list[Document]:
        """Those that the index has held for a while: whatever else it holds, they are found."""
        late = self._model.dirty | self._model.lost
        return [one for one in documents.values() if one.id not in late and one.index is not False]

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

    def ordered(self, prefix: tuple[str, ...], where: dict[str, Any] | None, order_by: str, limit: int) -> None:
        """All pages of `find` together."""
        found: list[Document] = []
        documents = {one.id: one for one in self._model.under(prefix, self._now, where)}
        cursor = None
        while True:
            page = self._store.find(prefix, filter=where, order_by=order_by, limit=limit, cursor=cursor)
            assert len(page.items) <= limit
            found += [documents[item.namespace, item.key] for item in page.items]
            assert [of_item(item) for item in page.items] == [shown(one) for one in found[len(found) - len(page.items) :]]
            cursor = page.cursor
            if cursor is None:
                break
        if self._is_clean:
            expected = [one for one in documents.values() if one.index is not False]
            assert {one.id for one in found} == {one.id for one in expected}
            assert len(found) == len(expected)
            assert [_rank(one, order_by) for one in found] == _sorted(expected, order_by)
        elif self._solid:
            assert {one.id for one in self._steady(documents)} <= {one.id for one in found}

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


def _rank(document: Document, order_by: str) -> tuple[int, Any]:
    """What a document is ordered by: numbers, then text by code point, then what has neither."""
    name = order_by.removeprefix("-")
    if name != "n":
        return 0, document.version if name == "$updated_at" else document.created_at
    value = document.value.get("n")
    if isinstance(value, str):
        return 1, value
    return (2, 0) if value is None else (0, value)


def _sorted(documents: list[Document], order_by: str) -> list[tuple[int, Any]]:
    ranks = [_rank(one, order_by) for one in documents]
    has = sorted((rank for rank in ranks if rank[0] < 2), reverse=order_by.startswith("-"))
    return has + [rank for rank in ranks if rank[0] == 2]


def scores(document: Document, query: str) -> dict[str, float]:
    """How near each of the document's texts is, by path."""
    texts = document.texts()
    asked, *vectors = _EMBEDDER.embed([query, *texts.values()])
    return {path: sum(a * b for a, b in zip(asked, vector, strict=True)) for path, vector in zip(texts, vectors, strict=True)}


def _check(hit: Hit, document: Document, query: str, *, with_text: bool) -> None:
    """The hit is of the document's own text, as it is now, by the best of its chunks."""
    near = scores(document, query)
    assert hit.fresh
    assert hit.path in near, (hit, document)
    assert hit.text == (document.texts()[hit.path] if with_text else None)
    assert abs(hit.score - near[hit.path]) < _NEAR
    assert hit.score > max(near.values()) - _NEAR
