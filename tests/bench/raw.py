"""The raw parts: what a careful programmer would write with the drivers alone, doing the same to the same tables.

Session and client are opened as ours are (tuples instead of named tuples, TCP_NODELAY, answers that are not compressed), and
statements are the same text; values are bound by the driver itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from scylla_store.database.cql.cluster import open_cluster, shut_down
from scylla_store.database.cql.statements import qualified, statements
from scylla_store.intents import IntentKey
from scylla_store.settings.options import DatabaseSettings, IndexSettings
from tests.bench.documents import Document

Namespace = tuple[str, ...]

_NAMES = (
    "head",
    "heads",
    "row",
    "rows",
    "scan_from_start",
    "replace_if_same",
    "write_item",
    "file_intent",
    "ack_intent",
    "register",
    "intents_from_start",
    "keep_book",
    "scan_all",
)
_MARGIN = 30_000_000
_SLOT = 10_000_000


class RawCql:
    """cassandra-driver, without anything of ours around it."""

    def __init__(self, settings: DatabaseSettings) -> None:
        from cassandra.query import BatchStatement, BatchType

        self._batch_statement, self._batch_type = BatchStatement, BatchType
        self._cluster, self.session = open_cluster(settings)
        self.prepared = {
            name: self.session.prepare(qualified(statements()[name].cql, settings.keyspace)) for name in _NAMES
        }

    def __enter__(self) -> RawCql:
        return self

    def __exit__(self, *_: object) -> None:
        shut_down(self._cluster)

    def put(self, namespace: Namespace, key: str, head: bytes, body: bytes) -> None:
        """Reads the head, then writes item and intent in one logged batch."""
        self.session.execute(self.prepared["head"], (list(namespace), key)).one()
        batch = self._batch_statement(self._batch_type.LOGGED)
        now = time.time_ns() // 1000
        batch.add(self.prepared["write_item"], (now, head, body, list(namespace), key))
        batch.add(self.prepared["file_intent"], intent(namespace, key, now))
        self.session.execute(batch)

    def get(self, namespace: Namespace, key: str) -> Any:
        """One prepared select."""
        return self.session.execute(self.prepared["row"], (list(namespace), key)).one()

    def compare_and_set(self, namespace: Namespace, key: str, head: bytes, body: bytes) -> None:
        """The statements of one: select, intent, lightweight transaction, serial select."""
        from cassandra import ConsistencyLevel

        before = self.get(namespace, key)
        self.session.execute(self.prepared["file_intent"], intent(namespace, key, time.time_ns() // 1000))
        values = (head, body, list(namespace), key, before[2])
        applied = self.session.execute(self.prepared["replace_if_same"], values).one()
        assert applied[0], "nobody else writes it"
        statement = self.prepared["row"].bind((list(namespace), key))
        statement.consistency_level = ConsistencyLevel.SERIAL
        self.session.execute(statement).one()

    def count_all(self) -> int:
        """Reads all rows, a thousand in a page."""
        statement = self.prepared["scan_all"].bind((-(2**63), 2**31 - 1))
        statement.fetch_size = 1000
        return sum(1 for _ in self.session.execute(statement))

    def get_many(self, namespace: Namespace, keys: list[str]) -> list[Any]:
        """One select with IN."""
        return list(self.session.execute(self.prepared["rows"], (list(namespace), keys)))

    def write_concurrently(self, rows: Sequence[tuple[Any, ...]], *, statement: str = "write_item") -> None:
        """`execute_concurrent` with single statements, as the driver's documentation recommends."""
        from cassandra.concurrent import execute_concurrent_with_args

        execute_concurrent_with_args(self.session, self.prepared[statement], rows, concurrency=100)

    def ack(self, keys: Sequence[IntentKey]) -> None:
        """Removes outbox rows of one partition in one batch."""
        now = time.time_ns() // 1000
        batch = self._batch_statement(self._batch_type.UNLOGGED)
        for key in keys:
            batch.add(self.prepared["ack_intent"], (now, key.slot, key.shard, key.due, key.intent))
        self.session.execute(batch)

    def take(self, partitions: Iterable[tuple[int, int]]) -> None:
        """Reads outbox rows of whole partitions and pushes each of them."""
        from cassandra.concurrent import execute_concurrent_with_args

        select, update, now = self.prepared["intents_from_start"], self.prepared["keep_book"], time.time_ns() // 1000
        found = [
            (slot, shard, row[0], row[1])
            for slot, shard in partitions
            for row in self.session.execute(select, (slot, shard, 1_000_000))
        ]
        pushes = [(now // 2, now + _MARGIN, 0, None, None, *key) for key in found]
        execute_concurrent_with_args(self.session, update, pushes, concurrency=100)


class RawIndex:
    """qdrant-client, without anything of ours around it."""

    def __init__(self, settings: IndexSettings) -> None:
        from qdrant_client import models

        from scylla_store.index.server.client import open_client

        self._models = models
        self._client = open_client(settings)
        self._collection = settings.collection

    def __enter__(self) -> RawIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def count_all(self) -> int:
        """Reads all points, a thousand in a page."""
        count, after = 0, None
        while True:
            found, after = self._client.scroll(
                self._collection, limit=1000, offset=after, with_payload=True, with_vectors=False
            )
            count += len(found)
            if after is None:
                return count

    def points_of(self, items: list[str]) -> list[Any]:
        """All points of the items, by one scroll."""
        wanted = self._models.FieldCondition(key="item", match=self._models.MatchAny(any=items))
        found, _ = self._client.scroll(
            self._collection,
            scroll_filter=self._models.Filter(must=[wanted]),
            limit=10 * len(items),
            with_payload=True,
            with_vectors=False,
        )
        return found

    def upsert(self, points: Sequence[tuple[str, Any, dict[str, Any]]], at_most: int) -> None:
        """Points (id, vector, payload) in one request, each where the stored version is not above the bound."""
        bound = self._models.FieldCondition(key="version", range=self._models.Range(lte=at_most))
        self._client.upsert(
            self._collection,
            [
                self._models.PointStruct(id=ident, vector={"text": vector}, payload=payload)
                for ident, vector, payload in points
            ],
            wait=True,
            ordering=self._models.WriteOrdering.MEDIUM,
            update_filter=self._models.Filter(must=[bound]),
        )

    def query(self, vector: Any, prefix: str, now: int, limit: int, *, token: str | None = None) -> list[Any]:
        """Nearest points under a prefix that are not expired, and have the token of a filter."""
        models = self._models
        conditions = [
            models.FieldCondition(key="prefixes", match=models.MatchValue(value=prefix)),
            models.FieldCondition(key="expires_at", range=models.Range(gt=now)),
        ]
        payload: Any = True
        if token is not None:
            conditions.append(models.FieldCondition(key="tokens", match=models.MatchAny(any=[token])))
            payload = models.PayloadSelectorExclude(exclude=["tokens"])
        return list(
            self._client.query_points(
                self._collection,
                query=vector,
                using="text",
                query_filter=models.Filter(must=conditions),
                limit=limit,
                with_payload=payload,
            ).points
        )

    def is_calm(self) -> bool:
        """Whether nothing is being optimised."""
        return bool(self._client.get_collection(self._collection).status == self._models.CollectionStatus.GREEN)

    def clear(self, prefix: str) -> None:
        """Deletes what is under a prefix, so that rounds do not make the collection grow."""
        under = self._models.FieldCondition(key="prefixes", match=self._models.MatchValue(value=prefix))
        self._client.delete(self._collection, self._models.Filter(must=[under]), wait=True)


def item_row(namespace: Namespace, document: Document, now: int) -> tuple[Any, ...]:
    """Values of `write_item`."""
    write_id = os.urandom(16)
    return now, write_id + bytes(34), write_id + document.body, list(namespace), document.key


def intent(namespace: Namespace, key: str, now: int, shard: int = 0) -> tuple[Any, ...]:
    """Values of `file_intent`."""
    due = now + _MARGIN
    ident = os.urandom(16)
    return due // _SLOT, shard, due, ident, list(namespace), key, os.urandom(16), now, "write", now, 1
