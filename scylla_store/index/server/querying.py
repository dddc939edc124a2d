"""Finding the nearest points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scylla_store.index.base import Match
from scylla_store.index.server.rest import posted

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models


def query(
    client: QdrantClient, collection: str, requests: Sequence[models.QueryRequest], *, grpc: bool
) -> list[list[Match]]:
    """What each of the requests finds, best first; all of them are one request to the server."""
    from qdrant_client import models

    if grpc:
        answers = client.query_batch_points(collection, requests)
        return [[Match(str(point.id), point.score, point.payload or {}) for point in one.points] for one in answers]
    batch = models.QueryRequestBatch(searches=list(requests))
    return posted(client, "query/batch", batch, lambda result: _read(result, len(requests)), collection=collection)


def _read(result: Any, number: int) -> list[list[Match]]:
    found = [
        [Match(str(point["id"]), float(point["score"]), dict(point.get("payload") or {})) for point in one["points"]]
        for one in result
    ]
    if len(found) != number:
        raise ValueError("there is not one answer for each request")
    return found
