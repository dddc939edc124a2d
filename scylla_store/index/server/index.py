"""`QdrantServer`: the index contract as requests to a Qdrant server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from scylla_store.conditions import ALWAYS, Condition
from scylla_store.index.base import VECTOR, Along, IndexSpecification, Match, Point, Question, SeenPoint, Vector
from scylla_store.index.ids import stored_id
from scylla_store.index.payloads import UNREAD, WHERE, WHOSE, is_unchanged, seen_point
from scylla_store.index.server.connection import Connection
from scylla_store.index.server.requests import by_answer, by_number, by_size
from scylla_store.index.vectors import checked_vectors, lower_bound
from scylla_store.settings.options import IndexSettings

if TYPE_CHECKING:
    from qdrant_client import models

    from scylla_store.index.server.filters import ServerFilters
    from scylla_store.index.server.scrolling import Payload

_PAGE = 1000


class QdrantServer:
    """A collection on a Qdrant server. Safe to use from several threads, and in a child after a fork.

    Every request has `settings.timeout` of its own, so a call of many requests may take long, a silent server not.

    Args:
        store: tells the id of the store that uses it. It is asked when the collection has one, which must be the same. None: only
            `setup` compares them.
    """

    def __init__(self, settings: IndexSettings, *, store: Callable[[], str | None] | None = None) -> None:
        self._connection = Connection(settings, store)
        self._name = settings.collection
        self._is_replicated = settings.replication_factor > 1

    def connect(self) -> None:
        self._connection.connect()

    def close(self) -> None:
        self._connection.close()

    def exists(self) -> bool:
        self.connect()
        return self._connection.ask(lambda client: client.collection_exists(self._name))

    def setup(self, specification: IndexSpecification) -> bool:
        from scylla_store.index.server.collection import set_up

        return self._connection.ask(lambda client: set_up(client, self._connection.settings, specification))

    def points_of(self, items: Sequence[str], *, tokens: bool = True) -> dict[str, list[SeenPoint]]:
        from qdrant_client import models

        found: dict[str, list[SeenPoint]] = {}
        payload = True if tokens else models.PayloadSelectorExclude(exclude=UNREAD)
        for some in by_number(items):
            for point in self._all(self._filters.of_items(some, tokens=not tokens), payload=payload):
                found.setdefault(point.item, []).append(point)
        return found

    def without_vector(self, items: Sequence[str]) -> set[str]:
        conditions = [self._filters.without_vector(some) for some in by_number(items)]
        return {point.id for condition in conditions for point in self._all(condition, payload=["item"])}

    def at(self, ids: Sequence[str]) -> dict[str, SeenPoint]:
        return {
            str(record.id): seen_point(str(record.id), record.payload)
            for some in by_number(ids)
            for record in self._retrieve(list(some), vectors=False)
        }

    def vectors(self, points: Sequence[tuple[str, str]]) -> dict[str, Vector]:
        seen = dict(points)
        return {
            str(record.id): cast("dict[str, Vector]", record.vector)[VECTOR]
            for some in by_number(points)
            for record in self._retrieve([identifier for identifier, _ in some])
            if record.vector and is_unchanged(record.payload, seen[str(record.id)])
        }

    def upsert(self, points: Sequence[Point], *, at_most: int) -> None:
        if points:
            vectors = checked_vectors(points, self._connection.dimensions())
            condition = self._filters.not_newer(at_most)
            for start, end in by_size(points):
                self._upsert(points[start:end], vectors[start:end], condition)

    def delete(self, points: Sequence[tuple[str, str]]) -> None:
        for some in by_number(points):
            self._delete(self._filters.unchanged(some))

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        return [matches for start, end in by_answer(questions) for matches in self._query(questions[start:end])]

    def count(self, *, prefix: str | None, now: int, where: Condition = ALWAYS) -> int:
        condition = self._filters.live_items(prefix, now, where)
        return self._connection.call(lambda client: client.count(self._name, condition, exact=True)).count

    def first_points(
        self,
        *,
        prefix: str | None,
        now: int,
        limit: int,
        where: Condition = ALWAYS,
        along: Along | None = None,
        after: str | None = None,
        fields: Sequence[str] = (),
    ) -> list[SeenPoint]:
        from scylla_store.index.server.scrolling import Scroll, scroll

        condition, payload = self._filters.live_items(prefix, now, where), [*WHOSE, *fields]
        if along is None:
            return self._scroll(condition, after, limit, payload=payload)[0]
        wanted = Scroll(self._name, condition, None, limit, payload, None, along)
        grpc = self._connection.settings.prefer_grpc
        return self._connection.call(lambda client: scroll(client, wanted, grpc=grpc))[0]

    def slices(self, which: range | None, *, after: str | None, limit: int) -> tuple[list[SeenPoint], str | None]:
        return self._scroll(self._filters.of_slices(which), after, limit, payload=[*WHOSE, *WHERE])

    def ping(self) -> float:
        self.connect()
        start = time.perf_counter()
        self._connection.call(lambda client: client.get_collection(self._name))  # a server may be up without it
        return time.perf_counter() - start

    @cached_property
    def _filters(self) -> ServerFilters:
        from scylla_store.index.server.filters import ServerFilters

        return ServerFilters()

    def _query(self, questions: Sequence[Question]) -> list[list[Match]]:
        from qdrant_client import models

        from scylla_store.index.server.querying import query

        requests = [
            models.QueryRequest(
                query=[float(number) for number in question.vector],
                using=VECTOR,
                filter=self._filters.live(question.prefix, question.now, question.where),
                limit=question.limit,
                with_payload=models.PayloadSelectorExclude(exclude=UNREAD),
                score_threshold=None if question.min_score is None else lower_bound(question.min_score),
            )
            for question in questions
        ]
        grpc = self._connection.settings.prefer_grpc
        return self._connection.call(lambda client: query(client, self._name, requests, grpc=grpc))

    def _retrieve(self, identifiers: list[str], *, vectors: bool = True) -> list[models.Record]:
        wanted: bool | list[str] = [VECTOR] if vectors else False
        return self._connection.call(
            lambda client: client.retrieve(
                self._name, list(map(stored_id, identifiers)), True, wanted, consistency=self._consistency
            )
        )

    def _upsert(self, points: Sequence[Point], vectors: Sequence[list[float] | None], condition: Any) -> None:
        from qdrant_client import models

        structs = [
            models.PointStruct(id=ident, vector={} if vector is None else {VECTOR: vector}, payload=point.payload)
            for ident, point, vector in zip((stored_id(one.id) for one in points), points, vectors, strict=True)
        ]
        # Medium: writes of a shard go through one replica, which is chosen anew when it fails.
        medium = models.WriteOrdering.MEDIUM
        self._connection.call(
            lambda client: client.upsert(self._name, structs, wait=True, ordering=medium, update_filter=condition)
        )

    def _delete(self, condition: Any) -> None:
        from qdrant_client import models

        selector, medium = models.FilterSelector(filter=condition), models.WriteOrdering.MEDIUM
        self._connection.call(lambda client: client.delete(self._name, selector, wait=True, ordering=medium))

    def _all(self, condition: Any, *, payload: Payload) -> list[SeenPoint]:
        points, after = self._scroll(condition, None, _PAGE, payload=payload)
        while after is not None:
            more, after = self._scroll(condition, after, _PAGE, payload=payload)
            points += more
        return points

    def _scroll(
        self, condition: Any, after: str | None, limit: int, *, payload: Payload = True
    ) -> tuple[list[SeenPoint], str | None]:
        """Points by id. The server begins with its offset, we begin after it."""
        from scylla_store.index.server.scrolling import Scroll, scroll

        wanted = Scroll(self._name, condition, after, limit + 1, payload, self._consistency)
        grpc = self._connection.settings.prefer_grpc
        found, has_more = self._connection.call(lambda client: scroll(client, wanted, grpc=grpc))
        points = [point for point in found if point.id != after]
        page = points[:limit]
        return page, page[-1].id if len(points) > limit or has_more else None

    @property
    def _consistency(self) -> models.ReadConsistencyType | None:
        """With replicas, reads that decide see what a majority was told: as many acknowledge each write."""
        from qdrant_client import models

        return models.ReadConsistencyType.MAJORITY if self._is_replicated else None
