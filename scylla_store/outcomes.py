"""What a conditional write asks for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scylla_store.arguments import shown
from scylla_store.errors import ValidationError
from scylla_store.items import Item
from scylla_store.receipts import Receipt
from scylla_store.rows import Row

Condition = Callable[["Row | None"], bool]
"""Whether a write may happen, by the row that a reader sees (None: no such item)."""


@dataclass(frozen=True)
class Outcome:
    """What became of a conditional write. It is true when the write was applied.

    Attributes:
        current: the item after the call: what was written, or what has replaced that already; when the write was not
            applied, what stood in its way. None: there is none.
        receipt: of the write; None when it was not applied.
    """

    current: Item | None
    receipt: Receipt | None

    def __bool__(self) -> bool:
        return self.receipt is not None


def if_absent(row: Row | None) -> bool:
    """There is no such item."""
    return row is None


def if_present(row: Row | None) -> bool:
    """There is such an item."""
    return row is not None


def if_version(expected_version: object) -> Condition:
    """The item has exactly this version; raises ValidationError when that is none."""
    if isinstance(expected_version, bool) or not isinstance(expected_version, int) or expected_version < 1:
        raise ValidationError(f"expected_version must be the version of an item, not {shown(expected_version)}")
    return lambda row: row is not None and row.version == expected_version
