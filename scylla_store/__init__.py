"""scylla_store: a sync-first document store with semantic search."""

from scylla_store.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    DeadLettered,
    EmbedderUnavailable,
    IndexUnavailable,
    OutcomeUnknown,
    PartialFailure,
    PermanentError,
    StoreClosed,
    StoreError,
    SyncTimeout,
    TransientError,
    ValidationError,
)
from scylla_store.items import Hit, Item, Page, Put, SyncStatus
from scylla_store.receipts import Receipt
from scylla_store.settings.options import Settings
from scylla_store.store import ScyllaStore

__all__ = [
    "ConfigurationError",
    "DatabaseUnavailable",
    "DeadLettered",
    "EmbedderUnavailable",
    "Hit",
    "IndexUnavailable",
    "Item",
    "OutcomeUnknown",
    "Page",
    "PartialFailure",
    "PermanentError",
    "Put",
    "Receipt",
    "ScyllaStore",
    "Settings",
    "StoreClosed",
    "StoreError",
    "SyncStatus",
    "SyncTimeout",
    "TransientError",
    "ValidationError",
]
