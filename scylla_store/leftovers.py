"""Vectors that were made for documents which did not get all of theirs: the next run of this process goes on with them."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Mapping

from scylla_store.forks import follow
from scylla_store.index.base import Vector

_MOST = 5_000
"""Vectors; 20 MB at 1,024 dimensions."""


class Leftovers:
    """Vectors by the hash of their text, the oldest dropped first, with 32 bits a number as the index stores them."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._vectors: dict[str, array[float]] = {}
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.Lock()

    def keep(self, vectors: Mapping[str, Vector]) -> None:
        """Keeps these until they are taken."""
        with self._lock:
            self._vectors.update((text_hash, array("f", vector)) for text_hash, vector in vectors.items())
            for text_hash in list(self._vectors)[: max(0, len(self._vectors) - self._most)]:
                del self._vectors[text_hash]

    def take(self, hashes: Iterable[str]) -> dict[str, Vector]:
        """Those of these texts that are kept, and from now on are not."""
        if not self._vectors:
            return {}
        with self._lock:
            found = {text_hash: self._vectors.pop(text_hash, None) for text_hash in hashes}
        return {text_hash: vector.tolist() for text_hash, vector in found.items() if vector is not None}
