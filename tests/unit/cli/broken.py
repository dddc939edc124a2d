"""An embedder that never works."""

from __future__ import annotations


class Broken:
    name = "broken"
    dimensions = 8
    max_batch_items = 10
    max_batch_bytes = 10_000

    def embed(self, texts: list[str]) -> list[list[float]]:
        raise RuntimeError("it is broken")


embed = Broken()
