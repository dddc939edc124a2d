"""Items: heads before a write, logged batches, reads by partition, conditional writes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scylla_store.database.base import Mutation, Position, Refresh, within
from scylla_store.database.cql.batches import Encoder, Part
from scylla_store.database.cql.encoding import (
    FIRST_TOKEN,
    LAST_TOKEN,
    bigint,
    integer,
    labels,
    partition_key,
    text,
    texts,
)
from scylla_store.database.cql.errors import is_batch_log_timeout
from scylla_store.database.cql.session import Deadline, Session
from scylla_store.errors import OutcomeUnknown, StoreError, TombstoneLimit
from scylla_store.identity import ItemId, Namespace
from scylla_store.rows import Cells

if TYPE_CHECKING:
    from cassandra.query import BatchStatement, BoundStatement

_KEYS_PER_SELECT = 100
_ROWS_PER_PAGE = 101
"""One more than the usual limit: a page is asked for with one row more, which says whether it is the last."""

_ROWS_PER_PART = 50
"""Of a scan: what one answer brings is in memory before its size is known."""

_LAST_KEY = "\U0010ffff" * 256
"""No key of 1,024 bytes comes after it."""

_PATIENCE = 0.5
"""Seconds that a batch alone may take where there is another way. It takes milliseconds, or as long as a node hangs."""

_LONGEST_TTL = 20 * 365 * 24 * 3600
_LAST_SECOND = 2**31 - 86_400
"""Servers refuse a TTL above 20 years, and Cassandra one that ends after 2038-01-19 (CASSANDRA-14092)."""


class Items:
    """The items table, and the intents that are written with it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def writing(self, ids: Sequence[ItemId]) -> Iterator[_Writing]:
        """See `Database.writing`. One deadline spans the read of the heads and the write."""
        deadline = self._session.deadline()
        yield _Writing(self._session, self._select(ids, "head", deadline), deadline)

    def read(self, ids: Sequence[ItemId], *, body: bool, serial: bool) -> dict[ItemId, Cells]:
        """See `Database.read`."""
        return self._select(ids, "row" if body else "head", self._session.deadline(), serial=serial)

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """See `Database.compare_and_set`."""
        key = [labels(mutation.id.namespace), text(mutation.id.key)]
        condition = [] if expected is None else [expected]
        if mutation.ttl is None:
            name = "create_if_absent" if expected is None else "replace_if_same"
            return self._session.apply(name, [mutation.head, mutation.body, *key, *condition])
        name = "bar_if_absent" if expected is None else "delete_if_same"
        return self._session.apply(name, [integer(mutation.ttl), mutation.head, *key, *condition])

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        """See `Database.refresh`."""
        encoder, now = Encoder(self._session), time.time()

        def batch(one: Refresh) -> BatchStatement:
            kept = integer(allowed_ttl(one.ttl, now))
            values = [bigint(one.timestamp), kept, one.cell, encoder.labels(one.item.namespace), text(one.item.key)]
            return self._session.batch([self._session.bound("refresh_item", values), *map(encoder.intent, one.intents)])

        for _ in self._session.each(map(batch, refreshes), self._session.deadline(), write=True):
            pass

    def keys(
        self, namespace: Namespace, *, after: str | None, limit: int, max_bytes: int | None = None
    ) -> list[Cells]:
        """See `Database.keys`. Rows without a head (only the mark of a letter is left) do not count."""
        return self._keys(namespace, after, limit, max_bytes)

    def _keys(self, namespace: Namespace, after: str | None, limit: int, max_bytes: int | None = None) -> list[Cells]:
        found: list[Cells] = []
        partition = labels(namespace)
        try:
            while len(found) < limit:
                wanted = limit - len(found)
                name, start = ("scan_from_start", []) if after is None else ("scan", [text(after)])
                values = [partition, *start, integer(wanted)]
                if max_bytes is None:
                    cells = [_cells(namespace, *row) for row in self._session.rows(name, values, page=_ROWS_PER_PAGE)]
                else:
                    answers = self._session.pages(name, values, page=min(_ROWS_PER_PART, wanted))
                    cells = list(within((_cells(namespace, *row) for rows in answers for row in rows), max_bytes))
                found += [row for row in cells if row.head is not None]
                if len(cells) < wanted:
                    break
                after = cells[-1].id.key
        except TombstoneLimit as exc:
            error = TombstoneLimit(f"Namespace {list(namespace)}: {exc}")
            error.namespace = namespace
            raise error from exc
        return found

    def scan(self, *, after: Position | None, limit: int, max_bytes: int) -> list[Cells]:
        """See `Database.scan`: what is left of the namespace, else rows of the next ones by token."""
        while True:
            if after is not None and after[0] and after[1] is not None:
                found = self._keys(after[0], after[1], limit, max_bytes)
                if found:
                    return found
            rows = self._rows_behind(_token(after), limit, max_bytes)
            found = [cells for cells in rows if cells.head is not None]
            if found or not rows:
                return found
            after = rows[-1].id

    def _rows_behind(self, token: int, limit: int, max_bytes: int) -> list[Cells]:
        """Rows of the namespaces behind a token; where the database gives up among them, those of the next one alone."""
        try:
            values = [bigint(token), integer(limit)]
            answers = self._session.pages("scan_all", values, page=min(limit, _ROWS_PER_PART))
            read = (_cells(tuple(namespace), *row) for rows in answers for namespace, *row in rows)
            return list(within(read, max_bytes))
        except TombstoneLimit:
            following = self._first_between(token, LAST_TOKEN)
        if following is None:
            return []
        found = self._keys(following, None, limit, max_bytes)
        return found or [Cells(ItemId(following, _LAST_KEY), 0, None)]

    def _first_between(self, start: int, end: int) -> Namespace | None:
        """The first namespace of a token range that has rows. A range with too many deleted ones is halved, down to the one
        partition that cannot be read: of that no more than its token is known."""
        try:
            rows = self._session.rows("next_namespace", [bigint(start), bigint(end)])
            return tuple(rows[0][0]) if rows else None
        except TombstoneLimit as exc:
            if end - start == 1:
                error = TombstoneLimit(f"The partition of items with the token {end}: {exc}")
                error.token = end
                raise error from exc
        middle = (start + end) // 2
        return self._first_between(start, middle) or self._first_between(middle, end)

    def _select(
        self, ids: Sequence[ItemId], name: str, deadline: Deadline, *, serial: bool = False
    ) -> dict[ItemId, Cells]:
        """Cells by id, one select for up to a hundred keys of a partition, several in flight."""
        groups: dict[Namespace, list[str]] = {}
        for namespace, key in dict.fromkeys(ids):
            groups.setdefault(namespace, []).append(key)
        selects = list(self._selects(groups, name, serial))
        answers = self._session.each((statement for _, statement in selects), deadline, write=False)
        found: dict[ItemId, Cells] = {}
        for (namespace, _), rows in zip(selects, answers, strict=True):
            for row in rows:
                cells = _cells(namespace, *row)
                found[cells.id] = cells
        return found

    def _selects(
        self, groups: Mapping[Namespace, Sequence[str]], name: str, serial: bool
    ) -> Iterator[tuple[Namespace, BoundStatement]]:
        for namespace, keys in groups.items():
            partition = labels(namespace)
            for start in range(0, len(keys), _KEYS_PER_SELECT):
                chunk = keys[start : start + _KEYS_PER_SELECT]
                if len(chunk) == 1:
                    statement = self._session.bound(name, [partition, text(chunk[0])])
                else:
                    statement = self._session.bound(f"{name}s", [partition, texts(chunk)])
                if serial:
                    statement.consistency_level = self._session.serial
                yield namespace, statement


class _Writing:
    """See `database.base.Writing`."""

    def __init__(self, session: Session, cells: Mapping[ItemId, Cells], deadline: Deadline) -> None:
        self._session = session
        self._deadline = deadline
        self._cells = cells
        self.heads: Mapping[ItemId, Cells] = {item: found for item, found in cells.items() if found.head is not None}

    def floor(self, item: ItemId) -> int:
        """The version above the head's."""
        cells = self._cells.get(item)
        return 0 if cells is None else cells.version + 1

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        """See `Writing.commit`."""
        failures = self._carry_out(mutations, batches=self._session.has_batch_log)
        unremembered = [at for at, error in enumerate(failures) if error is not None and is_batch_log_timeout(error)]
        if unremembered:
            # Cassandra wants two nodes to remember a batch, and goes on asking a dead one until it knows that it is dead. Each
            # of these writes is the same one as before: it may also arrive twice.
            self._session.avoid_batch_log()
            again = self._carry_out([mutations[at] for at in unremembered], batches=False)
            for at, error in zip(unremembered, again, strict=True):
                failures[at] = None if error is None else _unknown(error)
        return failures

    def _carry_out(self, mutations: Sequence[Mutation], *, batches: bool) -> list[StoreError | None]:
        failures: list[StoreError | None] = [None] * len(mutations)
        limit = self._session.settings.max_batch_bytes
        plan = Encoder(self._session).plan(mutations, limit, batches=batches)
        self._send(plan.intents, failures)
        self._send([item for item in plan.items if failures[item.positions[0]] is None], failures)
        # Many at once may well take longer, on a busy cluster: sending them twice would make it worse.
        is_alone = len(plan.batches) == 1 and len(self._session.others()) > 1
        self._send(plan.batches, failures, _PATIENCE if is_alone else None)
        return failures

    def _send(self, parts: Sequence[Part], failures: list[StoreError | None], patience: float | None = None) -> None:
        outcomes = self._session.outcomes(map(self._request, parts), self._deadline, write=True, patience=patience)
        for part, outcome in zip(parts, outcomes, strict=True):
            if isinstance(outcome, StoreError):
                for position in part.positions:
                    failures[position] = outcome

    def _request(self, part: Part) -> Any:
        return part.statements[0] if len(part.statements) == 1 else self._session.batch(part.statements)


def _unknown(error: StoreError) -> StoreError:
    """The other way failed too, and of the batch nobody knows."""
    if isinstance(error, OutcomeUnknown):
        return error
    unknown = OutcomeUnknown(str(error))
    unknown.__cause__ = error
    return unknown


def _cells(
    namespace: Namespace,
    key: str,
    version: int | None,
    head: bytes | None,
    refresh: bytes | None,
    letter: bytes | None,
    body: bytes | None = None,
) -> Cells:
    """A row of a select, whose columns have this order."""
    return Cells(ItemId(namespace, key), version or 0, head, body, refresh, letter)


def _token(position: Position | None) -> int:
    """Of the partition at a position; Murmur3, as every partition key is read by."""
    from cassandra.metadata import Murmur3Token

    if position is None:
        return FIRST_TOKEN
    namespace, key = position
    return int(key or FIRST_TOKEN) if not namespace else int(Murmur3Token.hash_fn(partition_key(namespace)))


def allowed_ttl(seconds: int, now: float) -> int:
    """The TTL, or 0 (none) when the server would refuse it: then the cell goes with the delete that follows its expiry."""
    return seconds if seconds <= _LONGEST_TTL and now + seconds < _LAST_SECOND else 0
