"""Requests over REST whose answers are taken as JSON: making the client's models of one takes as long as parsing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

T = TypeVar("T")


def posted(
    client: QdrantClient,
    action: str,
    request: Any,
    read: Callable[[Any], T],
    *,
    collection: str,
    consistency: models.ReadConsistencyType | None = None,
) -> T:
    """What `read` makes of the result; an answer that it cannot read is the client's ResponseHandlingException, as any other.

    Args:
        action: what comes after "points" in the path.
        request: a model of the client.
    """
    import httpx
    from qdrant_client.http.api.points_api import jsonable_encoder
    from qdrant_client.http.exceptions import ResponseHandlingException

    answer = client.http.client.request(
        type_=cast("type[Any]", Any),
        method="POST",
        url=f"/collections/{{collection_name}}/points/{action}",
        headers={"Content-Type": "application/json"},
        path_params={"collection_name": collection},
        params={} if consistency is None else {"consistency": consistency.value},
        content=jsonable_encoder(request),
    )
    try:
        return read(answer["result"])
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ResponseHandlingException(httpx.DecodingError("That is not the answer of a Qdrant server")) from exc
