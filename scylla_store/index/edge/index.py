"""`QdrantEdge`: the real engine in this process. Its folder belongs to one process at a time."""

from __future__ import annotations

import ctypes
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import qdrant_edge as engine

from scylla_store.conditions import ALWAYS, Condition
from scylla_store.errors import IndexUnavailable, StoreClosed
from scylla_store.forks import follow
from scylla_store.index.base import VECTOR, Along, IndexSpecification, Match, Point, Question, SeenPoint, Vector
from scylla_store.index.edge.collection import Collection, complete
from scylla_store.index.edge.errors import translated
from scylla_store.index.edge.filters import EdgeFilters, ordering
from scylla_store.index.edge.ownership import FolderLock, close_files, open_files
from scylla_store.index.ids import stored_id
from scylla_store.index.payloads import UNREAD, WHOSE, is_unchanged, seen_point
from scylla_store.index.vectors import checked_vectors, lower_bound

_PAGE = 1000
_FLUSH_EVERY = 5000
"""Points between two flushes: what was written since the last one is replayed when the folder is opened."""

_ROOM = 64 * 2**20
"""Bytes that must be free on the disk. The engine writes through maps of sparse files, and a disk that is full under a map
kills the process (SIGBUS) where a plain write would raise."""



@dataclass(eq=False)
class _Opened:
    """What this process has open."""

    shard: engine.EdgeShard
    dimensions: int
    locks: list[int]
    unflushed: int = 0


class QdrantEdge:
    """Qdrant's engine in a subfolder of `folder`. Safe to use from several threads.

    A forked child never touches what its parent opened (the engine would hang there): it gets EmbeddedIndexBusy while the
    parent lives, and may take the folder over afterwards.

    Args:
        folder: of the embedded store.
        free: says how many bytes are free on the disk of a folder.
    """

    def __init__(
        self, folder: Path, *, free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    ) -> None:
        self._folder = folder / "index"
        self._free = free
        self._collection = Collection(self._folder)
        self._filters = EdgeFilters()
        self._lock = threading.RLock()
        self._closed = False
        self._owned: FolderLock | None = None
        self._opened: _Opened | None = None
        follow(self)

    def connect(self) -> None:
        """Takes the folder, and opens the shard if there is one."""
        if self._opened is not None:
            return
        with self._lock, translated():
            if self._closed:
                raise StoreClosed
            if self._owned is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._owned = FolderLock(self._folder)
            if self._collection.exists:
                self._open()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, None
            owned, self._owned = self._owned, None
            try:
                if opened is not None:
                    with translated():
                        opened.shard.close()
            finally:
                if owned is not None:
                    owned.close()

    def exists(self) -> bool:
        self.connect()
        return self._collection.exists

    def setup(self, specification: IndexSpecification) -> bool:
        self.connect()
        with self._lock, translated():
            if self._collection.exists:
                self._collection.check(specification)
                complete(self._ready().shard, specification)
                return False
            self._check_room()
            self._collection.make(specification)
            self._open()
            return True

    def points_of(self, items: Sequence[str], *, tokens: bool = True) -> dict[str, list[SeenPoint]]:
        found: dict[str, list[SeenPoint]] = {}
        for point in self._all(self._filters.of_items(items, tokens=not tokens)):
            found.setdefault(point.item, []).append(point)
        return found

    def without_vector(self, items: Sequence[str]) -> set[str]:
        return {point.id for point in self._all(self._filters.without_vector(items), payload=["item"])}

    def at(self, ids: Sequence[str]) -> dict[str, SeenPoint]:
        shard = self._ready().shard
        with translated():
            records = shard.retrieve([stored_id(identifier) for identifier in ids], True, False)
        return {str(record.id): seen_point(str(record.id), record.payload) for record in records}

    def vectors(self, points: Sequence[tuple[str, str]]) -> dict[str, Vector]:
        shard = self._ready().shard
        with translated():
            records = shard.retrieve([stored_id(identifier) for identifier, _ in points], True, [VECTOR])
        seen = dict(points)
        return {
            str(record.id): _vector(record)
            for record in records
            if record.vector and is_unchanged(record.payload, seen[str(record.id)])
        }

    def upsert(self, points: Sequence[Point], *, at_most: int) -> None:
        vectors = checked_vectors(points, self._ready().dimensions)
        stored = [
            engine.Point(stored_id(point.id), {} if vector is None else {VECTOR: vector}, point.payload)
            for point, vector in zip(points, vectors, strict=True)
        ]
        if stored:
            condition = self._filters.not_newer(at_most)
            self._update(engine.UpdateOperation.upsert_points(stored, condition), len(stored))

    def delete(self, points: Sequence[tuple[str, str]]) -> None:
        if points:
            condition = self._filters.unchanged(points)
            self._update(engine.UpdateOperation.delete_points_by_filter(condition), len(points))

    def query(self, questions: Sequence[Question]) -> list[list[Match]]:
        # The engine takes one at a time. It is in this process, so there is no way to save.
        shard = self._ready().shard
        requests = [self._request(question) for question in questions]
        with translated():
            answers = [shard.query(request) for request in requests]
        return [[Match(str(point.id), point.score, point.payload or {}) for point in found] for found in answers]

    def _request(self, question: Question) -> engine.QueryRequest:
        return engine.QueryRequest(
            question.limit,
            query=engine.Query.Nearest([float(number) for number in question.vector], using=VECTOR),
            filter=self._filters.live(question.prefix, question.now, question.where),
            score_threshold=None if question.min_score is None else lower_bound(question.min_score),
            with_payload=engine.PayloadSelector.Exclude(UNREAD),
        )

    def count(self, *, prefix: str | None, now: int, where: Condition = ALWAYS) -> int:
        request = engine.CountRequest(exact=True, filter=self._filters.live_items(prefix, now, where))
        shard = self._ready().shard
        with translated():
            return shard.count(request)

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
        condition = self._filters.live_items(prefix, now, where)
        if along is None:
            return self._scroll(condition, after, limit, payload=[*WHOSE, *fields])[0]
        wanted = engine.PayloadSelector.Include([*WHOSE, *fields])
        request = engine.ScrollRequest(limit=limit, filter=condition, with_payload=wanted, order_by=ordering(along))
        shard = self._ready().shard
        with translated():
            records, _ = shard.scroll(request)
        return [seen_point(str(record.id), record.payload) for record in records]

    def slices(self, which: range | None, *, after: str | None, limit: int) -> tuple[list[SeenPoint], str | None]:
        return self._scroll(self._filters.of_slices(which), after, limit)

    def ping(self) -> float:
        start = time.perf_counter()
        shard = self._ready().shard
        with translated():
            shard.info()
        return time.perf_counter() - start

    def _ready(self) -> _Opened:
        self.connect()
        opened = self._opened
        if opened is None:
            raise IndexUnavailable(f"There is no index in {self._folder} yet: call store.setup()")
        return opened

    def _open(self) -> None:
        if self._opened is not None:
            return
        dimensions = self._collection.specification().dimensions
        self._check_room()
        with translated():
            shard = engine.EdgeShard.load(str(self._collection.shard))
        self._opened = _Opened(shard, dimensions, open_files(self._collection.wal))

    def _update(self, operation: engine.UpdateOperation, points: int) -> None:
        """Applies it. It is in the engine's log then, which survives the death of the process."""
        opened = self._ready()
        self._check_room()
        with translated():
            opened.shard.update(operation)
            opened.unflushed += points
            if opened.unflushed >= _FLUSH_EVERY:
                opened.unflushed = 0
                opened.shard.flush()

    def _check_room(self) -> None:
        with translated():
            free = self._free(self._folder)
        if free < _ROOM:
            raise IndexUnavailable(
                f"The disk of {self._folder} is full: {free / 2**20:.0f} MiB are free, the embedded index needs "
                f"{_ROOM / 2**20:.0f} MiB to write safely; documents wait until there is room"
            )

    def _all(self, condition: engine.Filter, *, payload: list[str] | None = None) -> list[SeenPoint]:
        points, after = self._scroll(condition, None, _PAGE, payload=payload)
        while after is not None:
            more, after = self._scroll(condition, after, _PAGE, payload=payload)
            points += more
        return points

    def _scroll(
        self, condition: engine.Filter, after: str | None, limit: int, *, payload: list[str] | None = None
    ) -> tuple[list[SeenPoint], str | None]:
        """Points by id. The engine begins with its offset, we begin after it."""
        wanted = True if payload is None else engine.PayloadSelector.Include(payload)
        start = None if after is None else stored_id(after)
        request = engine.ScrollRequest(offset=start, limit=limit + 1, filter=condition, with_payload=wanted)
        shard = self._ready().shard
        with translated():
            records, more = shard.scroll(request)
        points = [seen_point(str(record.id), record.payload) for record in records if str(record.id) != after]
        page = points[:limit]
        return page, page[-1].id if len(points) > limit or more is not None else None

    def after_fork(self) -> None:
        """Forgets, in a child process, what the parent has open: its handle stays untouched, for ever."""
        self._lock = threading.RLock()
        opened, self._opened = self._opened, None
        owned, self._owned = self._owned, None
        if opened is not None:
            # Not even the end of the child may run the handle's destructor: the files are the parent's, the threads not here.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(opened.shard))
            # A copy of a descriptor holds its lock: the folder would stay taken after the parent's end.
            close_files(opened.locks, self._collection.wal)
        if owned is not None:
            owned.close()


def _vector(record: engine.Record) -> Vector:
    vectors = record.vector
    assert isinstance(vectors, dict), "the shard has named vectors only"
    return cast("Vector", vectors[VECTOR])
