"""What callers hold: items, writes, pages, hits."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from scylla_store.clock import to_datetime
from scylla_store.identity import Namespace
from scylla_store.rows import IndexSpec, Row
from scylla_store.ttls import DEFAULT_TTL, Ttl

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """A document as the database holds it. Times are aware UTC datetimes; `version` is its write time in microseconds.

    `value` is None in a hit of a search with `with_value=False`, and nowhere else.
    """

    namespace: Namespace
    key: str
    value: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: Row, *, with_value: bool = True) -> Item:
        """The item of a visible row; raises DamagedRow when its body cannot be decoded."""
        updated_at = to_datetime(row.version)
        item = object.__new__(cls)
        # The constructor of a frozen dataclass sets each field by a call of its own: twice the time, for each row of a page.
        item.__dict__.update(
            namespace=row.id.namespace,
            key=row.id.key,
            value=row.value() if with_value else None,
            version=row.version,
            created_at=updated_at if row.head.created_at == row.version else to_datetime(row.head.created_at),
            updated_at=updated_at,
            expires_at=None if row.expires_at is None else to_datetime(row.expires_at),
        )
        return item


@dataclass(frozen=True)
class Put:
    """One write of `put_many`; the arguments of `put`."""

    namespace: Sequence[str]
    key: str
    value: dict[str, Any]
    index: IndexSpec | list[str] = None
    ttl: Ttl = DEFAULT_TTL


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some results, and where the next ones begin (None at the end).

    Attributes:
        is_rebuilding: of `find`: whether the index was being rebuilt from the documents, so that some were not found yet.
    """

    items: list[T]
    cursor: str | None
    is_rebuilding: bool = False


@dataclass(frozen=True)
class Hit:
    """One item that a search found.

    Attributes:
        item: the item as it is now.
        score: cosine similarity of its best chunk, higher is nearer.
        path: where the matched chunk stands in the value; "$" when all its strings were joined; None for an item without text.
        text: the matched chunk; None when the item changed since it was indexed, and with `with_value=False`.
        fresh: whether the index holds the item's current write.
    """

    item: Item
    score: float
    path: str | None
    text: str | None
    fresh: bool


class Hits(list[Hit]):
    """Hits of one search, best first.

    Attributes:
        is_rebuilding: whether the index was being rebuilt from the documents, so that some were not found yet.
        is_partial: whether there may be more hits, because of the points that one search looks at (`limits.max_scanned`) too
            many were of documents that are gone, or that the filter let through and that do not match.
    """

    def __init__(self, hits: Iterable[Hit] = (), *, is_rebuilding: bool = False, is_partial: bool = False) -> None:
        super().__init__(hits)
        self.is_rebuilding = is_rebuilding
        self.is_partial = is_partial


class SyncStatus(str, enum.Enum):
    """How far one write is on its way to the index."""

    PENDING = "pending"
    RETRYING = "retrying"
    SYNCED = "synced"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    NOT_INDEXED = "not_indexed"
