"""The write path: check, read the head, choose the version, write item and intents in one batch, hand the refs on."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scylla_store.arguments import checked_list
from scylla_store.clock import LAST_MOMENT, SECOND, VersionClock, past_for_all
from scylla_store.database.base import Database, Mutation, Writing
from scylla_store.errors import DamagedRow, PartialFailure, StoreError, ValidationError
from scylla_store.identity import ItemId, checked_ids, checked_key, checked_namespace
from scylla_store.intents import SHARDS, Intent, Kind, Ref, new_intent
from scylla_store.items import Put
from scylla_store.publisher import Publisher
from scylla_store.receipts import Receipt
from scylla_store.registry import Registry
from scylla_store.rows import Head, IndexSpec, Row, decode, encode_body, row_hash
from scylla_store.settings.options import Settings
from scylla_store.skew import SkewGuard
from scylla_store.sync import DELETED_TTL
from scylla_store.ttls import Defaults
from scylla_store.values import checked_index, checked_ttl, encode_value

log = logging.getLogger(__name__)

CHUNK = 1000
"""Writes of `put_many` whose heads are read at once; on SQLite one transaction."""

_TOLD_APART = 2**53
"""Microseconds up to which the index tells times apart: it compares 64-bit floats. In 2255."""


@dataclass(frozen=True, slots=True)
class Change:
    """One checked write. `value` is the document in JSON, None for a delete.

    `until`: when it expires (microseconds), in place of a `ttl`: what a conditional write keeps of the item before.
    `created_at`: what it brings along (microseconds), in place of what was there. `yields`: it is left out when a reader sees
    a document there already, or a row is there that cannot be decoded; both of plain writes only.
    """

    id: ItemId
    value: bytes | None
    index: IndexSpec = None
    ttl: float | None = None
    until: int | None = None
    created_at: int | None = None
    yields: bool = False


class Writer:
    """Turns puts and deletes into stored rows and receipts. Needs the database only."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        registry: Registry,
        guard: SkewGuard,
        clock: VersionClock,
        settings: Settings,
        encoder: Callable[[Any], Any] | None,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._registry = registry
        self._guard = guard
        self._clock = clock
        self._limits = settings.limits
        self._defaults = Defaults(settings.ttl.defaults)
        self._margin = int(settings.sync.margin * SECOND)
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        # A worker's clock may be ahead of ours by twice the skew, so that the margin is over for it by so much earlier.
        self._patience = self._margin - min(2 * self._skew, self._margin // 2)
        self._encoder = encoder

    @property
    def patience(self) -> int:
        """Microseconds that a write may take before its intent has to be filed again."""
        return self._patience

    def check_put(self, put: Put, argument: str = "") -> Change:
        """Raises ValidationError, naming the argument, before anything is written."""
        item = ItemId(
            checked_namespace(put.namespace, argument=f"{argument}namespace"),
            checked_key(put.key, argument=f"{argument}key"),
        )
        value = self.encode(put.value, f"{argument}value")
        ttl = self._defaults.chosen(put.ttl, item.namespace)
        checked_ttl(ttl, self._clock.now(), argument=f"{argument}ttl")
        return Change(item, value, checked_index(put.index, argument=f"{argument}index"), ttl)

    def encode(self, value: object, argument: str) -> bytes:
        """A document in JSON, within the limits; raises ValidationError, naming the argument."""
        return encode_value(
            value,
            encoder=self._encoder,
            max_bytes=self._limits.max_document_bytes,
            max_depth=self._limits.max_depth,
            argument=argument,
        )

    def check_puts(self, puts: Iterable[Put]) -> list[Change]:
        """As `check_put`, for each of them."""
        return list(self.check_each(checked_list(puts, "puts", "puts")))

    def check_each(self, puts: Iterable[Put]) -> Iterator[Change]:
        """As `check_put`, for each of any number, when it is taken."""
        for position, put in enumerate(puts):
            if not isinstance(put, Put):
                raise ValidationError(f"puts[{position}] must be a Put, not {type(put).__name__}")
            yield self.check_put(put, f"puts[{position}].")

    def check_restored(self, put: Put, *, created_at: int, until: int | None, yields: bool) -> Change:
        """As `check_put`, for a document that brings its times along (microseconds).

        It may have been created later than now: its store's clock was ahead once, and versions there went on from that.
        """
        change = self.check_put(replace(put, ttl=None))
        if not 0 <= created_at < _TOLD_APART:
            raise ValidationError(
                f"created_at must lie between 1970 and 2255; it is {created_at} microseconds since 1970"
            )
        if until is not None and until > LAST_MOMENT:
            raise ValidationError(
                "expires_at must lie before the year 10000 in UTC; without it a document never expires"
            )
        return replace(change, created_at=created_at, until=until, yields=yields)

    def check_delete(self, namespace: object, key: object, argument: str = "") -> Change:
        """Raises ValidationError, naming the argument."""
        labels = checked_namespace(namespace, argument=f"{argument}namespace")
        return Change(ItemId(labels, checked_key(key, argument=f"{argument}key")), None)

    def check_deletes(self, keys: object) -> list[Change]:
        """As `check_delete`, for each pair of namespace and key."""
        return [Change(item, None) for item in checked_ids(keys)]

    def write(self, changes: Sequence[Change]) -> list[Receipt]:
        """Writes all changes; of several of one item the last one wins, and all of them get its receipt.

        Raises:
            DatabaseUnavailable, OutcomeUnknown: of a single change, as it happened.
            PartialFailure: some of several changes failed; it has the receipts of the others.
        """
        results = self._write_all(changes)
        return _receipts([results[change.id] for change in changes])

    def restore(self, changes: Sequence[Change]) -> list[Receipt]:
        """As `write`, with receipts only of those that did not yield to a document that is there already."""
        results = self._write_all(changes)
        return _receipts([results[change.id] for change in changes if change.id in results])

    def _write_all(self, changes: Sequence[Change]) -> dict[ItemId, Receipt | StoreError]:
        self._guard.check()
        last = {change.id: change for change in changes}
        self._registry.register({item.namespace for item, change in last.items() if change.value is not None})
        results: dict[ItemId, Receipt | StoreError] = {}
        distinct = list(last.values())
        for start in range(0, len(distinct), CHUNK):
            results.update(self._write_chunk(distinct[start : start + CHUNK]))
        return results

    def _write_chunk(self, changes: Sequence[Change]) -> dict[ItemId, Receipt | StoreError]:
        started = self._clock.now()
        shard = random.randrange(SHARDS)
        # Drawn before it is looked whether a document is there: a put that is not seen then is later than what yields to it.
        early = self._clock.version() if any(change.yields for change in changes) else 0
        try:
            with self._database.writing([change.id for change in changes]) as writing:
                wanted = [change for change in changes if not (change.yields and self._is_there(change.id, writing))]
                prepared = [self._prepare(change, writing, shard, early) for change in wanted]
                errors = writing.commit([mutation for mutation, _ in prepared]) if prepared else []
        except StoreError as exc:
            if len(changes) == 1:
                raise
            return {change.id: exc for change in changes}
        if self._clock.now() - started > self._patience:
            errors = self._file_again([mutation for mutation, _ in prepared], errors)
        self._publish([pair for pair, error in zip(prepared, errors, strict=True) if error is None])
        return {
            mutation.id: receipt if error is None else error
            for (mutation, receipt), error in zip(prepared, errors, strict=True)
        }

    def _is_there(self, item: ItemId, writing: Writing) -> bool:
        try:
            row = decode(writing.heads.get(item))
        except DamagedRow as exc:
            log.error("A row that cannot be decoded is left as it is: %s", exc)
            return True
        return row is not None and row.is_visible(self._clock.now())

    def _prepare(self, change: Change, writing: Writing, shard: int, early: int) -> tuple[Mutation, Receipt]:
        before = self._row(change.id, writing)
        floor = writing.floor(change.id)
        self._guard.refuse_far_ahead(floor, f"{change.id.namespace}/{change.id.key}")
        version = self._clock.version(floor)
        if change.yields and early >= floor:
            version = early
        existed = before is not None and before.is_visible(version)
        created_at = before.head.created_at if before is not None and existed else version
        expires_at = checked_ttl(change.ttl, version) if change.until is None else change.until
        head = Head(
            write_id=os.urandom(16),
            created_at=created_at if change.created_at is None else change.created_at,
            expires_at=expires_at,
            deleted=change.value is None,
            index=change.index,
            row_hash=bytes(16) if change.value is None else row_hash(change.value),
        )
        intents = self._intents(change.id, head, version, shard)
        mutation = Mutation(
            id=change.id,
            version=version,
            head=head.encode(),
            body=None if change.value is None else encode_body(head.write_id, change.value),
            intents=intents,
            ttl=DELETED_TTL if change.value is None else None,
        )
        receipt = Receipt(
            database=self._database,
            item=change.id,
            version=version,
            write_id=head.write_id,
            intent=intents[0].key,
            created=not existed and change.value is not None,
            existed=existed,
            indexed=change.value is None or change.index is not False,
        )
        return mutation, receipt

    def _row(self, item: ItemId, writing: Writing) -> Row | None:
        try:
            return decode(writing.heads.get(item))
        except DamagedRow as exc:
            log.error("A damaged row is overwritten by a new write: %s", exc)
            return None

    def _intents(self, item: ItemId, head: Head, version: int, shard: int) -> tuple[Intent, ...]:
        write = new_intent(
            item, head.write_id, version, Kind.WRITE, now=version, due=version + self._margin, shard=shard
        )
        if head.expires_at is None:
            return (write,)
        due = past_for_all(head.expires_at, self._skew)
        return write, new_intent(item, head.write_id, version, Kind.EXPIRY, now=version, due=due, shard=shard)

    def _file_again(
        self, mutations: Sequence[Mutation], errors: Sequence[StoreError | None]
    ) -> list[StoreError | None]:
        """Writes that took too long: a worker may have acknowledged their intents before the rows were there.

        So may rows of writes whose answer was lost, which the database's batch log may bring only later: these are due when
        that must be over. A write that cannot be filed again has failed.
        """
        now = self._clock.now()
        firsts = [mutation.intents[0] for mutation in mutations]
        dues = [now if error is None else now + self._margin for error in errors]
        try:
            self._database.outbox.file(
                [
                    new_intent(one.item, one.write_id, one.version, Kind.AGAIN, now=now, due=due)
                    for one, due in zip(firsts, dues, strict=True)
                ]
            )
        except StoreError as exc:
            return [error or exc for error in errors]
        return list(errors)

    def _publish(self, stored: Sequence[tuple[Mutation, Receipt]]) -> None:
        task_ids = self._publisher.collect([Ref(mutation.intents[0]) for mutation, _ in stored])
        for (_, receipt), task_id in zip(stored, task_ids, strict=True):
            receipt.task_id = task_id


def _receipts(results: list[Receipt | StoreError]) -> list[Receipt]:
    errors = [result if isinstance(result, StoreError) else None for result in results]
    if not any(errors):
        return [result for result in results if isinstance(result, Receipt)]
    if len(results) == 1 and errors[0] is not None:
        raise errors[0]
    raise PartialFailure([result if isinstance(result, Receipt) else None for result in results], errors)
