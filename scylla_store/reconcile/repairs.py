"""Intents of repair: what a comparison, or somebody who asks for it, has the sync protocol look after."""

from __future__ import annotations

from collections.abc import Sequence

from scylla_store.database.base import Database
from scylla_store.identity import ItemId
from scylla_store.intents import SHARDS, Kind, new_intent

_WRITE_ID = b"reconciliation  "
"""Of intents that are no write's."""


def file_repairs(database: Database, items: Sequence[ItemId], now: int) -> None:
    """Files an intent for each, due at once, spread over the shards."""
    database.outbox.file(
        [
            new_intent(item, _WRITE_ID, 0, Kind.REPAIR, now=now, due=now, shard=number % SHARDS)
            for number, item in enumerate(items)
        ]
    )
