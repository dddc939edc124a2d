"""The other end: documents of an export are written, with the times that they bring."""

from __future__ import annotations

from collections.abc import Sequence

from scylla_store.clock import Clock
from scylla_store.items import Put
from scylla_store.moving.lines import Stored
from scylla_store.writes import Writer


class Restorer:
    """Writes documents of an export as puts are written: with their intents, so that they are indexed.

    Args:
        replaces: whether a document that is there already is replaced; else it stays, whichever is newer, and also when this
            version of the library cannot decode it.

    Attributes:
        stored: how many were written.
        kept: how many were there already, and stayed.
        expired: how many had expired since the export.
    """

    def __init__(self, writer: Writer, clock: Clock, *, replaces: bool = False) -> None:
        self._writer = writer
        self._clock = clock
        self._replaces = replaces
        self.stored = 0
        self.kept = 0
        self.expired = 0

    def write(self, documents: Sequence[Stored]) -> int:
        """Writes them; returns how many were written.

        Raises:
            ValidationError: any of them is wrong; nothing was written.
            PartialFailure: some were not written: write all again.
        """
        now = self._clock()
        changes = [
            self._writer.check_restored(
                Put(one.namespace, one.key, one.value, one.index),
                created_at=one.created_at,
                until=one.expires_at,
                yields=not self._replaces,
            )
            for one in documents
        ]
        wanted = [change for change in changes if change.until is None or change.until > now]
        written = len(self._writer.restore(wanted))
        self.expired += len(changes) - len(wanted)
        self.kept += len(wanted) - written
        self.stored += written
        return written
