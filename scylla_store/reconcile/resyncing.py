"""Having every document under a prefix looked after again, whatever a comparison would say."""

from __future__ import annotations

import itertools

from scylla_store.clock import Clock
from scylla_store.database.base import SCAN_BYTES, Database
from scylla_store.errors import DamagedRow
from scylla_store.identity import Namespace
from scylla_store.reads import Reader
from scylla_store.reconcile.repairs import file_repairs
from scylla_store.rows import Cells, decode

_PAGE = 500


def resync(database: Database, reader: Reader, clock: Clock, prefix: Namespace) -> int:
    """Files an intent of repair for every row under the prefix, deleted and expired ones included; returns how many documents
    there are among them, damaged ones included."""
    found = 0
    for namespace in itertools.chain([prefix] if prefix else [], reader.all_namespaces(prefix, prefix or None)):
        after: str | None = None
        while rows := database.keys(namespace, after=after, limit=_PAGE, max_bytes=SCAN_BYTES):
            file_repairs(database, [row.id for row in rows], clock())
            found += sum(_is_document(row, clock()) for row in rows)
            after = rows[-1].id.key
    return found


def _is_document(cells: Cells, now: int) -> bool:
    try:
        row = decode(cells)
    except DamagedRow:
        return True
    return row is not None and row.is_visible(now)
