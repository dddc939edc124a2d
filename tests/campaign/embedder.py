"""An embedder that does what it is told: slow, failing for some documents, returning NaN, killing its process."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import time
from collections.abc import Sequence

from tests.campaign.control import embedding, folder

POISON = "the text that kills whoever embeds it"


class Refused(Exception):
    """The embedder does not like this text."""


class Told:
    """Deterministic vectors of eight numbers. Writes down the hash of every text that it embedded."""

    name = "told"
    dimensions = 8
    max_batch_items = 256
    max_batch_bytes = 1_000_000

    def __init__(self) -> None:
        self._control = embedding(folder())
        self._journal = folder() / "embedded" / str(os.getpid())

    def embed(self, texts: list[str]) -> Sequence[Sequence[float]]:
        told = self._control.read()
        time.sleep(told.get("seconds", 0.0))
        if told.get("kills") and any(POISON in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        one_in = told.get("fails_one_in", 0)
        if one_in and any(_digest(text)[0] % one_in == 0 for text in texts):
            raise Refused("one of the texts is refused")
        if told.get("nan"):
            return [[math.nan] * self.dimensions for _ in texts]
        self._write_down(texts)
        return [[byte / 255 + 0.01 for byte in _digest(text)[:8]] for text in texts]

    def _write_down(self, texts: list[str]) -> None:
        lines = "".join(f"{time.monotonic():.3f} {text_hash(text)}\n" for text in texts)
        with self._journal.with_name(str(os.getpid())).open("a") as journal:
            journal.write(lines)


def text_hash(text: str) -> str:
    """As the payload of a point names its text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
