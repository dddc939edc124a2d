"""The collection on the server: made once, recognised by its metadata, and never altered unless we made it."""

from __future__ import annotations

from typing import Any

from qdrant_client import QdrantClient, models

from scylla_store.belonging import check_owner
from scylla_store.errors import CollectionMismatch
from scylla_store.index.base import VECTOR, IndexSpecification
from scylla_store.index.payloads import TENANT, indexed_fields
from scylla_store.index.server.errors import Fate, fate_of
from scylla_store.settings.options import IndexSettings

METADATA = "scylla_store"
"""Under this name the collection says who made it and for which model."""

_FORMAT = 1
_TYPES = {"keyword": models.PayloadSchemaType.KEYWORD, "integer": models.PayloadSchemaType.INTEGER}


def set_up(client: QdrantClient, settings: IndexSettings, specification: IndexSpecification) -> bool:
    """Makes the collection (then True) and its payload indexes where they are missing; CollectionMismatch when it is not as needed."""
    name = settings.collection
    is_missing = not client.collection_exists(name)
    if is_missing:
        _make(client, settings, specification)
    found = client.get_collection(name)
    _check(found, name, specification)
    if specification.store is not None and owner_of(found) is None:
        _take(client, name, found, specification.store)
    wanted = indexed_fields(specification.ranges)
    for field in wanted.keys() - found.payload_schema.keys():
        client.create_payload_index(name, field, field_schema=_schema(field, wanted[field]), wait=True)
    return is_missing


def dimensions_of(found: models.CollectionInfo) -> int | None:
    """The size of our vector, or None when the collection has no such vector."""
    params = _vector_params(found)
    return None if params is None else params.size


def owner_of(found: models.CollectionInfo) -> str | None:
    """The id of the store that it belongs to; None when it was made before there were ids."""
    return _made(found).get("store")


def _take(client: QdrantClient, name: str, found: models.CollectionInfo, store: str) -> None:
    """Writes down whose it is from now on. When two do so at once, the later one has it."""
    client.update_collection(name, metadata={METADATA: {**_made(found), "store": store}})
    check_owner(f"The collection {name!r}", owner_of(client.get_collection(name)), store)


def _make(client: QdrantClient, settings: IndexSettings, specification: IndexSpecification) -> None:
    """Makes it, unless somebody else does at the same time."""
    replicas = settings.replication_factor
    made = {"format": _FORMAT, "model": specification.model}
    if specification.store is not None:
        made["store"] = specification.store
    try:
        client.create_collection(
            settings.collection,
            {VECTOR: models.VectorParams(size=specification.dimensions, distance=models.Distance.COSINE)},
            shard_number=settings.shard_number,
            replication_factor=replicas,
            write_consistency_factor=replicas // 2 + 1,
            metadata={METADATA: made},
        )
    except Exception as exc:
        if fate_of(exc) is not Fate.REFUSED or not client.collection_exists(settings.collection):
            raise


def _check(found: models.CollectionInfo, name: str, wanted: IndexSpecification) -> None:
    params = _vector_params(found)
    made = _made(found)
    if params is None or made.get("format") != _FORMAT:
        raise CollectionMismatch(
            f"The collection {name!r} exists and was not made by this version of scylla_store; {_CURE}"
        )
    has = (f"{params.size} dimensions", f"distance {params.distance.value}", f"model {made.get('model')!r}")
    needs = (
        f"{wanted.dimensions} dimensions",
        f"distance {models.Distance.COSINE.value}",
        f"model {wanted.model!r}",
    )
    if has != needs:
        raise CollectionMismatch(
            f"The collection {name!r} has {', '.join(has)}; the embedder needs {', '.join(needs)}; {_CURE}"
        )
    check_owner(f"The collection {name!r}", owner_of(found), wanted.store)


_CURE = "set index.collection to a name that is free, or embedder.name to the model that it was made for"


def _made(found: models.CollectionInfo) -> dict[str, Any]:
    """What we wrote down when we made it."""
    made: dict[str, Any] = (found.config.metadata or {}).get(METADATA) or {}
    return made


def _vector_params(found: models.CollectionInfo) -> models.VectorParams | None:
    vectors = found.config.params.vectors
    return vectors.get(VECTOR) if isinstance(vectors, dict) else None


def _schema(field: str, kind: str) -> models.KeywordIndexParams | models.PayloadSchemaType:
    if field == TENANT:
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    return _TYPES[kind]
