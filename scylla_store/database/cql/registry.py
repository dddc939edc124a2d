"""Small tables: namespaces, dead letters, leases and named values."""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Registration
from scylla_store.database.cql.batches import chunks
from scylla_store.database.cql.encoding import bigint, integer, labels, smallint, smallints, text
from scylla_store.database.cql.session import Session
from scylla_store.identity import ItemId, Namespace, item_digest, sort_key
from scylla_store.letters import DeadLetter, from_json, to_json

_SHARDS = 32
_AT_ONCE = 8
"""Shards that one request reads. All of them at once are read one after the other by their node, each alone costs us more."""

_LETTER_SHARDS = "0123456789abcdef"
_LARGEST_PAGE = 1000
_MORE = 8
"""Namespaces of each shard that are read beyond twice its share of a page."""



class Namespaces:
    """The registry of namespaces: each in one of 32 shards, merged in order when they are listed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(self, namespaces: Iterable[Namespace], *, now: int) -> None:
        """See `Database.register`."""
        time = bigint(now)
        by_shard: dict[int, list[Any]] = {}
        for namespace in namespaces:
            shard = _shard(namespace)
            statement = self._session.bound("register", [time, time, smallint(shard), labels(namespace)])
            by_shard.setdefault(shard, []).append(statement)
        limit = self._session.settings.max_batch_bytes
        parts = (part for statements in by_shard.values() for part in chunks(statements, limit))
        requests = (part[0] if len(part) == 1 else self._session.batch(part, logged=False) for part in parts)
        for _ in self._session.each(requests, self._session.deadline(), write=True):
            pass

    def unregister(self, registration: Registration) -> None:
        """See `Database.unregister`."""
        namespace = registration.namespace
        self._session.write(
            "unregister", [bigint(registration.seen_at), smallint(_shard(namespace)), labels(namespace)]
        )

    def page(self, prefix: Namespace, *, after: Namespace | None, limit: int) -> list[Registration]:
        """See `Database.namespaces`."""
        # Shards are hashes, so each has about its share of any page; one that has more is read on when it is its turn.
        size = min(2 * limit // _SHARDS + _MORE, _LARGEST_PAGE)
        firsts = self._rows(range(_SHARDS), prefix, after, size)
        shards = [self._walk(shard, prefix, firsts[shard], size) for shard in range(_SHARDS)]
        merged = heapq.merge(*shards, key=lambda registration: sort_key(registration.namespace))
        return list(itertools.islice(merged, limit))

    def _walk(self, shard: int, prefix: Namespace, page: list[Registration], size: int) -> Iterator[Registration]:
        yield from page
        while len(page) == size:
            page = self._rows([shard], prefix, page[-1].namespace, size)[shard]
            yield from page

    def _rows(
        self, shards: Sequence[int], prefix: Namespace, after: Namespace | None, size: int
    ) -> dict[int, list[Registration]]:
        """So many rows of each of the shards."""
        found: dict[int, list[Registration]] = {shard: [] for shard in shards}
        parts = [shards[start : start + _AT_ONCE] for start in range(0, len(shards), _AT_ONCE)]
        statements = [self._statement(part, prefix, after, size) for part in parts]
        for rows in self._session.each(statements, self._session.deadline(), write=False):
            for shard, namespace, seen_at in rows:
                found[shard].append(Registration(tuple(namespace), seen_at))
        return found

    def _statement(self, shards: Sequence[int], prefix: Namespace, after: Namespace | None, size: int) -> Any:
        """Namespaces under p are those in [p, p with NUL appended to its last label)."""
        end = [] if not prefix else [labels((*prefix[:-1], f"{prefix[-1]}\0"))]
        follows = after is not None and sort_key(after) >= sort_key(prefix)
        start = labels(after if follows and after is not None else prefix)
        name = {
            (False, False): "namespaces_from",
            (True, False): "namespaces_after",
            (False, True): "namespaces_between",
            (True, True): "namespaces_after_before",
        }[follows, bool(end)]
        return self._session.bound(name, [smallints(shards), start, *end, integer(size)])


class Letters:
    """Dead letters and their marks on the items."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def bury(self, letter: DeadLetter, mark: bytes) -> None:
        """Stores letter and mark in one batch, at the letter's time."""
        time = bigint(letter.timestamp)
        item = [labels(letter.item.namespace), text(letter.item.key)]
        bury = self._session.bound("bury", [time, text(to_json(letter)), *_letter_key(letter.id)])
        self._write([[bury, self._session.bound("mark_letter", [time, mark, *item])]])

    def exhume(self, letters: Sequence[tuple[ItemId, int]]) -> None:
        """See `Database.exhume`."""
        self._write(self._exhumation(item, bigint(timestamp)) for item, timestamp in letters)

    def page(self, *, after: str | None, limit: int) -> list[DeadLetter]:
        """See `Database.letters`."""
        found: list[DeadLetter] = []
        start = after or ""
        for shard in _LETTER_SHARDS:
            if len(found) < limit and shard >= start[:1]:
                rows = self._session.rows("letters", [text(shard), text(start), integer(limit - len(found))])
                found += [from_json(row[0]) for row in rows]
        return found

    def get(self, ident: str) -> DeadLetter | None:
        """See `Database.letter`."""
        if not ident:
            return None
        rows = self._session.rows("letter", _letter_key(ident))
        return from_json(rows[0][0]) if rows else None

    def _exhumation(self, item: ItemId, time: bytes) -> list[Any]:
        unmark = self._session.bound("unmark_letter", [time, labels(item.namespace), text(item.key)])
        return [self._session.bound("exhume", [time, *_letter_key(item_digest(item))]), unmark]

    def _write(self, batches: Iterable[list[Any]]) -> None:
        for _ in self._session.each(map(self._session.batch, batches), self._session.deadline(), write=True):
            pass


class Leases:
    """Leases: read, then taken over by a conditional write of exactly what was read."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    def take(self, name: str, owner: str, seconds: float) -> bool:
        """See `Database.lease`."""
        now = self._clock()
        statement = self._session.bound("lease", [text(name)])
        statement.consistency_level = self._session.serial
        rows = next(self._session.each([statement], self._session.deadline(), write=False))
        wanted = [text(owner), bigint(now + int(seconds * SECOND)), text(name)]
        holder, expires_at = rows[0] if rows else (None, None)
        if holder is None:
            return self._session.apply("take_lease", wanted)
        if holder != owner and now < expires_at:
            return False
        return self._session.apply("take_lease_over", [*wanted, text(holder), bigint(expires_at)])

    def release(self, name: str, owner: str) -> None:
        """See `Database.release`."""
        self._session.apply("release_lease", [text(name), text(owner)])


class State:
    """Small named values."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    def state(self, name: str) -> bytes | None:
        """See `Database.state`."""
        return next((row[0] for row in self._session.rows("state", [text(name)])), None)

    def set_state(self, name: str, value: bytes) -> None:
        """See `Database.set_state`. Like an item it is written after what is there: a clock that was an hour ahead would hide
        for an hour what all others write."""
        stored = next((row[0] for row in self._session.rows("state_time", [text(name)])), None)
        time = max(self._clock(), (stored or 0) + 1)
        self._session.write("set_state", [bigint(time), value, text(name)])

    def first_state(self, name: str, value: bytes) -> bytes:
        """See `Database.first_state`. Whoever was not applied, or got no answer and calls again, reads what was."""
        stored = self._settled(name)
        if stored is None and self._session.apply("first_state", [value, text(name)]):
            return value
        return stored or self._settled(name) or value

    def _settled(self, name: str) -> bytes | None:
        """The value, after a conditional write in flight was settled."""
        statement = self._session.bound("state", [text(name)])
        statement.consistency_level = self._session.serial
        rows = next(self._session.each([statement], self._session.deadline(), write=False))
        return rows[0][0] if rows else None


def _shard(namespace: Namespace) -> int:
    return hashlib.blake2b(labels(namespace), digest_size=1).digest()[0] % _SHARDS


def _letter_key(ident: str) -> tuple[bytes, bytes]:
    return text(ident[0]), text(ident)
