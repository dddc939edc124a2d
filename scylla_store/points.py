"""What the index holds for an item: which points, with which payload. Pure: no vectors are made here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from scylla_store.chunking import chunk, chunker_name
from scylla_store.errors import DamagedRow
from scylla_store.filters.facts import facts_of
from scylla_store.identity import (
    MAX_LABELS,
    ItemId,
    item_digest,
    item_slice,
    namespace_digest,
    point_id,
    prefix_digests,
)
from scylla_store.index.base import NEVER, SeenPoint
from scylla_store.rows import Row
from scylla_store.settings.options import ChunkingSettings
from scylla_store.texts import texts_of

PAYLOAD_FORMAT = 4

_NUMBERS = (
    "format", "version", "created_at", "updated_at", "expires_at", "slice", "start", "end", "ordinal", "count",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything beside the row that decides its points: a change of any of it is found and repaired by fingerprint."""

    model: str
    chunking: ChunkingSettings
    fields: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A point that the index shall hold, before it has its vector. `text` is None for an anchor, which needs none."""

    id: str
    payload: dict[str, Any]
    text: str | None

    @property
    def text_hash(self) -> str:
        return str(self.payload["text_hash"])


def fingerprint(row: Row, recipe: Recipe, *, anchor_only: bool = False) -> str:
    """Digest of all that the points of a row depend on; `anchor_only` is the one of an item whose text cannot be embedded."""
    spec = list(recipe.fields) if row.head.index is None else row.head.index
    parts = [
        row.version, row.head.write_id.hex(), row.head.row_hash.hex(), row.expires_at, recipe.model,
        chunker_name(recipe.chunking), spec, PAYLOAD_FORMAT, anchor_only, recipe.ranges,
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16, person=b"fingerprint").hexdigest()


def drafts(row: Row, recipe: Recipe, *, anchor_only: bool = False) -> list[Draft]:
    """The points of a live row: one for each chunk, or one anchor without text, so that `count` sees the item.

    Raises:
        DamagedRow: the body cannot be decoded.
    """
    digest = item_digest(row.id)
    common = common_payload(row, recipe, digest, fingerprint(row, recipe, anchor_only=anchor_only))
    value = _value(row, anchor_only)
    common.update(facts_of(value, row.id.key, recipe.ranges))
    pieces = [] if anchor_only or value is None else _pieces(value, row, recipe)
    if not pieces:
        payload = {**common, "text_hash": "", "path": None, "start": 0, "end": 0, "ordinal": 0, "count": 1}
        return [Draft(point_id(digest, 0), payload, None)]
    return [
        Draft(
            point_id(digest, ordinal),
            {
                **common,
                "text_hash": text_hash(text),
                "path": path,
                "start": start,
                "end": end,
                "ordinal": ordinal,
                "count": len(pieces),
            },
            text,
        )
        for ordinal, (path, start, end, text) in enumerate(pieces)
    ]


def common_payload(row: Row, recipe: Recipe, digest: str, mark: str) -> dict[str, Any]:
    """Payload that all points of an item share, but for the facts, which need a look at the document.

    `mark` is its fingerprint. No user values: a hit is read from the database.
    """
    namespace = row.id.namespace
    return {
        "format": PAYLOAD_FORMAT,
        "item": digest,
        "version": row.version,
        "fingerprint": mark,
        "write": row.head.write_id.hex(),
        "model": recipe.model,
        "chunker": chunker_name(recipe.chunking),
        "created_at": row.head.created_at,
        "updated_at": row.version,
        "expires_at": NEVER if row.expires_at is None else row.expires_at,
        "slice": item_slice(digest),
        "namespace": list(namespace),
        "key": row.id.key,
        "tenant": namespace_digest(namespace[:1]),
        "prefixes": prefix_digests(namespace),
    }


def has_whole_numbers(payload: dict[str, Any]) -> bool:
    """Whether those of its numbers that are there are whole ones: 1.0 and true equal 1 here, but not in all conditions of an index."""
    return set(map(type, map(payload.get, _NUMBERS))) <= {int, type(None)}


def item_of(point: SeenPoint) -> ItemId | None:
    """Whose point it is, by what it says of itself; None when that does not make sense."""
    namespace: Any = point.payload.get("namespace")
    key: Any = point.payload.get("key")
    if not isinstance(key, str) or not isinstance(namespace, list) or set(map(type, namespace)) != {str}:
        return None
    if len(namespace) > MAX_LABELS:
        return None
    item = ItemId(tuple(namespace), key)
    try:
        return item if item_digest(item) == point.item else None
    except UnicodeEncodeError:  # half a character: no item is called so
        return None


def text_hash(text: str) -> str:
    """Hash of a chunk's text: 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _value(row: Row, anchor_only: bool) -> dict[str, Any] | None:
    """The document. One that cannot be read is a dead letter, and its anchor says nothing of it."""
    try:
        return row.value()
    except DamagedRow:
        if anchor_only:
            return None
        raise


def _pieces(value: dict[str, Any], row: Row, recipe: Recipe) -> list[tuple[str, int, int, str]]:
    """Path, start, end and text of each chunk."""
    cut = recipe.chunking
    return [
        (text.path, start, end, text.text[start:end])
        for text in texts_of(value, row.head.index, recipe.fields)
        for start, end in chunk(text.text, unit=cut.unit, size=cut.size, overlap=cut.overlap)
    ]
