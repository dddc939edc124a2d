"""What the library asks of a vector index. Qdrant server, Qdrant Edge and the in-memory stub keep this contract.

Every request waits until it has been applied. Methods raise IndexUnavailable or IndexThrottled (try again) and
IndexRefused (never works). No method waits longer than the configured timeout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Union

from scylla_store.conditions import ALWAYS, Condition

Vector = Sequence[float]

NEVER = 2**60
"""`expires_at` of a point that never expires: Qdrant compares as 64-bit floats, and a power of two survives that."""

VECTOR = "text"
"""Name of the vector in a point; points without text have none."""

Json = Union[dict[str, Any], list[Any], str, int, float, bool, None]


@dataclass(frozen=True, slots=True)
class Point:
    """A whole point. `payload` holds `item`, `version`, `fingerprint` and the rest (points.py)."""

    id: str
    vector: Vector | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SeenPoint:
    """A point as the index holds it, without its vector. A payload that does not parse has version 0 and fingerprint ""."""

    id: str
    item: str
    version: int
    fingerprint: str
    payload: dict[str, Any]

    @property
    def is_plain(self) -> bool:
        """Whether the three are written as texts and a whole number, not as lists or otherwise: the engine takes many forms."""
        stored = (self.payload.get("item"), self.payload.get("version"), self.payload.get("fingerprint"))
        return bool(self.fingerprint) and tuple(map(type, stored)) == (str, int, str)


@dataclass(frozen=True, slots=True)
class Match:
    """A point that a query found; `score` is the cosine similarity, higher is nearer. Its payload lacks the tokens."""

    id: str
    score: float
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Along:
    """An order by a whole number of the payload; points that lack it are left out.

    Attributes:
        start: where it begins, this number included; None: at the smallest, or at the largest when it descends.
    """

    field: str
    descending: bool = False
    start: int | None = None


@dataclass(frozen=True, slots=True)
class IndexSpecification:
    """What the collection must be.

    Attributes:
        ranges: how many range fields are declared. A collection gets the payload indexes of more when it is set up again.
        store: the id of the store that it belongs to; None where none other can have it.
    """

    dimensions: int
    model: str
    ranges: int = field(default=0, compare=False)
    store: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What a query asks for: points near to a vector, of items under a prefix that are not expired at a time.

    Attributes:
        prefix: its digest; None: all.
        now: microseconds.
        min_score: smallest cosine similarity; None: any.
        where: what else the payloads must fulfil.
    """

    vector: Vector
    prefix: str | None
    now: int
    limit: int
    min_score: float | None = None
    where: Condition = ALWAYS


def in_order(identifier: str) -> tuple[bool, int, str]:
    """A key to sort ids by as the engine does: numbers come before UUIDs."""
    is_number = identifier.isdecimal()
    return not is_number, int(identifier) if is_number else 0, identifier


class Index(Protocol):
    """A derived index of points that may be lost and rebuilt."""

    def connect(self) -> None:
        """Connects if needed; called by every other method too; safe after a fork."""

    def close(self) -> None:
        """Ends within 2 s, may be called twice, leaves no thread, socket or lock."""

    def exists(self) -> bool:
        """Whether there is a collection of the name, perhaps one that was made for something else."""

    def setup(self, specification: IndexSpecification) -> bool:
        """Makes collection and payload indexes, idempotently; returns whether the collection was missing.

        CollectionMismatch when it exists otherwise (size, distance, model), naming both, or belongs to another store. One that
        belongs to none yet is this store's from then on.
        """

    def points_of(self, items: Sequence[str], *, tokens: bool = True) -> dict[str, list[SeenPoint]]:
        """All points of each item (by its digest), however many; items without points are left out.

        Without `tokens` their payloads may lack these, a third of their bytes, and points that have none are left out.
        """

    def at(self, ids: Sequence[str]) -> dict[str, SeenPoint]:
        """Points by id, those that exist, whoever's they say they are."""

    def without_vector(self, items: Sequence[str]) -> set[str]:
        """Ids of the points of these items (by their digests) that have no vector, as all have that hold no text."""

    def vectors(self, points: Sequence[tuple[str, str]]) -> dict[str, Vector]:
        """Vectors by point id of those points (id, fingerprint) that have one and whose stored fingerprint is still that one.

        One request reads both: a point that somebody replaced since it was seen must not lend its vector to another text.
        """

    def upsert(self, points: Sequence[Point], *, at_most: int) -> None:
        """Writes whole points, each one only where it is absent or its stored version is <= `at_most`.

        Raises BadVector before anything is sent when a vector is not finite or of the wrong size.
        """

    def delete(self, points: Sequence[tuple[str, str]]) -> None:
        """Deletes points, each (id, fingerprint) only while its stored fingerprint is still that one."""

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        """The nearest points to each question, best first, in the order of the questions: one request, if it is not too large."""

    def count(self, *, prefix: str | None, now: int, where: Condition = ALWAYS) -> int:
        """How many items (points with ordinal 0) under the prefix are not expired at `now`, and fulfil `where`."""

    def first_points(
        self,
        *,
        prefix: str | None,
        now: int,
        limit: int,
        where: Condition = ALWAYS,
        along: Along | None = None,
        after: str | None = None,
        fields: Sequence[str] = (),
    ) -> list[SeenPoint]:
        """One point (ordinal 0) of each item under the prefix that is not expired at `now` and fulfils `where`.

        In the order of `along`, equal ones in any order; without it by id, after `after`. Their payloads have item, version,
        fingerprint, namespace, key and `fields`, and perhaps nothing else.
        """

    def slices(self, which: range | None, *, after: str | None, limit: int) -> tuple[list[SeenPoint], str | None]:
        """Points of some slices by id, after `after`; and where to go on, or None at the end. None: points in no slice.

        Their payloads have item, version, fingerprint, namespace, key, slice, ordinal and count, and perhaps nothing else.
        """

    def ping(self) -> float:
        """Seconds that the cheapest request to the collection took; IndexUnavailable when there is none yet."""
