"""The engine's shard on disk, with the record of what it was made for, which the engine itself does not keep."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import qdrant_edge as engine

from scylla_store.belonging import check_owner
from scylla_store.errors import CollectionMismatch
from scylla_store.index.base import VECTOR, IndexSpecification
from scylla_store.index.payloads import TENANT, indexed_fields

_FORMAT = 1
_DISTANCE = "Cosine"
_TYPES = {"keyword": engine.PayloadSchemaType.Keyword, "integer": engine.PayloadSchemaType.Integer}


class Collection:
    """The folder of the shard and its record. A half-made one is never seen: it gets its name when it is complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "collection"
        self._unfinished = folder / "unfinished"
        self._record = self._folder / "collection.json"
        self.shard = self._folder / "shard"
        self.wal = self.shard / "wal"

    @property
    def exists(self) -> bool:
        """Whether there is one, perhaps a damaged one without its record."""
        return self._folder.is_dir()

    def make(self, specification: IndexSpecification) -> None:
        """Makes an empty one."""
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir()
        size, distance = specification.dimensions, getattr(engine.Distance, _DISTANCE)
        config = engine.EdgeConfig(vectors={VECTOR: engine.EdgeVectorParams(size, distance)})
        shard = engine.EdgeShard.create(str(self._unfinished / self.shard.name), config)
        complete(shard, specification)
        shard.close()
        (self._unfinished / self._record.name).write_text(_record(specification), encoding="utf-8")
        self._unfinished.rename(self._folder)

    def specification(self) -> IndexSpecification:
        """What it was made for; raises CollectionMismatch when that cannot be read."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            if record["format"] != _FORMAT or record["distance"] != _DISTANCE:
                raise ValueError(f"format {record['format']}, distance {record['distance']}")
            return IndexSpecification(int(record["dimensions"]), str(record["model"]), store=record.get("store"))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise CollectionMismatch(
                f"{self._record} does not describe a collection of this version (format {_FORMAT}, {_DISTANCE}): {exc}"
            ) from exc

    def check(self, wanted: IndexSpecification) -> None:
        """Raises CollectionMismatch unless it was made for this; what belongs to no store yet is this one's from now on."""
        found = self.specification()
        if found != wanted:
            raise CollectionMismatch(
                f"The embedded index in {self._folder} was made for model {found.model!r} with {found.dimensions} "
                f"dimensions, the embedder is {wanted.model!r} with {wanted.dimensions}: use that model, or another path"
            )
        check_owner(f"The embedded index in {self._folder}", found.store, wanted.store)
        if found.store != wanted.store:
            anew = self._record.with_suffix(".new")
            anew.write_text(_record(wanted), encoding="utf-8")
            anew.replace(self._record)


def _record(specification: IndexSpecification) -> str:
    record = {
        "format": _FORMAT,
        "model": specification.model,
        "dimensions": specification.dimensions,
        "distance": _DISTANCE,
    }
    return json.dumps(record if specification.store is None else {**record, "store": specification.store})


def complete(shard: engine.EdgeShard, specification: IndexSpecification) -> None:
    """Adds the payload indexes that are missing."""
    present = shard.info().payload_schema
    for field, kind in indexed_fields(specification.ranges).items():
        if field not in present and field != TENANT:  # no request filters by it: it is for the server's storage
            shard.update(engine.UpdateOperation.create_field_index(field, _TYPES[kind]))
