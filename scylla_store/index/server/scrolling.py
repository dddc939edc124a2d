"""Reading many points. Over REST the answer is taken as JSON: making the client's models of it takes as long as parsing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Union, cast

from scylla_store.index.base import Along, SeenPoint
from scylla_store.index.payloads import seen_point

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

    Payload = Union[bool, list[str], models.PayloadSelectorExclude]

_PATH = "/collections/{collection_name}/points/scroll"


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
        offset=wanted.start,
        order_by=_ordering(wanted.along),
        with_payload=wanted.payload,
        with_vectors=False,
        consistency=wanted.consistency,
    )
    return [seen_point(str(record.id), record.payload) for record in records], more is not None


def _by_rest(client: QdrantClient, wanted: Scroll) -> tuple[list[SeenPoint], bool]:
    import httpx
    from qdrant_client import models
    from qdrant_client.http.api.points_api import jsonable_encoder
    from qdrant_client.http.exceptions import ResponseHandlingException

    request = models.ScrollRequest(
        offset=wanted.start,
        limit=wanted.limit,
        filter=wanted.condition,
        with_payload=wanted.payload,
        with_vector=False,
        order_by=_ordering(wanted.along),
    )
    answer = client.http.client.request(
        type_=cast("type[Any]", Any),
        method="POST",
        url=_PATH,
        headers={"Content-Type": "application/json"},
        path_params={"collection_name": wanted.collection},
        params={} if wanted.consistency is None else {"consistency": wanted.consistency.value},
        content=jsonable_encoder(request),
    )
    try:
        result = answer["result"]
        points = [seen_point(str(record["id"]), record.get("payload")) for record in result["points"]]
        return points, result.get("next_page_offset") is not None
    except (AttributeError, KeyError, TypeError) as exc:
        raise ResponseHandlingException(httpx.DecodingError("That is not the answer of a Qdrant server")) from exc


def _ordering(along: Along | None) -> models.OrderBy | None:
    from qdrant_client import models

    if along is None:
        return None
    direction = models.Direction.DESC if along.descending else models.Direction.ASC
    return models.OrderBy(key=along.field, direction=direction, start_from=along.start)
