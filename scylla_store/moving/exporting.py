"""Export: every document under a prefix, by namespace and key, as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scylla_store.clock import Clock
from scylla_store.database.base import Database
from scylla_store.errors import DamagedRow, StoreError
from scylla_store.filters import Filter
from scylla_store.identity import ItemId, Namespace
from scylla_store.moving.lines import to_line
from scylla_store.reads import Reader, matching
from scylla_store.rows import Cells, decode
from scylla_store.walks import pages


class Export:
    """Reads documents from the database. What was there all the time comes exactly once; what is written meanwhile, perhaps.

    Args:
        where: only what matches.
        skips: called with the error for a row that cannot be decoded, and for a namespace that the database gives up at; they
            are left out. It may raise, as None does.
    """

    def __init__(
        self,
        database: Database,
        reader: Reader,
        clock: Clock,
        prefix: Namespace,
        where: Filter | None = None,
        skips: Callable[[StoreError], None] | None = None,
    ) -> None:
        self._database = database
        self._reader = reader
        self._clock = clock
        self._prefix = prefix
        self._where = where
        self._skips = skips or _raise

    def lines(self, after: ItemId | None = None) -> Iterator[list[bytes]]:
        """Lines of the documents behind `after`, some hundred rows at a time."""
        for page in pages(self._database, self._reader, self._prefix, after=after, passes=self._skips):
            now = self._clock()
            found = (self._line(cells, now) for cells in page)
            yield [line for line in found if line is not None]

    def _line(self, cells: Cells, now: int) -> bytes | None:
        try:
            row = decode(cells)
            if row is None or not row.is_visible(now):
                return None
            if self._where is None:
                row.value()
            elif matching(row, self._where) is None:
                return None
            return to_line(row)
        except DamagedRow as exc:
            self._skips(exc)
            return None


def _raise(error: StoreError) -> None:
    raise error
