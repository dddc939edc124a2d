"""The Qdrant server."""

from scylla_store.index.server.index import QdrantServer

__all__ = ["QdrantServer"]
