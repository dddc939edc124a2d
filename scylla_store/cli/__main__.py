"""`python -m scylla_store.cli` is `scylla-store`."""

from scylla_store.cli import main

main()
