"""An embedder for workers of tests: some texts fail, and one kills the process that embeds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from scylla_store.embedders.hashing import HashingEmbedder

BROKEN = "cannot be embedded"
DEADLY = "kills its worker"
COUNT_FILE = "SCYLLA_TEST_COUNT_FILE"
"""Environment variable: where `Counted` appends each text that it embeds."""


class Troubled(HashingEmbedder):
    """As the hashing one, except for texts that hold BROKEN or DEADLY."""

    def embed(self, texts: list[str]) -> Sequence[Sequence[float]]:
        for text in texts:
            if DEADLY in text:
                os.kill(os.getpid(), signal.SIGKILL)
            if BROKEN in text:
                raise RuntimeError("this text has no meaning")
        return super().embed(texts)


class Counted(HashingEmbedder):
    """As the hashing one, and tells which texts it was asked for, a line each."""

    def embed(self, texts: list[str]) -> Sequence[Sequence[float]]:
        with open(os.environ[COUNT_FILE], "a") as told:
            told.write("".join(f"{text}\n" for text in texts))
        return super().embed(texts)
