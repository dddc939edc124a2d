"""What turns texts into vectors. Nothing heavy is loaded here: a model comes with its first call."""

from scylla_store.embedders.base import Embedder, EmbedFunction
from scylla_store.embedders.guarded import GuardedEmbedder
from scylla_store.embedders.hashing import HashingEmbedder
from scylla_store.embedders.loading import as_embedder, load_embedder

__all__ = ["EmbedFunction", "Embedder", "GuardedEmbedder", "HashingEmbedder", "as_embedder", "load_embedder"]
