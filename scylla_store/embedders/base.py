"""What the library asks of an embedder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from scylla_store.index.base import Vector

Key = TypeVar("Key")

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


def batches(texts: Iterable[tuple[Key, str]], most_items: int, most_bytes: int) -> Iterator[list[tuple[Key, str]]]:
    """Texts with their keys, in as few calls as the limits of an embedder allow. A text above the limit of bytes goes alone."""
    batch: list[tuple[Key, str]] = []
    total = 0
    for key, text in texts:
        size = len(text.encode("utf-8", "surrogatepass"))
        if batch and (len(batch) >= most_items or total + size > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append((key, text))
        total += size
    if batch:
        yield batch
