"""What the library asks of a database. ScyllaDB, SQLite and the in-memory stub keep this contract, cell for cell.

Cells have write times as in CQL: the larger time wins; at equal times a deletion or a cell with a TTL wins over a plain
cell, and of two plain cells the larger value. The version of an item is the write time of its head.
Every method may raise DatabaseUnavailable (nothing known to have happened when it is a read, OutcomeUnknown when a write's
answer was lost) and DatabaseRefused. No method waits longer than the configured timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Union

from scylla_store.errors import StoreError, TombstoneLimit
from scylla_store.identity import ItemId, Namespace
from scylla_store.intents import Bookkeeping, Entry, Intent, IntentKey
from scylla_store.letters import DeadLetter
from scylla_store.rows import Cells


@dataclass(frozen=True, slots=True)
class Mutation:
    """One write of an item: head and body at `version`, with the intents that belong to it.

    A delete has `body=None` and a `ttl` (seconds) after which its head is gone; it also clears the refresh cell.
    """

    id: ItemId
    version: int
    head: bytes
    body: bytes | None
    intents: tuple[Intent, ...] = ()
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh cell of an item, with a write time and a TTL (seconds) of its own, and the intents that belong to it."""

    item: ItemId
    cell: bytes
    timestamp: int
    ttl: int
    intents: tuple[Intent, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The database's time (microseconds, the median over its nodes), and how far each node is from it (microseconds).

    `has_one_clock`: it has one node in all, so that the times it gives only grow.
    """

    now: int
    nodes: Mapping[str, int]
    has_one_clock: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """A namespace as the registry lists it, and when it was last registered (microseconds)."""

    namespace: Namespace
    seen_at: int


@dataclass(frozen=True, slots=True)
class OutboxSummary:
    """What waits, and the earliest time of filing (microseconds; of an expiry the time that it was due).

    Not `exact`: more rows than `limit` wait, or not all places where some may be were looked at: then `oldest_filed_at` of
    None does not say that nothing waits. `pending` is then what was read, and where they can be counted without being read
    also the others, as far as they are due by their first due time; the other counts are those of what was read.
    `due` is how many of them the next drain may dispatch: their next attempt is not after now.
    """

    pending: int
    retrying: int
    oldest_filed_at: int | None
    exact: bool
    due: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Items that have an intent which waits (an expiry only once it is due), and since when the oldest waits (as above).

    `exact`: whether these are all, but for those that a writer, paused for minutes, filed behind what drains have passed, for at
    most an hour; when not, they are those that are due first.
    """

    items: frozenset[ItemId]
    oldest_filed_at: int | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one drain saw: rows read, rows that were due and pushed, and whether more was due than it was allowed to take."""

    seen: int
    pushed: int
    more: bool


SCAN_BYTES = 8_000_000
"""Of bodies in one page of a scan."""

Position = tuple[Namespace, Union[str, None]]
"""Where a scan goes on: behind this key, behind this namespace (None), or, without namespace, behind this token."""


def behind(error: TombstoneLimit) -> Position | None:
    """Where a scan goes on that met the error; None when that is not known."""
    if error.namespace:
        return error.namespace, None
    return None if error.token is None else ((), str(error.token))


Push = Callable[[Sequence[Entry]], "Sequence[Bookkeeping] | None"]
"""Called with entries that are due, oldest first; returns the new bookkeeping of those that it took, None when no more are wanted."""


def is_last(page: Sequence[Cells], limit: int, max_bytes: int | None) -> bool:
    """Whether there is nothing behind a page of `Database.keys` that was asked for with these bounds."""
    return len(page) < limit and (max_bytes is None or sum(len(row.body or b"") for row in page) < max_bytes)


def within(rows: Iterable[Cells], max_bytes: int) -> Iterator[Cells]:
    """The rows until their bodies have so many bytes together."""
    size = 0
    for row in rows:
        yield row
        size += len(row.body or b"")
        if size >= max_bytes:
            return


class Writing(Protocol):
    """Heads as they are before a write, and the write. Where the database has transactions, all of it is one."""

    @property
    def heads(self) -> Mapping[ItemId, Cells]:
        """Cells (head, refresh and letter; no body) of those ids that have a head."""

    def floor(self, item: ItemId) -> int:
        """The smallest version that a new write of the item may draw (exclusive bounds are already added)."""

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        """Writes each mutation with its intents; returns, at its position, None or why it failed.

        A mutation and its intents are one logged batch, or the intents are written first: above the server's batch limit,
        and for many mutations that are alone in their partitions. Mutations of one partition share batches within the
        limit; several requests are in flight.
        """


class Outbox(Protocol):
    """Intents that are not acknowledged yet."""

    def file(self, intents: Sequence[Intent]) -> None:
        """Writes intents on their own."""

    def sweep(self, now: int, limit: int, push: Push, *, since: int | None = None) -> Sweep:
        """Calls `push` with at most `limit` entries whose next attempt is not after `now`, oldest due first, in chunks.

        With `since`, only with those that were first due at or after that time, however many older ones there are.
        What `push` returns is stored before the next chunk. Entries that it leaves out stay due. Bounded in rows and
        partitions however large the backlog is; safe when several sweeps run at once. Half rows (bookkeeping that came
        after its row was acked and forgotten) are removed.
        """

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """Stores new bookkeeping. An ack that was or will be made wins over it."""

    def ack(self, keys: Sequence[IntentKey]) -> None:
        """Removes exactly these rows, for good."""

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """Those of the rows that exist."""

    def summary(self, limit: int | None) -> OutboxSummary:
        """Counts what is pending, reading about as many rows as `limit`, which expiries to come do not use up; None: reads all,
        wherever they are, and is exact."""

    def waiting(self, limit: int) -> Waiting:
        """Which items wait, reading about `limit` rows."""


class Database(Protocol):
    """The truth: items, outbox, dead letters, namespaces, leases and small state."""

    @property
    def outbox(self) -> Outbox: ...

    def connect(self) -> None:
        """Connects if needed. Called by every other method too; safe after a fork; DatabaseUnavailable when it cannot."""

    def close(self) -> None:
        """Ends within 2 s, may be called twice, leaves no thread, socket or lock."""

    def setup(self) -> None:
        """Applies the missing migrations under a lock; SchemaMismatch when the schema is newer than the code."""

    def clock(self) -> ClockReading | None:
        """Asks the database for its time; None where there is no clock of its own (SQLite)."""

    def writing(self, ids: Sequence[ItemId]) -> AbstractContextManager[Writing]:
        """Reads the heads of `ids` (deduplicated) and prepares a write. Left without `commit`, nothing is written."""

    def read(self, ids: Sequence[ItemId], *, body: bool = True, serial: bool = False) -> dict[ItemId, Cells]:
        """Cells of those ids that have any. `serial` settles conditional writes in flight (Paxos) before it reads."""

    def compare_and_set(self, expected: bytes | None, mutation: Mutation) -> bool:
        """Writes head and body iff the head cell is exactly `expected` (None: absent); the server chooses the version.

        `mutation.version` and `.intents` are not used. True: applied, though an earlier write with a later time may
        shadow it (read serial to know). Raises OutcomeUnknown when the answer was lost.
        """

    def refresh(self, refreshes: Sequence[Refresh]) -> None:
        """Writes refresh cells, each with its intents in one batch; several requests are in flight."""

    def keys(
        self, namespace: Namespace, *, after: str | None, limit: int, max_bytes: int | None = None
    ) -> list[Cells]:
        """Rows of one namespace that have a head, by key (UTF-8 bytes), after `after`, with bodies.

        At most `limit` rows, and none after those whose bodies have `max_bytes` together. TombstoneLimit when the database
        gives up.
        """

    def scan(self, *, after: Position | None, limit: int, max_bytes: int = SCAN_BYTES) -> list[Cells]:
        """Rows of all namespaces that have a head, with bodies, in an order of the database's own, after `after`.

        At most `limit` rows, and none after those whose bodies have `max_bytes` together. However large the rows are, no
        more than some dozen beyond that are in memory.
        None: from the start. An empty list: the end. The row at `after` need not exist any more. TombstoneLimit, with the
        `namespace` that the database gives up at, or its `token` where no row says which one it is; `behind` is the
        position to go on from.
        """

    def register(self, namespaces: Iterable[Namespace], *, now: int) -> None:
        """Lists the namespaces, or lists them again at `now`."""

    def namespaces(self, prefix: Namespace, *, after: Namespace | None, limit: int) -> list[Registration]:
        """Registered namespaces that start with exactly the labels of `prefix`, in order (`identity.sort_key`), after `after`."""

    def unregister(self, registration: Registration) -> None:
        """Takes a namespace off the list unless it was registered later than `registration.seen_at`."""

    def bury(self, letter: DeadLetter) -> None:
        """Stores the letter, and its mark on the item's row (letter cell: write id and timestamp)."""

    def exhume(self, letters: Sequence[tuple[ItemId, int]]) -> None:
        """Removes letters and marks of these items, but none with a later timestamp than the one given."""

    def letters(self, *, after: str | None, limit: int) -> list[DeadLetter]:
        """Letters by id, after `after`."""

    def letter(self, ident: str) -> DeadLetter | None:
        """One letter."""

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Takes or prolongs the lease; False when somebody else holds it."""

    def release(self, name: str, owner: str) -> None:
        """Gives the lease back if it is still ours."""

    def state(self, name: str) -> bytes | None:
        """A small named value: a summary, a position."""

    def set_state(self, name: str, value: bytes) -> None:
        """Stores a small named value; the last writer wins."""

    def first_state(self, name: str, value: bytes) -> bytes:
        """Stores a small named value unless there is one, and returns the one that there is then: the same to all who call
        it, also at once. A name that is stored in this way is not for `set_state`.
        """

    def ping(self) -> float:
        """Seconds that the cheapest request took."""
