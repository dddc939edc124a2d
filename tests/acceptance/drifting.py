"""Plants differences of every kind between documents and index, by plain requests to Qdrant and cells of the database."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx

from scylla_store.database.base import Database, Mutation
from scylla_store.identity import ItemId, item_digest, item_slice, point_id
from scylla_store.rows import Head

EXPIRED_SINCE = 3600 * 1_000_000
_ZEROS = "0" * 32


class Planter:
    """Breaks documents of a collection, one kind each.

    Args:
        client: of the points of the collection; database: for rows that expire without an intent.
    """

    def __init__(self, client: httpx.Client, database: Database) -> None:
        self._client = client
        self._database = database
        self.kinds: dict[str, Callable[[ItemId], None]] = {
            "missing": lambda item: self._delete(self._ids(item)),
            "incomplete": lambda item: self._delete(self._ids(item)[1:2]),
            "stale": lambda item: self._set(item, version=5, write=_ZEROS, fingerprint=_ZEROS),
            "wrong_model": lambda item: self._set(item, model="another", fingerprint=_ZEROS),
            "newer": lambda item: self._set(item, version=2**52),
            "damaged": lambda item: self._set(item, version="many"),
            "expired": self._expire,
            "orphan": self._orphan,
        }

    def plant(self, items: Sequence[ItemId]) -> dict[str, int]:
        """Breaks each of the items, the kinds in turn; returns how many of each."""
        planted = dict.fromkeys(self.kinds, 0)
        for number, item in enumerate(items):
            kind = list(self.kinds)[number % len(self.kinds)]
            self.kinds[kind](item)
            planted[kind] += 1
        return planted

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()["result"]

    def _points(self, item: ItemId) -> list[dict[str, Any]]:
        match = {"must": [{"key": "item", "match": {"value": item_digest(item)}}]}
        found = self._post("/scroll", {"filter": match, "limit": 100, "with_payload": True, "with_vector": True})
        points: list[dict[str, Any]] = found["points"]
        assert len(points) > 1, f"{item} has {len(points)} points; it needs several chunks"
        return sorted(points, key=lambda point: int(point["payload"]["ordinal"]))

    def _ids(self, item: ItemId) -> list[str]:
        return [str(point["id"]) for point in self._points(item)]

    def _delete(self, ids: list[str]) -> None:
        self._post("/delete?wait=true", {"points": ids})

    def _set(self, item: ItemId, **payload: Any) -> None:
        self._post("/payload?wait=true", {"payload": payload, "points": self._ids(item)[:1]})

    def _expire(self, item: ItemId) -> None:
        """The row expired an hour ago, and its intent is lost."""
        [cells] = self._database.read([item]).values()
        head = Head.decode(cells.head or b"", item)
        dead = replace(head, expires_at=cells.version - EXPIRED_SINCE)
        with self._database.writing([item]) as writing:
            [error] = writing.commit([Mutation(item, cells.version + 1, dead.encode(), cells.body)])
            assert error is None

    def _orphan(self, item: ItemId) -> None:
        """Points beside the item's, of one that never was."""
        absent = ItemId(item.namespace, f"{item.key} never was")
        digest = item_digest(absent)
        point = copy.deepcopy(self._points(item)[0])
        point["payload"] |= {"item": digest, "key": absent.key, "slice": item_slice(digest)}
        point["id"] = point_id(digest, 0)
        self._client.put("?wait=true", json={"points": [point]}).raise_for_status()
