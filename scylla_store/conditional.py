"""Conditional writes: read the head, decide, and replace exactly the head that was read.

The database chooses the version of such a write, and its answer may be lost; so what became of it is read afterwards, with
serial consistency, by its write id. Its intents are written first, because no batch can hold both.
"""

from __future__ import annotations

import logging
import os
import random as random_numbers
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from scylla_store.clock import SECOND, VersionClock, past_for_all
from scylla_store.database.base import Database, Mutation
from scylla_store.errors import Contended, DatabaseUnavailable, OutcomeUnknown, StoreError
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Intent, Kind, Ref, new_intent
from scylla_store.items import Item
from scylla_store.outcomes import Condition, Outcome
from scylla_store.publisher import Publisher
from scylla_store.receipts import Receipt
from scylla_store.registry import Registry
from scylla_store.retries import backoff
from scylla_store.rows import Head, Row, decode, encode_body, row_hash
from scylla_store.settings.options import Settings
from scylla_store.skew import SkewGuard
from scylla_store.sync import DELETED_TTL
from scylla_store.values import checked_ttl
from scylla_store.writes import Change

log = logging.getLogger(__name__)

ATTEMPTS = 10
"""How often a write is tried while others replace the head in between and its condition holds all the same."""

_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
"""Seconds between attempts: base and bound of a backoff with full jitter."""


_REPLACED = f"{OutcomeUnknown.__doc__} Its answer was lost, and another write has replaced what was there."
_OPEN = f"{OutcomeUnknown.__doc__} The answer to an attempt was lost; it was not there when it was looked for, and may still come."


@dataclass(frozen=True, slots=True)
class _Before:
    """A row as it was read: its head cell, and what that means."""

    head: bytes | None
    row: Row | None

    @property
    def write_id(self) -> bytes | None:
        return None if self.head is None else self.head[:16]

    def seen(self, now: int) -> Row | None:
        """What a reader sees at that time: what has expired is absent."""
        return self.row if self.row is not None and self.row.is_visible(now) else None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One conditional write on its way. `existed`: whether there was an item when it was decided."""

    before: _Before
    mutation: Mutation
    existed: bool
    is_indexed: bool
    filed_at: int

    @property
    def write_id(self) -> bytes:
        return self.mutation.head[:16]


class ConditionalWriter:
    """Applies changes under conditions. Needs the database only.

    Args:
        patience: microseconds that a write may take before its intents have to be filed again.
        sleep: waits so many seconds.
        random: gives numbers in [0, 1).
    """

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        registry: Registry,
        guard: SkewGuard,
        clock: VersionClock,
        settings: Settings,
        *,
        patience: int,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._registry = registry
        self._guard = guard
        self._clock = clock
        self._margin = int(settings.sync.margin * SECOND)
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        self._patience = patience
        self._sleep = sleep
        self._random = random

    def write(self, change: Change, condition: Condition) -> Outcome:
        """Applies the change if the condition holds; see `run`."""
        return self.run(change.id, lambda row: change if condition(row) else None)

    def run(self, item: ItemId, decide: Callable[[Row | None], Change | None], attempts: int = ATTEMPTS) -> Outcome:
        """Applies what is decided, to the state that it was decided by, or nothing.

        Args:
            decide: called with the row that a reader sees now (None: no such item), in each attempt anew; returns what to
                write, or None: nothing, the outcome is "not applied".
            attempts: how often, while other writers come in between.

        Raises:
            Contended: they did so each time; nothing was written.
            OutcomeUnknown: an answer was lost, and nobody can tell what became of that attempt, or what will.
            DatabaseUnavailable, ClockSkew, DamagedRow, and whatever `decide` raises: nothing was written.
        """
        lost: dict[bytes, _Attempt] = {}
        try:
            outcome = self._attempts(item, decide, attempts, lost)
        except OutcomeUnknown:
            raise
        except Exception as exc:
            if lost:
                raise OutcomeUnknown(f"{_OPEN} ({exc})") from exc
            raise
        # One that was applied has replaced the head that the lost ones are conditions on: they never come.
        if lost and not outcome:
            raise OutcomeUnknown(_OPEN)
        return outcome

    def _attempts(
        self, item: ItemId, decide: Callable[[Row | None], Change | None], attempts: int, lost: dict[bytes, _Attempt]
    ) -> Outcome:
        """Attempts until one of them has an outcome. In `lost` are those whose answers were, and that may still come."""
        for number in range(1, attempts + 1):
            before = self._first_read(item, decide) if number == 1 else self._read(item, serial=True)
            arrived = self._arrived(before, lost)
            if arrived is not None:
                return arrived
            seen = before.seen(self._clock.now())
            change = decide(seen)
            if change is None:
                return Outcome(None if seen is None else Item.of(seen), None)
            outcome = self._try(change, before, seen, lost)
            if outcome is not None:
                return outcome
            if number < attempts:
                self._sleep(backoff(number, _PAUSE, _LONGEST_PAUSE, self._random))
        raise Contended(f"{Contended.__doc__} ({attempts} attempts at {item.namespace}/{item.key})")

    def _first_read(self, item: ItemId, decide: Callable[[Row | None], Change | None]) -> _Before:
        """The row by a plain read; it shows no creation that lies in wait, so "no such item" is said after a serial one only."""
        before = self._read(item, serial=False)
        if before.seen(self._clock.now()) is None and decide(None) is None:
            return self._read(item, serial=True)
        return before

    def _read(self, item: ItemId, *, serial: bool) -> _Before:
        """The row; `serial` settles what is on its way, as after an attempt that another write came before."""
        self._guard.check()
        try:
            cells = self._database.read([item], serial=serial).get(item)
        except OutcomeUnknown as exc:
            raise _nothing_written(exc) from exc
        return _Before(None if cells is None else cells.head, decode(cells))

    def _arrived(self, before: _Before, lost: Mapping[bytes, _Attempt]) -> Outcome | None:
        """The outcome of an earlier attempt whose answer was lost, that was not there when it was settled, and is now.

        All of them are conditions on one head. When that is gone and none of them took its place, one may have, for a while.
        """
        if not lost:
            return None
        attempt = lost.get(before.write_id or b"")
        if attempt is not None:
            return self._applied(attempt, before, None if before.row is None else before.row.version)
        if before.write_id != next(iter(lost.values())).before.write_id:
            raise OutcomeUnknown(_REPLACED)
        return None

    def _try(self, change: Change, before: _Before, seen: Row | None, lost: dict[bytes, _Attempt]) -> Outcome | None:
        """One attempt; None when another write came first, or the item expired before the write could be sent."""
        self._wait_until_past(before.row)
        if seen is not None and before.seen(self._clock.now()) is None:
            return None
        attempt = self._prepared(change, before, seen)
        self._file(attempt)
        answer = self._send(attempt)
        if answer is False:
            self._forget(attempt)
            return None
        self._file_again_if_late(attempt)
        outcome = self._settled(attempt, answer)
        if outcome is None and answer is None:
            lost[attempt.write_id] = attempt
        return outcome

    def _wait_until_past(self, row: Row | None) -> None:
        """Until all nodes' times are after a head that a plain write made, or ours would be applied and hidden behind it.

        After a conditional write's head they are: such times only grow within a partition.
        """
        if row is None or row.head.conditional:
            return
        self._guard.check()
        self._guard.refuse_far_ahead(row.version, f"{row.id.namespace}/{row.id.key}")
        left = self._guard.until_past(row.version)
        if left:
            self._sleep(left / SECOND)

    def _prepared(self, change: Change, before: _Before, seen: Row | None) -> _Attempt:
        """The write with its intents. Its times are the database's, as its version will be."""
        now, filed_at = self._guard.now(), self._clock.now()
        head = Head(
            write_id=os.urandom(16),
            created_at=now if seen is None else seen.head.created_at,
            expires_at=checked_ttl(change.ttl, now) if change.until is None else change.until,
            deleted=change.value is None,
            conditional=True,
            index=change.index,
            row_hash=bytes(16) if change.value is None else row_hash(change.value),
        )
        mutation = Mutation(
            id=change.id,
            version=0,
            head=head.encode(),
            body=None if change.value is None else encode_body(head.write_id, change.value),
            intents=self._intents(change.id, head, filed_at),
            ttl=DELETED_TTL if change.value is None else None,
        )
        is_indexed = change.value is None or change.index is not False
        return _Attempt(before, mutation, seen is not None, is_indexed, filed_at)

    def _intents(self, item: ItemId, head: Head, now: int) -> tuple[Intent, ...]:
        write = new_intent(item, head.write_id, None, Kind.WRITE, now=now, due=now + self._margin)
        if head.expires_at is None:
            return (write,)
        due, shard = past_for_all(head.expires_at, self._skew), write.key.shard
        return write, new_intent(item, head.write_id, None, Kind.EXPIRY, now=now, due=due, shard=shard)

    def _file(self, attempt: _Attempt) -> None:
        """What is written before the item. When that fails the item was not touched, whatever became of the rest."""
        item = attempt.mutation.id
        try:
            if attempt.mutation.body is not None:
                self._registry.register({item.namespace})
            self._database.outbox.file(attempt.mutation.intents)
        except OutcomeUnknown as exc:
            raise _nothing_written(exc) from exc

    def _send(self, attempt: _Attempt) -> bool | None:
        """Whether the database has applied it; None when its answer was lost."""
        try:
            return self._database.compare_and_set(attempt.before.head, attempt.mutation)
        except OutcomeUnknown as exc:
            log.info("The answer to a conditional write of item %s was lost: %s", item_digest(attempt.mutation.id), exc)
            return None

    def _settled(self, attempt: _Attempt, answer: bool | None) -> Outcome | None:
        """What became of it, by write id, as a serial read sees it. None: it is not there, and is to be tried again."""
        item = attempt.mutation.id
        try:
            cells = self._database.read([item], serial=True).get(item)
            found = _Before(None if cells is None else cells.head, decode(cells))
        except StoreError as exc:
            raise OutcomeUnknown(f"{OutcomeUnknown.__doc__} ({exc})") from exc
        if found.write_id == attempt.write_id:
            return self._applied(attempt, found, None if cells is None else cells.version)
        if found.write_id in (None, attempt.before.write_id):
            # Applied to no purpose, hidden behind a later time; or not applied. A request that a node which hangs has not begun
            # yet can still come, though, until the head is another one: then its intent has to be there.
            if answer is not None:
                self._forget(attempt)
            return None
        if answer is None:
            raise OutcomeUnknown(_REPLACED)
        return self._applied(attempt, found, None)

    def _applied(self, attempt: _Attempt, found: _Before, version: int | None) -> Outcome:
        write, row = attempt.mutation.intents[0], found.seen(self._clock.now())
        receipt = Receipt(
            database=self._database,
            item=write.item,
            version=version,
            write_id=write.write_id,
            intent=write.key,
            created=not attempt.existed and attempt.mutation.body is not None,
            existed=attempt.existed,
            indexed=attempt.is_indexed,
        )
        # With its version a worker knows at once that it has arrived, also when another write has replaced it.
        [receipt.task_id] = self._publisher.collect([Ref(replace(write, version=version))])
        return Outcome(None if row is None else Item.of(row), receipt)

    def _forget(self, attempt: _Attempt) -> None:
        """Takes back the intents of a write that is not there and never will be. Those that stay do no harm."""
        try:
            self._database.outbox.ack([intent.key for intent in attempt.mutation.intents])
        except StoreError as exc:
            log.info("The intents of a conditional write that was not applied are left to a worker: %s", exc)

    def _file_again_if_late(self, attempt: _Attempt) -> None:
        """A worker may have acknowledged the intent before the row was there."""
        now, write = self._clock.now(), attempt.mutation.intents[0]
        if now - attempt.filed_at <= self._patience:
            return
        try:
            self._database.outbox.file([new_intent(write.item, write.write_id, None, Kind.AGAIN, now=now, due=now)])
        except StoreError as exc:
            raise OutcomeUnknown(f"{OutcomeUnknown.__doc__} ({exc})") from exc


def _nothing_written(error: StoreError) -> DatabaseUnavailable:
    """The item was not touched: only a note about it may have been written, or its read has failed."""
    return DatabaseUnavailable(str(error))
