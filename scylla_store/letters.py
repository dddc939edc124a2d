"""Dead letters: what could not be indexed, why, and since when. One per item."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from scylla_store.identity import ItemId


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A write that is stored but whose indexing failed for good. Times are microseconds.

    Attributes:
        id: the item's digest, 32 hexadecimal digits: an item has at most one letter.
        write_id, version: the write concerned; version is None when the row could not be read.
        reason: the class of the last error.
        message: its message, without document content.
        timestamp: write time of the letter itself; the newer letter of an item wins.
        discarded: given up for good; reconciliation does not revive it.
    """

    id: str
    item: ItemId
    write_id: bytes
    version: int | None
    reason: str
    message: str
    attempts: int
    first_failed_at: int
    last_failed_at: int
    timestamp: int
    discarded: bool = False


def to_json(letter: DeadLetter) -> str:
    """The letter as databases store it."""
    fields = asdict(letter)
    fields["item"] = [list(letter.item.namespace), letter.item.key]
    fields["write_id"] = letter.write_id.hex()
    return json.dumps(fields, ensure_ascii=False)


def from_json(stored: str | bytes) -> DeadLetter:
    """The letter that `to_json` stored."""
    fields = json.loads(stored)
    namespace, key = fields.pop("item")
    return DeadLetter(item=ItemId(tuple(namespace), key), write_id=bytes.fromhex(fields.pop("write_id")), **fields)
