"""The command line."""

from scylla_store.cli.main import main

__all__ = ["main"]
