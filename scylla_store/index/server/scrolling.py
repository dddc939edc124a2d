"""Reading many points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Union

from scylla_store.index.base import Along, SeenPoint
from scylla_store.index.ids import Stored, stored_id
from scylla_store.index.payloads import seen_point
from scylla_store.index.server.rest import posted

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

    Payload = Union[bool, list[str], models.PayloadSelectorExclude]


class Scroll(NamedTuple):
    """What to read: points that match, by id, from `start` on, or along a field.

    Attributes:
        payload: True, or the names of fields, or those that are left out.
        along: instead of `start`.
    """

    collection: str
    condition: models.Filter
    start: str | None
    limit: int
    payload: Payload
    consistency: models.ReadConsistencyType | None
    along: Along | None = None


def scroll(client: QdrantClient, wanted: Scroll, *, grpc: bool) -> tuple[list[SeenPoint], bool]:
    """The points, and whether there are more."""
    return _by_grpc(client, wanted) if grpc else _by_rest(client, wanted)


def _by_grpc(client: QdrantClient, wanted: Scroll) -> tuple[list[SeenPoint], bool]:
    records, more = client.scroll(
        wanted.collection,
        wanted.condition,
        limit=wanted.limit,
        offset=_offset(wanted),
        order_by=_ordering(wanted.along),
        with_payload=wanted.payload,
        with_vectors=False,
        consistency=wanted.consistency,
    )
    return [seen_point(str(record.id), record.payload) for record in records], more is not None


def _by_rest(client: QdrantClient, wanted: Scroll) -> tuple[list[SeenPoint], bool]:
    from qdrant_client import models

    request = models.ScrollRequest(
        offset=_offset(wanted),
        limit=wanted.limit,
        filter=wanted.condition,
        with_payload=wanted.payload,
        with_vector=False,
        order_by=_ordering(wanted.along),
    )
    return posted(client, "scroll", request, _read, collection=wanted.collection, consistency=wanted.consistency)


def _read(result: Any) -> tuple[list[SeenPoint], bool]:
    points = [seen_point(str(record["id"]), record.get("payload")) for record in result["points"]]
    return points, result.get("next_page_offset") is not None


def _offset(wanted: Scroll) -> Stored | None:
    return None if wanted.start is None else stored_id(wanted.start)


def _ordering(along: Along | None) -> models.OrderBy | None:
    from qdrant_client import models

    if along is None:
        return None
    direction = models.Direction.DESC if along.descending else models.Direction.ASC
    return models.OrderBy(key=along.field, direction=direction, start_from=along.start)
