"""Fixed names of the tasks: workers of every version and of every app know them."""

SYNC_ITEMS = "scylla_store.sync_items"
DRAIN_OUTBOX = "scylla_store.drain_outbox"
RECONCILE = "scylla_store.reconcile"
