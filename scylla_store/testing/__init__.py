"""What tests of applications (and of this library) use: a store to drain, a clock to set, embedders that misbehave.

The pytest plugin `scylla_store.testing.plugin` gives them as fixtures.
"""

from scylla_store.testing.clock import SettableClock
from scylla_store.testing.embedders import FailingEmbedder, HangingEmbedder, NonsenseEmbedder
from scylla_store.testing.store import TestingStore

__all__ = ["FailingEmbedder", "HangingEmbedder", "NonsenseEmbedder", "SettableClock", "TestingStore"]
