"""The in-memory stub."""

from scylla_store.database.memory.database import MemoryDatabase

__all__ = ["MemoryDatabase"]
