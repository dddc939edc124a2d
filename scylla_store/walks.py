"""Walks over every row under a prefix, in order, a bounded page in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from scylla_store.database.base import SCAN_BYTES, Database, is_last
from scylla_store.errors import TombstoneLimit
from scylla_store.identity import ItemId, Namespace
from scylla_store.reads import Reader
from scylla_store.rows import Cells

PAGE = 500
"""Rows in a page at most; one whose bodies are large enough ends earlier."""


def pages(
    database: Database,
    reader: Reader,
    prefix: Namespace,
    *,
    after: ItemId | None = None,
    passes: Callable[[TombstoneLimit], None],
) -> Iterator[list[Cells]]:
    """Rows under the prefix, deleted heads included, by namespace and key.

    Args:
        after: goes on behind this item.
        passes: called with the error where the database gives up at a namespace; the walk goes on behind that one, unless it
            raises.
    """
    first = prefix if after is None else after.namespace
    key = None if after is None else after.key
    for namespace in itertools.chain([first] if first else [], reader.all_namespaces(prefix, first or None)):
        try:
            yield from _pages_of(database, namespace, key)
        except TombstoneLimit as exc:
            passes(exc)
        key = None


def _pages_of(database: Database, namespace: Namespace, after: str | None) -> Iterator[list[Cells]]:
    while rows := database.keys(namespace, after=after, limit=PAGE, max_bytes=SCAN_BYTES):
        after = rows[-1].id.key
        is_end = is_last(rows, PAGE, SCAN_BYTES)
        yield rows
        if is_end:
            return
