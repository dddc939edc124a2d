"""An embedder without a model: hashed words and parts of words. For tests, and wherever nothing may be loaded."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from functools import lru_cache

from scylla_store.index.base import Vector

_WORD = re.compile(r"\w+")
_LONGEST_WORD = 64
_WHOLE_WORD, _PART = 1.0, 0.35


class HashingEmbedder:
    """Deterministic: texts that share words, or words that share three letters, are near each other. It knows no meaning.

    The hashing trick with signs: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning",
    https://arxiv.org/abs/0902.2206

    Args:
        dimensions: size of the vectors; the more, the fewer words share a place.
    """

    def __init__(self, dimensions: int = 256) -> None:
        self.name = f"hashing-{dimensions}-v1"
        self.dimensions = dimensions
        self.max_batch_items = 10_000
        self.max_batch_bytes = 100_000_000

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """Vectors of length 1; texts without any word share one."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in _WORD.findall(text.casefold()):
            for place, weight in _features(word[:_LONGEST_WORD]):
                vector[place % self.dimensions] += weight
        length = math.hypot(*vector)
        if length == 0:
            return [1.0] + [0.0] * (self.dimensions - 1)
        return [number / length for number in vector]


@lru_cache(maxsize=16_384)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    """Place and signed weight of a word and its parts of three letters, borders included."""
    framed = f"<{word}>"
    parts = [framed[start : start + 3] for start in range(len(framed) - 2)]
    return (_place(word, _WHOLE_WORD), *(_place(part, _PART) for part in parts))


def _place(feature: str, weight: float) -> tuple[int, float]:
    digest = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
    return digest >> 1, weight if digest & 1 else -weight
