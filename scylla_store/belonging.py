"""Which store a collection belongs to. Two stores in one would take each other's points for orphans, and delete them."""

from __future__ import annotations

import uuid

from scylla_store.database.base import Database
from scylla_store.errors import CollectionMismatch

STORE = "store.id"
"""The named value that holds the id of the store that this database is. A backup of it has the same."""


def store_id(database: Database) -> str | None:
    """The id of this store; None when nobody has run setup since there are ids."""
    stored = database.state(STORE)
    return None if stored is None else stored.decode()


def made_store_id(database: Database) -> str:
    """The same; made when there is none, once however many processes do it at the same time."""
    return store_id(database) or database.first_state(STORE, uuid.uuid4().hex.encode()).decode()


def check_owner(collection: str, owner: str | None, ours: str | None) -> None:
    """CollectionMismatch when a collection belongs to another store. One without an owner was made before there were ids.

    Args:
        collection: how a message calls it.
        owner: the id of the store that it was set up for.
        ours: the id of this store.
    """
    if owner is not None and owner != ours:
        raise CollectionMismatch(
            f"{collection} belongs to another store: it was set up for the store {owner}, and the id of this database is "
            f"{ours or 'not made yet'}. Two stores in one collection delete each other's points, so give this one a name of its own "
            "(index.collection, embedded: path). If this database takes the place of that one, delete the collection and run "
            "`scylla-store setup`: it is rebuilt from the documents (docs/operations.md, 'A collection belongs to one store')"
        )
