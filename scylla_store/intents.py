"""Intents: the durable notes "this item is to be brought to the index", and the refs that tasks carry.

An intent is a row of the outbox. It is written with the item in one batch, and acknowledged by its own id when the
index holds the item's current state. A ref is the same in a Celery message: only a hint.
"""

from __future__ import annotations

import enum
import os
import random
from dataclasses import dataclass
from typing import Any, NamedTuple

from scylla_store.clock import SECOND
from scylla_store.identity import ItemId

SLOT = 10 * SECOND
SHARDS = 8
WIRE_FORMAT = 1


class Kind(str, enum.Enum):
    """Why an intent was filed. Only those of WRITE and REFRESH can be young (design: the young rule).

    REPAIR brings the index to what it shall hold, which is an anchor for a dead letter's item; REPLAY tries its text again.
    """

    WRITE = "write"
    REFRESH = "refresh"
    EXPIRY = "expiry"
    REPAIR = "repair"
    REPLAY = "replay"
    AGAIN = "again"


class IntentKey(NamedTuple):
    """Primary key of an outbox row. `due` is its first due time in microseconds and never changes."""

    due: int
    shard: int
    intent: bytes

    @property
    def slot(self) -> int:
        """Ten seconds of due time."""
        return self.due // SLOT


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing to bring to the index. `version` is None for conditional writes, and of a REPLAY the timestamp of the letter."""

    key: IntentKey
    item: ItemId
    write_id: bytes
    version: int | None
    kind: Kind
    filed_at: int

    @property
    def waits_since(self) -> int:
        """Since when it waits: an expiry is filed with its write, and does not wait before it is due."""
        return self.key.due if self.kind is Kind.EXPIRY else self.filed_at


@dataclass(frozen=True, slots=True)
class Entry:
    """An outbox row: the intent and its bookkeeping. `next_attempt` is in microseconds, never before `key.due`."""

    intent: Intent
    next_attempt: int
    attempts: int = 0
    error: str | None = None
    first_failed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """New bookkeeping of an outbox row; written so that an ack wins over it, however late it comes."""

    key: IntentKey
    next_attempt: int
    attempts: int
    error: str | None = None
    first_failed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """An intent on its way to a worker. `attempts` counts those before this delivery; `again` says it was dispatched before."""

    intent: Intent
    attempts: int = 0
    again: bool = False


def new_intent(
    item: ItemId, write_id: bytes, version: int | None, kind: Kind, *, now: int, due: int, shard: int | None = None
) -> Intent:
    """An intent under a new id. Intents of one batch share a shard, so that the batch touches few partitions."""
    shard = random.randrange(SHARDS) if shard is None else shard
    return Intent(IntentKey(due, shard, os.urandom(16)), item, write_id, version, kind, now)


def to_wire(refs: list[Ref]) -> dict[str, Any]:
    """A task's argument: JSON with a format number, ids only, no content."""
    return {"format": WIRE_FORMAT, "refs": [_ref_to_wire(ref) for ref in refs]}


def from_wire(message: dict[str, Any]) -> list[Ref] | None:
    """The refs of a task's argument; None when a newer version of the library wrote it (leave it to a newer worker)."""
    if message.get("format") != WIRE_FORMAT:
        return None
    return [_ref_from_wire(row) for row in message["refs"]]


def _ref_to_wire(ref: Ref) -> list[Any]:
    intent = ref.intent
    due, shard, ident = intent.key
    return [
        due, shard, ident.hex(), list(intent.item.namespace), intent.item.key,
        intent.write_id.hex(), intent.version, intent.kind.value, intent.filed_at, ref.attempts, ref.again,
    ]  # fmt: skip


def _ref_from_wire(row: list[Any]) -> Ref:
    due, shard, ident, namespace, key, write_id, version, kind, filed_at, attempts, again = row
    intent = Intent(
        key=IntentKey(due, shard, bytes.fromhex(ident)),
        item=ItemId(tuple(namespace), key),
        write_id=bytes.fromhex(write_id),
        version=version,
        kind=Kind(kind),
        filed_at=filed_at,
    )
    return Ref(intent, attempts, again)
