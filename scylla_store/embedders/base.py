"""What the library asks of an embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from scylla_store.index.base import Vector

EmbedFunction = Callable[[list[str]], Sequence[Vector]]
"""An embedder that is only a function: its name is where it is defined, its dimensions those of its first vector."""


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: names the model and everything that changes its vectors; stored with each point, so that another name
            means: embed again.
        dimensions: size of every vector.
        max_batch_items, max_batch_bytes: limits of one call (UTF-8 bytes of all texts).
    """

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_batch_items(self) -> int: ...

    @property
    def max_batch_bytes(self) -> int: ...

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """Vectors in the order of the texts. EmbedderUnavailable means: none can be embedded now (an outage, a delay);
        any other exception counts as an attempt of the documents in the call."""
