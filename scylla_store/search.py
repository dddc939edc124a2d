"""Finding items by meaning: the index finds chunks, the database says what they are now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from scylla_store.arguments import shown
from scylla_store.clock import VersionClock
from scylla_store.conditions import ALWAYS, Condition
from scylla_store.coverage import Coverage
from scylla_store.embedders.base import Embedder
from scylla_store.errors import DamagedRow, EmbedderUnavailable, StoreError, TransientError, ValidationError
from scylla_store.failures import Failure
from scylla_store.filters import Filter, condition_of
from scylla_store.identity import ItemId, Namespace, checked_namespace, checked_text, namespace_digest, plain
from scylla_store.index.base import Index, Match, Vector
from scylla_store.items import Hit, Hits, Item
from scylla_store.monitoring import Metrics
from scylla_store.points import text_hash
from scylla_store.reads import Reader, checked_limit, matching
from scylla_store.rows import Row
from scylla_store.settings.options import Settings
from scylla_store.texts import text_at

log = logging.getLogger(__name__)

_LEAST_FETCH = 20
_MOST_FETCH = 1000
_MOST_QUERY_BYTES = 1_048_576
_LARGEST = 3.4e38
"""Vectors and scores are 32-bit floats."""


@dataclass(frozen=True)
class _Asked:
    """What a search looks for; `condition` is what the index is asked of the filter."""

    namespace: Namespace
    wanted: int
    min_score: float | None
    where: Filter | None
    condition: Condition


class Searcher:
    """Embeds the query, asks the index, reads the items."""

    def __init__(
        self,
        reader: Reader,
        index: Index,
        embedder: Embedder,
        clock: VersionClock,
        open_index: Callable[[], None],
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._index = index
        self._embedder = embedder
        self._clock = clock
        self._open_index = open_index
        self._metrics = metrics
        self._ranges = settings.index.range_fields
        self._coverage = Coverage(index, self._ranges, clock.now)
        self._most = settings.limits.max_scanned

    def search(
        self,
        prefix: object,
        query: str | None,
        *,
        vector: Sequence[float] | None,
        limit: int,
        offset: int,
        min_score: float | None,
        where: Filter | None = None,
    ) -> Hits:
        """One hit per item, its best chunk, best first. Goes on fetching when items are gone, until `limit` or the end."""
        namespace = checked_namespace(prefix, argument="prefix", prefix=True)
        limit, offset = checked_limit(limit), checked_limit(offset, "offset", least=0)
        _check_score(min_score)
        text, numbers = self._checked_question(query, vector)
        condition = ALWAYS if where is None else condition_of(where, self._ranges)
        asked = _Asked(namespace, offset + limit, min_score, where, condition)
        with self._measured():
            self._open_index()
            if where is not None:
                asked = replace(asked, condition=self._coverage.widened(condition))
            hits = self._found(asked, self._embedded(text) if numbers is None else numbers)
        return Hits(hits[offset:], is_partial=hits.is_partial)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        try:
            with self._metrics.timed("search.run"):
                yield
        except TransientError:
            self._metrics.count("search.failed")
            raise

    def _found(self, asked: _Asked, vector: Vector) -> Hits:
        """With a filter it looks at `limits.max_scanned` points at most: some of them may be let through in vain."""
        hits: dict[ItemId, Hit] = {}
        tried: set[ItemId] = set()
        start, is_partial = 0, False
        size = max(_LEAST_FETCH, min(_MOST_FETCH, 2 * asked.wanted))
        size = size if asked.where is None else min(size, self._most)
        while len(hits) < asked.wanted:
            if asked.where is not None and start >= self._most:
                is_partial = True
                break
            found = self._index.query(
                vector,
                prefix=namespace_digest(asked.namespace) if asked.namespace else None,
                now=self._clock.now(),
                limit=size,
                offset=start,
                min_score=asked.min_score,
                where=asked.condition,
            )
            best = _best(found, tried, asked.namespace)
            tried.update(best)
            hits.update(self._hydrate(best, asked.wanted - len(hits), asked.where))
            if len(found) < size:
                break
            start += size
        return Hits(list(hits.values())[: asked.wanted], is_partial=is_partial)

    def _hydrate(self, best: dict[ItemId, Match], wanted: int, where: Filter | None) -> dict[ItemId, Hit]:
        """Reads as many items as are wanted, and the others only if some of those are gone or do not match."""
        hits: dict[ItemId, Hit] = {}
        ids = list(best)
        for part in (ids[:wanted], ids[wanted:]):
            if part and len(hits) < wanted:
                rows = self._reader.rows(part, damaged=_report)
                found = ((item, _sound_hit(rows[item], best[item], where)) for item in part if item in rows)
                hits.update((item, hit) for item, hit in found if hit is not None)
        return hits

    def _checked_question(self, query: object, vector: object) -> tuple[str, Vector | None]:
        """The query, or the vector."""
        if (query is None) == (vector is None):
            raise ValidationError("search needs a query or a vector, and not both")
        if vector is None:
            checked_text(query, "query", _MOST_QUERY_BYTES)
            text = plain(query)
            if not text.strip():
                raise ValidationError("query must be a string with text in it")
            return text, None
        numbers = _numbers(vector)
        if len(numbers) != self._embedder.dimensions or not all(abs(number) < _LARGEST for number in numbers):
            raise ValidationError(f"vector must have {self._embedder.dimensions} finite numbers, it has {len(numbers)}")
        return "", numbers

    def _embedded(self, query: str) -> Vector:
        try:
            return self._embedder.embed([query])[0]
        except StoreError:
            raise
        except Exception as exc:  # an embedder may be anybody's, and raise anything
            reason = Failure.of(exc, [query]).message
            raise EmbedderUnavailable(f"The embedder {self._embedder.name} failed on the query: {reason}") from exc


def _best(found: Sequence[Match], tried: set[ItemId], prefix: Namespace) -> dict[ItemId, Match]:
    """The best match of each item under the prefix that was not tried before, best first."""
    best: dict[ItemId, Match] = {}
    for match in found:
        item = ItemId(tuple(match.payload["namespace"]), match.payload["key"])
        if item not in tried and item.namespace[: len(prefix)] == prefix:
            best.setdefault(item, match)
    return best


def _numbers(vector: Any) -> list[float]:
    """The numbers of a list, a tuple or an array; text is none, although its digits would do."""
    try:
        if isinstance(vector, (str, bytes, bytearray, Mapping, Set)):
            raise TypeError
        values = vector.tolist() if hasattr(vector, "tolist") else list(vector)
        if any(isinstance(value, (str, bytes, bool)) for value in values):
            raise TypeError
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise ValidationError("vector must be a sequence of numbers") from None


def _check_score(min_score: object) -> None:
    if min_score is not None and (
        isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not abs(min_score) < _LARGEST
    ):
        raise ValidationError(f"min_score must be a finite number, not {shown(min_score)}")


def _sound_hit(row: Row, match: Match, where: Filter | None) -> Hit | None:
    """The hit, when the item matches as it is now.

    A damaged document takes no other hit with it: `get` and `list` raise what is only logged here.
    """
    try:
        item = Item.of(row) if where is None else matching(row, where)
        return None if item is None else _hit(item, row, match)
    except DamagedRow as exc:
        _report(exc)
        return None


def _report(exc: DamagedRow) -> None:
    log.error("A damaged row is left out of a search: %s", exc)


def _hit(item: Item, row: Row, match: Match) -> Hit:
    payload = match.payload
    fresh = payload.get("write") == row.head.write_id.hex()
    path = payload.get("path")
    text = None
    if fresh and path is not None:
        whole = text_at(item.value, path)
        piece = None if whole is None else whole[payload["start"] : payload["end"]]
        text = piece if piece is not None and text_hash(piece) == payload["text_hash"] else None
    return Hit(item=item, score=match.score, path=path, text=text, fresh=fresh)
