"""Cells with write times, as CQL keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, or a deletion (None), and its write time. `until` is when its TTL is over. Times are microseconds."""

    value: bytes | None
    at: int
    until: int | None = None

    @property
    def rank(self) -> tuple[int, bool, bool, int, bytes]:
        """Of two cells the one with the larger rank stays.

        The larger time; at equal times a deletion or a cell with a TTL, then a deletion, then the one that lives longer,
        then the larger value (Cassandra: db/rows/Cells.java, resolveRegular).
        """
        deleted = self.value is None
        return self.at, deleted or self.until is not None, deleted, self.until or 0, self.value or b""

    def seen(self, now: int) -> bytes | None:
        """What a reader sees at `now`."""
        return self.value if self.until is None or now < self.until else None


ABSENT = Cell(None, -1)


@dataclass(slots=True)
class StoredRow:
    """Cells of one row by name. What was deleted or is over stays and shadows older writes, as a tombstone does."""

    cells: dict[str, Cell] = field(default_factory=dict)

    def put(self, name: str, cell: Cell) -> None:
        """Writes a cell unless the stored one outranks it."""
        stored = self.cells.get(name)
        if stored is None or cell.rank > stored.rank:
            self.cells[name] = cell

    def cell(self, name: str) -> Cell:
        """The stored cell, or one that never was."""
        return self.cells.get(name, ABSENT)

    def seen(self, name: str, now: int) -> bytes | None:
        """The value that a reader sees at `now`."""
        return self.cell(name).seen(now)

    def version(self, name: str, now: int) -> int:
        """WRITETIME of what a reader sees; 0 when there is nothing."""
        cell = self.cell(name)
        return 0 if cell.seen(now) is None else cell.at
