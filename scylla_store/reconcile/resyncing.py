"""Having every document under a prefix looked after again, whatever a comparison would say."""

from __future__ import annotations

import itertools

from scylla_store.clock import Clock
from scylla_store.database.base import SCAN_BYTES, Database
from scylla_store.identity import Namespace
from scylla_store.reads import Reader
from scylla_store.reconcile.repairs import file_repairs

_PAGE = 500


def resync(database: Database, reader: Reader, clock: Clock, prefix: Namespace) -> int:
    """Files an intent of repair for every row under the prefix; returns how many."""
    filed = 0
    for namespace in itertools.chain([prefix] if prefix else [], reader.all_namespaces(prefix, prefix or None)):
        after: str | None = None
        while rows := database.keys(namespace, after=after, limit=_PAGE, max_bytes=SCAN_BYTES):
            file_repairs(database, [row.id for row in rows], clock())
            filed += len(rows)
            after = rows[-1].id.key
    return filed
