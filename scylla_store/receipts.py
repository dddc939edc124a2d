"""What became of one write. Everything is derived from the database; the Celery task is a hint only."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from scylla_store.arguments import shown
from scylla_store.database.base import Database
from scylla_store.errors import DeadLettered, SyncTimeout, ValidationError
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import IntentKey
from scylla_store.items import SyncStatus
from scylla_store.rows import unstamp

_FIRST_POLL = 0.002
_LONGEST_POLL = 0.25
_LONGEST_WAIT = 1e9
"""Seconds. More, infinity included, is the same to a caller and too much for the arithmetic."""


@dataclass
class Receipt:
    """Says that a write is stored, and tells how far it is on its way to the index.

    Attributes:
        version: the write's version in microseconds; None when a conditional write was replaced before it could be read.
        created: there was no live item before.
        existed: there was one (of a delete: it is gone now).
        task_id: the Celery task that will first try to index it; None when it did not fit the queue (the outbox has it).
    """

    database: Database = field(repr=False)
    item: ItemId
    version: int | None
    write_id: bytes = field(repr=False)
    intent: IntentKey = field(repr=False)
    created: bool
    existed: bool
    indexed: bool = field(repr=False, default=True)
    task_id: str | None = None

    @property
    def key(self) -> str:
        return self.item.key

    @property
    def namespace(self) -> tuple[str, ...]:
        return self.item.namespace

    def status(self) -> SyncStatus:
        """Reads the outbox row, and once that is gone the item's head."""
        entry = self.database.outbox.get([self.intent]).get(self.intent)
        if entry is not None:
            return SyncStatus.RETRYING if entry.attempts or entry.error else SyncStatus.PENDING
        cells = self.database.read([self.item], body=False).get(self.item)
        if cells is not None and cells.letter is not None and unstamp(cells.letter, self.item)[0] == self.write_id:
            return SyncStatus.DEAD
        if cells is not None and cells.head is not None and cells.head[:16] != self.write_id:
            return SyncStatus.SUPERSEDED
        return SyncStatus.SYNCED if self.indexed else SyncStatus.NOT_INDEXED

    def wait(self, timeout: float = 5.0) -> Receipt:
        """Waits until the index holds this write or a newer one.

        Args:
            timeout: seconds, 0 or more.

        Raises:
            SyncTimeout: not yet; the outbox goes on trying.
            DeadLettered: it failed for good, with the reason.
        """
        wait_for([self], checked_seconds(timeout, "timeout"))
        return self

    def raise_if_dead(self) -> None:
        """Raises DeadLettered, with the reason."""
        if self.status() is SyncStatus.DEAD:
            letter = self.database.letter(item_digest(self.item))
            reason = "its letter is gone already" if letter is None else letter.message
            raise DeadLettered(f"{self.item} is stored, but indexing it failed for good: {reason}")


def wait_for(receipts: Iterable[Receipt], timeout: float) -> None:
    """As `Receipt.wait`, for all of them within one `timeout` (seconds)."""
    deadline = time.monotonic() + timeout
    for receipt in receipts:
        pause = _FIRST_POLL
        while receipt.database.outbox.get([receipt.intent]):
            left = deadline - time.monotonic()
            if left <= 0:
                raise SyncTimeout(
                    f"The index does not hold {receipt.item} after {timeout:g} s; it stays in the outbox and will be indexed later"
                )
            time.sleep(min(left, pause * (0.5 + random.random())))
            pause = min(_LONGEST_POLL, pause * 2)
        receipt.raise_if_dead()


def checked_seconds(seconds: object, argument: str) -> float:
    """Returns how long to wait: a number of 0 or more; raises ValidationError."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise ValidationError(f"{argument} must be a number of seconds of 0 or more, not {shown(seconds)}")
    return min(seconds, _LONGEST_WAIT)


def checked_wait(wait: float | None) -> float | None:
    """What a write's `wait` says: seconds, or None for not at all; raises ValidationError."""
    return None if wait is None else checked_seconds(wait, "wait")
