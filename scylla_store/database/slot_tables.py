"""What the slotted outbox asks of its storage: partitions of rows, the watermark, and notes about stragglers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from scylla_store.intents import Bookkeeping, Entry, Intent, IntentKey


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one partition, in the order of their keys.

    Attributes:
        entries: whole rows.
        halves: keys of rows that hold bookkeeping but no intent: it came after the row was acked and forgotten.
        last: where to go on, None when the partition has no more rows.
    """

    entries: Sequence[Entry]
    halves: Sequence[IntentKey] = ()
    last: IntentKey | None = None


@dataclass(frozen=True, slots=True)
class Straggler:
    """A slot that may lie behind the watermark and holds rows.

    Attributes:
        earliest: when it is to be read again: the earliest next attempt of its rows, in microseconds.
        timestamp: write time of this note.
    """

    slot: int
    earliest: int
    timestamp: int


class SlotTables(Protocol):
    """Storage under the slotted outbox. The cells have write times, as everywhere (see `database.base`): that of an insert
    is below that of any bookkeeping, and that below the write time of any ack, whenever they are made."""

    def write(self, intents: Sequence[Intent]) -> None:
        """Writes rows; their next attempt is `due`."""

    def update(self, bookkeeping: Sequence[Bookkeeping]) -> None:
        """Writes bookkeeping; the later one wins; it may leave half a row when the row is gone."""

    def remove(self, keys: Sequence[IntentKey]) -> None:
        """Deletes rows, whole or half: no insert or bookkeeping that comes later revives them."""

    def get(self, keys: Sequence[IntentKey]) -> dict[IntentKey, Entry]:
        """Those of the rows that exist and are whole."""

    def page(self, slot: int, shard: int, *, after: IntentKey | None, limit: int) -> Page:
        """At most `limit` rows of one partition, by key, after `after`."""

    def count(self, partitions: Sequence[tuple[int, int]]) -> int:
        """How many rows, whole or half, these partitions (slot, shard) hold, without sending them."""

    def pages(self, partitions: Sequence[tuple[int, int]], limit: int) -> Sequence[Page]:
        """The first page of each of these partitions (slot, shard), read at once."""

    def partitions(self, cursor: str | None, limit: int) -> tuple[Sequence[tuple[int, int]], str | None]:
        """About `limit` partitions (slot, shard) that hold rows, in any stable order after the cursor of an earlier call
        (None: from the start); and the cursor to go on, None at the end."""

    def watermark(self) -> int | None:
        """The first slot that was not passed yet; None before the first one is set."""

    def raise_watermark(self, slot: int) -> None:
        """Sets the watermark unless it is higher already, whatever the clocks of those who set it."""

    def stragglers(self) -> Iterable[Straggler]:
        """All of them by slot, read piece by piece."""

    def stragglers_of(self, slots: Sequence[int]) -> Mapping[int, Straggler]:
        """Those of these slots."""

    def note(self, stragglers: Sequence[Straggler]) -> None:
        """Writes notes, each at its own write time; they replace earlier ones of the same slot."""

    def strike(self, straggler: Straggler) -> None:
        """Removes the note at its own write time: a later one stays."""

    def state(self, name: str) -> bytes | None:
        """A small named value."""

    def set_state(self, name: str, value: bytes) -> None:
        """Stores a small named value."""
