"""Having every document under a prefix looked after again, whatever a comparison would say."""

from __future__ import annotations

import itertools

from scylla_store.clock import Clock
from scylla_store.database.base import Database
from scylla_store.identity import Namespace
from scylla_store.intents import SHARDS, Kind, new_intent
from scylla_store.reads import Reader

_PAGE = 500
_NO_WRITE = bytes(16)


def resync(database: Database, reader: Reader, clock: Clock, prefix: Namespace) -> int:
    """Files an intent of repair for every row under the prefix; returns how many."""
    filed = 0
    for namespace in itertools.chain([prefix] if prefix else [], reader.all_namespaces(prefix, prefix or None)):
        after: str | None = None
        while rows := database.keys(namespace, after=after, limit=_PAGE):
            now = clock()
            database.outbox.file(
                [
                    new_intent(row.id, _NO_WRITE, 0, Kind.REPAIR, now=now, due=now, shard=number % SHARDS)
                    for number, row in enumerate(rows)
                ]
            )
            filed += len(rows)
            after = rows[-1].id.key
    return filed
