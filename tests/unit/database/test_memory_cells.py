"""Of two cells the same one stays, in whatever order they come: the table of Cassandra's reconciliation."""

from __future__ import annotations

import pytest

from scylla_store.database.memory.cells import Cell, StoredRow
from scylla_store.database.memory.outbox import MemorySlotTables
from scylla_store.identity import ItemId
from scylla_store.intents import Bookkeeping, IntentKey, Kind, new_intent

GONE = None


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (Cell(b"a", 2), Cell(b"b", 1)),
        (Cell(GONE, 2), Cell(b"b", 1)),
        (Cell(b"a", 2), Cell(GONE, 1)),
        (Cell(b"b", 1), Cell(b"a", 1)),
        (Cell(GONE, 1), Cell(b"b", 1)),
        (Cell(b"a", 1, until=9), Cell(b"b", 1)),
        (Cell(GONE, 1), Cell(b"b", 1, until=9)),
        (Cell(b"a", 1, until=9), Cell(b"b", 1, until=8)),
        (Cell(b"b", 1, until=9), Cell(b"a", 1, until=9)),
    ],
)
def test_the_same_cell_stays_in_either_order(winner: Cell, loser: Cell) -> None:
    for first, second in ((winner, loser), (loser, winner)):
        row = StoredRow()
        row.put("c", first)
        row.put("c", second)
        assert row.cell("c") == winner


def test_a_cell_whose_time_is_over_is_not_seen_and_still_shadows() -> None:
    row = StoredRow()
    row.put("c", Cell(b"a", 5, until=10))

    assert (row.seen("c", 9), row.version("c", 9)) == (b"a", 5)
    assert (row.seen("c", 10), row.version("c", 10)) == (None, 0)
    row.put("c", Cell(b"late", 4))
    assert row.seen("c", 10) is None
    assert (row.seen("d", 0), row.version("d", 0)) == (None, 0)


def test_of_a_removed_outbox_row_late_bookkeeping_leaves_not_even_a_half() -> None:
    tables = MemorySlotTables(lambda: 1_000)
    key = IntentKey(due=0, shard=0, intent=b"i")

    tables.remove([key])
    tables.update([Bookkeeping(key, next_attempt=5, attempts=1)])

    assert list(tables.page(0, 0, after=None, limit=10).halves) == []


def test_an_insert_that_comes_after_its_ack_revives_nothing() -> None:
    tables = MemorySlotTables(lambda: 1_000)
    intent = new_intent(ItemId(("docs",), "k"), b"w" * 16, 1, Kind.WRITE, now=0, due=0)

    tables.remove([intent.key])
    tables.write([intent])

    assert tables.get([intent.key]) == {}
