"""The parts of a sync, by the clients alone, one request after another in one process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import IntentKey, Ref
from scylla_store.points import Draft, drafts
from scylla_store.rows import decode
from tests.bench.documents import Document
from tests.bench.installation import HoldingStore
from tests.bench.measure import Spread, settled
from tests.bench.model import word_llama

Namespace = tuple[str, ...]
NewPoint = tuple[str, Any, dict[str, Any]]


class RawDatabase(Protocol):
    """A database's client."""

    def get_many(self, namespace: Namespace, keys: list[str]) -> list[Any]: ...

    def ack(self, keys: Sequence[IntentKey]) -> None: ...


class RawVectors(Protocol):
    """An index's client."""

    def points_of(self, items: list[str]) -> list[Any]: ...

    def upsert(self, points: Sequence[NewPoint], at_most: int) -> None: ...


@dataclass
class SerialParts:
    """What a sync asks of database, index and model. What the points are is prepared before the clock runs: chunks,
    payloads, digests."""

    holding: HoldingStore
    database: RawDatabase
    index: RawVectors
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def rate(self, namespace: Namespace, found: Sequence[Document]) -> float:
        """Documents a second over all parts, of documents that are written first."""
        tasks = self.holding.write(namespace, found)
        with settled():
            return len(found) / sum(self._run(namespace, refs) for refs, _ in tasks)

    def shares(self) -> dict[str, float]:
        """Median seconds of each part, for one task."""
        return {name: round(Spread.of(figures).median, 5) for name, figures in self.seconds.items()}

    def _run(self, namespace: Namespace, refs: list[Ref]) -> float:
        ids = [ref.intent.item for ref in refs]
        targets, version = self._targets(ids)
        keys, digests = [item.key for item in ids], [item_digest(item) for item in ids]
        texts = [draft.text for draft in targets]
        at = [time.perf_counter()]
        self.database.get_many(namespace, keys)
        at.append(time.perf_counter())
        self.index.points_of(digests)
        at.append(time.perf_counter())
        vectors = word_llama().embed(texts).tolist()
        at.append(time.perf_counter())
        self.index.upsert(
            [(draft.id, vector, draft.payload) for draft, vector in zip(targets, vectors, strict=True)], version
        )
        at.append(time.perf_counter())
        self.database.get_many(namespace, keys)
        at.append(time.perf_counter())
        self.database.ack([ref.intent.key for ref in refs])
        at.append(time.perf_counter())
        for name, (before, after) in zip(
            ("load", "points", "embed", "upsert", "verify", "ack"), pairwise(at), strict=True
        ):
            self.seconds.setdefault(name, []).append(after - before)
        return at[-1] - at[0]

    def _targets(self, ids: list[ItemId]) -> tuple[list[Draft], int]:
        """The points of these documents, and the smallest of their versions."""
        parts = self.holding.store.parts
        rows = [row for cells in parts.database.read(ids).values() if (row := decode(cells)) is not None]
        targets = [draft for row in rows for draft in drafts(row, parts.recipe) if draft.text is not None]
        return targets, min(row.version for row in rows)
