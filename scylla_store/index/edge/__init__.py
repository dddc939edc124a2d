"""Qdrant's engine in process, in a folder."""

from scylla_store.index.edge.index import QdrantEdge

__all__ = ["QdrantEdge"]
