"""Finding items by meaning: the index finds chunks, the database says what they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from numbers import Real
from typing import Any

from scylla_store.arguments import checked_flag, checked_iterator, shown
from scylla_store.clock import VersionClock, to_datetime
from scylla_store.coverage import Coverage
from scylla_store.embedders.base import Embedder
from scylla_store.errors import EmbedderUnavailable, StoreError, TransientError, ValidationError
from scylla_store.failures import Failure
from scylla_store.filters import Filter, condition_of
from scylla_store.hits import Asked, report
from scylla_store.identity import checked_namespace, checked_text, plain
from scylla_store.index.base import Index, Vector
from scylla_store.inquiry import Found, Inquiry
from scylla_store.items import Hit, Hits
from scylla_store.monitoring import Metrics
from scylla_store.reads import Reader, checked_limit
from scylla_store.rows import Row
from scylla_store.settings.options import Settings

MOST_QUERIES = 100
"""Queries of one `search_many`."""

_MOST_QUERY_BYTES = 1_048_576
_MOST_NUMBERS = 65_537
"""More than any index takes; an iterator may never end."""

_LARGEST = 3.4e38
"""Vectors and scores are 32-bit floats."""


@dataclass(frozen=True)
class Terms:
    """What a search says beside its query: see `ScyllaStore.search`."""

    where: Filter | None = None
    limit: int = 10
    offset: int = 0
    min_score: float | None = None
    with_value: bool = True
    refresh_ttl: bool = False


class Searcher:
    """Embeds the queries, asks the index, reads the items: one request each for all queries together."""

    def __init__(
        self,
        reader: Reader,
        index: Index,
        embedder: Embedder,
        clock: VersionClock,
        open_index: Callable[[], None],
        coverage: Coverage,
        is_rebuilding: Callable[[], bool],
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._index = index
        self._embedder = embedder
        self._clock = clock
        self._open_index = open_index
        self._is_rebuilding = is_rebuilding
        self._metrics = metrics
        self._ranges = settings.index.range_fields
        self._coverage = coverage
        self._most = settings.limits.max_scanned

    def search(self, prefix: object, query: object, vector: object, terms: Terms) -> Hits:
        """The hits of a text or of a vector."""
        asked, question = self._asked(prefix, terms), self._checked_either(query, vector)
        [hits] = self._run(asked, [question], terms)
        return hits

    def check(self, prefix: object, query: object, vector: object, terms: Terms) -> None:
        """Raises ValidationError as `search` would."""
        self._asked(prefix, terms)
        self._checked_either(query, vector)

    def search_many(self, prefix: object, queries: object, terms: Terms) -> list[Hits]:
        """The hits of each text or vector, in their order."""
        asked = self._asked(prefix, terms)
        questions = self._checked_queries(queries)
        return self._run(asked, questions, terms) if questions else []

    def _asked(self, prefix: object, terms: Terms) -> Asked:
        namespace = checked_namespace(prefix, argument="prefix", prefix=True)
        limit, offset = checked_limit(terms.limit), checked_limit(terms.offset, "offset", least=0)
        _check_score(terms.min_score)
        with_value = checked_flag(terms.with_value, "with_value")
        checked_flag(terms.refresh_ttl, "refresh_ttl")
        asked = Asked(namespace, offset + limit, terms.min_score, terms.where, with_value=with_value)
        return asked if terms.where is None else replace(asked, condition=condition_of(terms.where, self._ranges))

    def _run(self, asked: Asked, questions: Sequence[str | Vector], terms: Terms) -> list[Hits]:
        with self._measured():
            self._open_index()
            if asked.where is not None:
                asked = replace(asked, condition=self._coverage.widened(asked.condition))
            inquiries = [Inquiry(asked, vector, self._most) for vector in self._vectors(questions)]
            began = self._reader.moment() if terms.refresh_ttl else None
            self._pursue(inquiries, reads_body=asked.reads_body)
            pages = [one.best()[terms.offset :] for one in inquiries]
            if began is not None:
                pages = self._refreshed(pages, began)
        is_rebuilding = self._is_rebuilding()
        return [
            Hits((hit for hit, _ in page), is_rebuilding=is_rebuilding, is_partial=one.is_partial)
            for one, page in zip(inquiries, pages, strict=True)
        ]

    @contextmanager
    def _measured(self) -> Iterator[None]:
        try:
            with self._metrics.timed("search.run"):
                yield
        except TransientError:
            self._metrics.count("search.failed")
            raise

    def _pursue(self, inquiries: Sequence[Inquiry], *, reads_body: bool) -> None:
        """In rounds, each for those only that still want more."""
        while going := [one for one in inquiries if one.goes_on()]:
            now = self._clock.now()
            answers = self._index.query([one.question(now) for one in going])
            for one, found in zip(going, answers, strict=True):
                one.take(found)
            for rest in (False, True):
                parts = [one.next_items(rest=rest) for one in going]
                wanted = list(dict.fromkeys(item for part in parts for item in part))
                rows = self._reader.rows(wanted, body=reads_body, damaged=report) if wanted else {}
                for one, part in zip(going, parts, strict=True):
                    one.judge(part, rows)

    def _refreshed(self, pages: Sequence[Sequence[Found]], began: int) -> list[list[Found]]:
        """The hits with the time that their items are granted again, each item once; without what has expired meanwhile."""
        rows = self._reader.refresh([found.row for page in pages for found in page], began)
        return [
            [_with_expiry(found.hit, rows[found.row.id]) for found in page if found.row.id in rows] for page in pages
        ]

    def _vectors(self, questions: Sequence[str | Vector]) -> list[Vector]:
        """Texts are embedded in one call, each once."""
        texts = list(dict.fromkeys(question for question in questions if isinstance(question, str)))
        embedded = dict(zip(texts, self._embedded(texts), strict=True)) if texts else {}
        return [embedded[question] if isinstance(question, str) else question for question in questions]

    def _embedded(self, texts: list[str]) -> Sequence[Vector]:
        try:
            return self._embedder.embed(texts)
        except StoreError:
            raise
        except Exception as exc:  # an embedder may be anybody's, and raise anything
            reason = Failure.of(exc, texts).message
            raise EmbedderUnavailable(f"The embedder {self._embedder.name} failed on the query: {reason}") from exc

    def _checked_either(self, query: object, vector: object) -> str | Vector:
        if (query is None) == (vector is None):
            raise ValidationError("search needs a query or a vector, and not both")
        return _checked_query(query, "query") if vector is None else self._checked_vector(vector, "vector")

    def _checked_queries(self, queries: object) -> list[str | Vector]:
        if isinstance(queries, (str, bytes, bytearray, Mapping, Set)):
            raise ValidationError(f"queries must be a list of texts or vectors, not {type(queries).__name__}")
        found = list(islice(checked_iterator(queries, "queries", "texts or vectors"), MOST_QUERIES + 1))
        if len(found) > MOST_QUERIES:
            raise ValidationError(f"queries has more than {MOST_QUERIES} entries; {MOST_QUERIES} are allowed")
        return [self._checked_question(query, f"queries[{at}]") for at, query in enumerate(found)]

    def _checked_question(self, query: object, argument: str) -> str | Vector:
        return _checked_query(query, argument) if isinstance(query, str) else self._checked_vector(query, argument)

    def _checked_vector(self, vector: object, argument: str) -> Vector:
        numbers, size = _numbers(vector, argument), self._embedder.dimensions
        if len(numbers) != size or not all(abs(number) < _LARGEST for number in numbers):
            raise ValidationError(f"{argument} must have {size} finite numbers, it has {len(numbers)}")
        return numbers


def _with_expiry(hit: Hit, row: Row) -> Found:
    expires_at = None if row.expires_at is None else to_datetime(row.expires_at)
    return Found(replace(hit, item=replace(hit.item, expires_at=expires_at)), row)


def _checked_query(query: object, argument: str) -> str:
    checked_text(query, argument, _MOST_QUERY_BYTES)
    text = plain(query)
    if not text.strip():
        raise ValidationError(f"{argument} must be a string with text in it")
    return text


def _numbers(vector: Any, argument: str) -> list[float]:
    """The numbers of a list, a tuple or an array; text is none, although its digits would do."""
    try:
        if isinstance(vector, (str, bytes, bytearray, Mapping, Set)):
            raise TypeError
        values = vector.tolist() if hasattr(vector, "tolist") else list(islice(vector, _MOST_NUMBERS))
        if bool in (kinds := set(map(type, values))) or not all(issubclass(kind, (Real, Decimal)) for kind in kinds):
            raise TypeError
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise ValidationError(f"{argument} must be a sequence of numbers") from None


def _check_score(min_score: object) -> None:
    if min_score is not None and (
        isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not abs(min_score) < _LARGEST
    ):
        raise ValidationError(f"min_score must be a finite number, not {shown(min_score)}")
