"""Embedders for processes that tests start; what they do is told by files, so that it can change while they run."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

DELAY_FILE = "SCYLLA_TEST_EMBEDDER_DELAY_FILE"
"""Environment variable: a file that holds how many seconds each call takes; no file means none."""


class Delayed:
    """Deterministic vectors of eight numbers, after the delay that the file asks for."""

    name = "delayed"
    dimensions = 8
    max_batch_items = 256
    max_batch_bytes = 1_000_000

    def embed(self, texts: list[str]) -> Sequence[Sequence[float]]:
        time.sleep(_delay())
        return [[byte / 255 + 0.01 for byte in hashlib.sha256(text.encode()).digest()[:8]] for text in texts]


def _delay() -> float:
    path = Path(os.environ.get(DELAY_FILE, "/nonexistent"))
    try:
        return float(path.read_text() or 0)
    except FileNotFoundError:
        return 0.0
