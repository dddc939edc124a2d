"""The raw parts of embedded mode: sqlite3 on the store's own file, and Qdrant's engine in a folder of its own."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as engine

from scylla_store.database.sqlite.encoding import to_column
from scylla_store.index.payloads import INDEXED, TENANT
from scylla_store.intents import IntentKey

Namespace = tuple[str, ...]

_MARGIN = 30_000_000
_FLUSH_EVERY = 5000
_HEAD = "SELECT version, head FROM items WHERE namespace = ? AND key = ?"
_ROWS = "SELECT key, version, head, refresh, letter, body FROM items WHERE namespace = ? AND key IN ({})"
_WRITE = """
    INSERT INTO items (namespace, key, version, head, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE SET version = excluded.version, head = excluded.head, body = excluded.body"""
_FILE = "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL)"
_ACK = "DELETE FROM outbox WHERE due = ? AND shard = ? AND intent = ?"


class RawSqlite:
    """sqlite3 alone, with the same pragmas."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    def __enter__(self) -> RawSqlite:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def put(self, namespace: Namespace, key: str, head: bytes, body: bytes) -> None:
        """Head, item and intent in one transaction."""
        column, now, execute = to_column(namespace), time.time_ns() // 1000, self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(_HEAD, (column, key)).fetchone()
        execute(_WRITE, (column, key, now, head, body))
        due = now + _MARGIN
        execute(_FILE, (due, 0, os.urandom(16), column, key, head[:16], now, "write", now, due))
        execute("COMMIT")

    def get(self, namespace: Namespace, key: str) -> Any:
        """One select."""
        return self.get_many(namespace, [key])[0]

    def get_many(self, namespace: Namespace, keys: list[str]) -> list[Any]:
        """One select with IN."""
        marks = ", ".join("?" * len(keys))
        return self._connection.execute(_ROWS.format(marks), (to_column(namespace), *keys)).fetchall()

    def ack(self, keys: Sequence[IntentKey]) -> None:
        """Removes outbox rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_ACK, keys)
        self._connection.execute("COMMIT")


class RawEdge:
    """qdrant-edge-py alone, with the same payload indexes, flushed as often."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        config = engine.EdgeConfig(vectors={"text": engine.EdgeVectorParams(dimensions, engine.Distance.Cosine)})
        folder.mkdir()
        self._shard = engine.EdgeShard.create(str(folder), config)
        self._unflushed = 0
        types = {"keyword": engine.PayloadSchemaType.Keyword, "integer": engine.PayloadSchemaType.Integer}
        for field, kind in INDEXED.items():
            schema = engine.KeywordIndexParams(is_tenant=True) if field == TENANT else types[kind]
            self._shard.update(engine.UpdateOperation.create_field_index(field, schema))

    def __enter__(self) -> RawEdge:
        return self

    def __exit__(self, *_: object) -> None:
        self._shard.close()

    def points_of(self, items: list[str]) -> list[Any]:
        """All points of the items, by one scroll."""
        wanted = engine.FieldCondition("item", match=engine.MatchAny(items))
        request = engine.ScrollRequest(
            limit=10 * len(items), filter=engine.Filter(must=[wanted]), with_payload=True, with_vector=False
        )
        found, _ = self._shard.scroll(request)
        return list(found)

    def upsert(self, points: Sequence[tuple[str, Any, dict[str, Any]]], at_most: int) -> None:
        """Points (id, vector, payload) in one request, each where the stored version is not above the bound."""
        whole = [engine.Point(ident, {"text": vector}, payload) for ident, vector, payload in points]
        newer = engine.FieldCondition("version", range=engine.RangeFloat(gt=at_most))
        self._shard.update(engine.UpdateOperation.upsert_points(whole, engine.Filter(must_not=[newer])))
        self._unflushed += len(points)
        if self._unflushed >= _FLUSH_EVERY:
            self._shard.flush()
            self._unflushed = 0

    def query(self, vector: list[float], prefix: str, now: int, limit: int) -> list[Any]:
        """Nearest points under a prefix that are not expired."""
        conditions = [
            engine.FieldCondition("prefixes", match=engine.MatchValue(prefix)),
            engine.FieldCondition("expires_at", range=engine.RangeFloat(gt=now)),
        ]
        request = engine.QueryRequest(
            limit,
            query=engine.Query.Nearest(vector, using="text"),
            filter=engine.Filter(must=conditions),
            with_payload=True,
        )
        return list(self._shard.query(request))
