"""An index in memory, for tests and simulations: small, exact, and under the same contract as the real ones."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scylla_store.belonging import check_owner
from scylla_store.conditions import ALWAYS, Condition
from scylla_store.errors import CollectionMismatch, IndexRefused, IndexUnavailable, StoreClosed
from scylla_store.index.base import Along, IndexSpecification, Match, Point, Question, SeenPoint, Vector, in_order
from scylla_store.index.matching import holds
from scylla_store.index.payloads import UNREAD, has_tokens, is_unchanged, seen_point, whole_number
from scylla_store.index.vectors import checked_vectors, float32, lower_bound


class MemoryIndex:
    """Points in a dictionary, searched one by one. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._closed = False
        self._specification: IndexSpecification | None = None
        self._payloads: dict[str, dict[str, Any]] = {}
        self._vectors: dict[str, np.ndarray] = {}

    def connect(self) -> None:
        if self._closed:
            raise StoreClosed

    def close(self) -> None:
        self._closed = True

    def exists(self) -> bool:
        self.connect()
        return self._specification is not None

    def setup(self, specification: IndexSpecification) -> bool:
        with self._lock:
            self.connect()
            found = self._specification
            if found not in (None, specification):
                raise CollectionMismatch(f"The collection was made for {found}; {specification} is needed")
            owner = None if found is None else found.store
            check_owner("The collection", owner, specification.store)
            self._specification = replace(specification, store=owner or specification.store)
            return found is None

    def points_of(self, items: Sequence[str], *, tokens: bool = True) -> dict[str, list[SeenPoint]]:
        wanted = set(items)
        found: dict[str, list[SeenPoint]] = {}
        with self._lock:
            for point in self._seen():
                if point.item in wanted and (tokens or has_tokens(point.payload)):
                    found.setdefault(point.item, []).append(_copied(point))
        return found

    def at(self, ids: Sequence[str]) -> dict[str, SeenPoint]:
        with self._lock:
            self._ready()
            found = {identifier: self._payloads.get(identifier) for identifier in ids}
            return {name: _copied(seen_point(name, stored)) for name, stored in found.items() if stored is not None}

    def without_vector(self, items: Sequence[str]) -> set[str]:
        wanted = set(items)
        with self._lock:
            return {point.id for point in self._seen() if point.item in wanted and point.id not in self._vectors}

    def vectors(self, points: Sequence[tuple[str, str]]) -> dict[str, Vector]:
        with self._lock:
            self._ready()
            return {
                identifier: self._vectors[identifier].tolist()
                for identifier, fingerprint in points
                if identifier in self._vectors and is_unchanged(self._payloads[identifier], fingerprint)
            }

    def upsert(self, points: Sequence[Point], *, at_most: int) -> None:
        with self._lock:
            vectors = checked_vectors(points, self._ready().dimensions)
            for point, vector in zip(points, vectors, strict=True):
                if seen_point(point.id, self._payloads.get(point.id)).version <= at_most:
                    self._payloads[point.id] = copy.deepcopy(point.payload)
                    self._vectors.pop(point.id, None)
                    if vector is not None:
                        self._vectors[point.id] = _normal(np.asarray(vector, dtype=np.float32))

    def delete(self, points: Sequence[tuple[str, str]]) -> None:
        with self._lock:
            self._ready()
            for identifier, fingerprint in points:
                if identifier in self._payloads and is_unchanged(self._payloads[identifier], fingerprint):
                    del self._payloads[identifier]
                    self._vectors.pop(identifier, None)

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        with self._lock:
            return [self._nearest(question) for question in questions]

    def count(self, *, prefix: str | None, now: int, where: Condition = ALWAYS) -> int:
        with self._lock:
            found = (self._payloads[identifier] for identifier in self._live(prefix, now))
            return sum(payload.get("ordinal") == 0 and holds(where, payload) for payload in found)

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
        with self._lock:
            live = {identifier: self._payloads[identifier] for identifier in self._live(prefix, now)}
            found = {name: payload for name, payload in live.items() if payload.get("ordinal") == 0 and holds(where, payload)}
            chosen = _after(after, found) if along is None else _along(along, found)
            return [_copied(seen_point(identifier, found[identifier])) for identifier in chosen[:limit]]

    def slices(self, which: range | None, *, after: str | None, limit: int) -> tuple[list[SeenPoint], str | None]:
        with self._lock:
            self._ready()
            found = _after(after, (name for name, payload in self._payloads.items() if _is_in(which, payload)))
            page = [_copied(seen_point(identifier, self._payloads[identifier])) for identifier in found[:limit]]
        return page, page[-1].id if len(found) > limit else None

    def ping(self) -> float:
        start = time.perf_counter()
        self._ready()
        return time.perf_counter() - start

    def _ready(self) -> IndexSpecification:
        self.connect()
        if self._specification is None:
            raise IndexUnavailable("There is no collection yet: run `scylla-store setup` (or store.setup())")
        return self._specification

    def _nearest(self, question: Question) -> list[Match]:
        wanted = float32(question.vector)
        if wanted is None or wanted.shape != (self._ready().dimensions,):
            raise IndexRefused(f"The vector must have {self._ready().dimensions} numbers, it has {len(question.vector)}")
        scores = {
            identifier: float(np.dot(self._vectors[identifier], _normal(wanted)))
            for identifier in self._live(question.prefix, question.now)
            if identifier in self._vectors and holds(question.where, self._payloads[identifier])
        }
        least = -np.inf if question.min_score is None else lower_bound(question.min_score)
        best = sorted((-score, identifier) for identifier, score in scores.items() if score > least)
        return [
            Match(identifier, -negative, _read(self._payloads[identifier]))
            for negative, identifier in best[: question.limit]
        ]

    def _seen(self) -> Iterator[SeenPoint]:
        self._ready()
        for identifier in sorted(self._payloads):
            yield seen_point(identifier, self._payloads[identifier])

    def _live(self, prefix: str | None, now: int) -> Iterator[str]:
        self._ready()
        for identifier, payload in self._payloads.items():
            expires_at = payload.get("expires_at")
            if isinstance(expires_at, int) and expires_at > now and _is_under(payload, prefix):
                yield identifier


def _after(after: str | None, identifiers: Iterable[str]) -> list[str]:
    """The ids beyond that one, in order."""
    place = None if after is None else in_order(after)
    return sorted((name for name in identifiers if place is None or in_order(name) > place), key=in_order)


def _along(along: Along, payloads: dict[str, dict[str, Any]]) -> list[str]:
    """Ids of the points that have the number, from the start on; equal ones by id backwards, since nobody may rely on their order."""
    sign = -1 if along.descending else 1
    numbers = {name: payload.get(along.field) for name, payload in payloads.items()}
    signed = ((sign * number, name) for name, number in numbers.items() if type(number) is int)
    chosen = [(place, name) for place, name in signed if along.start is None or place >= sign * along.start]
    return [name for _, name in sorted(sorted(chosen, reverse=True), key=lambda one: one[0])]


def _copied(point: SeenPoint) -> SeenPoint:
    return replace(point, payload=copy.deepcopy(point.payload))


def _read(payload: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({field: value for field, value in payload.items() if field not in UNREAD})


def _is_under(payload: dict[str, Any], prefix: str | None) -> bool:
    return prefix is None or prefix in payload.get("prefixes", ())


def _is_in(which: range | None, payload: dict[str, Any]) -> bool:
    number = whole_number(payload.get("slice"))
    is_in_one = number is not None and number >= 0
    return is_in_one and number in which if which is not None else not is_in_one


def _normal(vector: np.ndarray) -> np.ndarray:
    """Of length 1, as Qdrant stores it; a vector of zeros stays what it is."""
    length = np.linalg.norm(vector)
    return vector / length if length else vector
