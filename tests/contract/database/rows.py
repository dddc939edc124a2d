"""Writes and rows that the tests of the contract use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from dataclasses import replace

from scylla_store.clock import SECOND
from scylla_store.database.base import Database, Mutation
from scylla_store.errors import StoreError
from scylla_store.identity import ItemId, item_digest
from scylla_store.intents import Intent, Kind, new_intent
from scylla_store.letters import DeadLetter
from scylla_store.rows import Cells, Head

DELETED_FOR = 3600


def item(key: str = "k", *labels: str) -> ItemId:
    """An item of a namespace that no other test has."""
    return ItemId(("contract", uuid.uuid4().hex, *labels), key)


def put(of: ItemId, version: int, *, value: bytes = b'{"a":1}', write_id: bytes | None = None) -> Mutation:
    """A put without intents."""
    write_id = write_id or os.urandom(16)
    return Mutation(of, version, Head(write_id, version).encode(), write_id + value)


def delete(of: ItemId, version: int, *, ttl: int = DELETED_FOR, write_id: bytes | None = None) -> Mutation:
    """A delete without intents."""
    write_id = write_id or os.urandom(16)
    return Mutation(of, version, Head(write_id, version, deleted=True).encode(), None, ttl=ttl)


def filed(mutation: Mutation) -> Mutation:
    """The mutation with an intent that is due 30 s after it."""
    return replace(mutation, intents=(intent(mutation.id, mutation.version, due=mutation.version + 30 * SECOND),))


def intent(of: ItemId, version: int, *, due: int, kind: Kind = Kind.WRITE) -> Intent:
    """An intent that was filed at `version`."""
    return new_intent(of, os.urandom(16), version, kind, now=version, due=due)


def letter(of: ItemId, timestamp: int, *, message: str = "why") -> DeadLetter:
    """A dead letter of an item."""
    return DeadLetter(
        id=item_digest(of),
        item=of,
        write_id=b"w" * 16,
        version=timestamp - 5,
        reason="BadVector",
        message=message,
        attempts=3,
        first_failed_at=timestamp - 2,
        last_failed_at=timestamp,
        timestamp=timestamp,
    )


def write(database: Database, *mutations: Mutation) -> None:
    """Writes the mutations at once."""
    assert commit(database, mutations) == [None] * len(mutations)


def commit(database: Database, mutations: Iterable[Mutation]) -> list[StoreError | None]:
    """What the database says about each of the mutations."""
    mutations = list(mutations)
    with database.writing([mutation.id for mutation in mutations]) as writing:
        return writing.commit(mutations)


def cells(database: Database, of: ItemId) -> Cells | None:
    """What a reader sees of one item."""
    return database.read([of]).get(of)
