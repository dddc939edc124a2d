"""Where the machine's store lives: files or a server, a clock that stands still within a step, requests that are cut."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from scylla_store.database.sqlite import SQLite
from scylla_store.errors import DocumentFailed
from scylla_store.index.edge import QdrantEdge
from scylla_store.index.memory import MemoryIndex
from scylla_store.settings.options import (
    EmbedderSettings,
    IndexSettings,
    LimitSettings,
    Settings,
    SyncSettings,
    TtlSettings,
)
from scylla_store.testing import FailingEmbedder, SettableClock, TestingStore
from tests.model.cutting import CutDatabase, CutIndex, Cutter
from tests.model.documents import POISON

_IN_MEMORY = "/dev/shm"
"""What dies here is the store, not the machine: nothing has to reach a disk. The engine wants more room than there may be."""

START = 1_800_000_000_000_000

SETTINGS = Settings(
    embedder=EmbedderSettings(name="hashing", timeout=5.0),
    index=IndexSettings(range_fields=("n",)),
    sync=SyncSettings(max_attempts=20, time_limit=10.0, backoff_most=10.0),
    ttl=TtlSettings(defaults=("/=5000", "a/b=30", "é=never")),
)
"""Each crash within an attempt counts as one, and here no document is to blame for them."""


class World(Protocol):
    """What outlives a crash of the store.

    Attributes:
        root: labels that everything in it begins with.
        clock: stands still between two calls of `tick`.
        index: of the store that is open, behind everything that cuts.
        is_ill: whether the embedder refuses texts with poison in them.
        longest_wait: seconds that time may pass at once.
        max_scanned: rows that one call looks at.
    """

    root: tuple[str, ...]
    clock: SettableClock
    cutter: Cutter
    index: Any
    is_ill: bool
    longest_wait: float
    max_scanned: int

    def tick(self) -> None:
        """A step begins."""

    def open(self) -> TestingStore:
        """A store on what is there; what a dead one held is free."""

    def leave(self, store: TestingStore) -> None:
        """Ends a store, dead or not: what it had in memory is gone, and handles are closed, as those of a process are."""

    def close(self) -> None:
        """Leaves nothing behind."""


class Files:
    """SQLite in a temporary folder, with Qdrant's engine or the index in memory, which keeps the same contract and costs no time.

    Args:
        template: folder of an engine that is empty, which takes a second to make; None: the index in memory.
    """

    root: tuple[str, ...] = ()
    longest_wait = 1e9

    def __init__(self, template: Path | None) -> None:
        folder = _IN_MEMORY if template is None and os.path.isdir(_IN_MEMORY) else None
        self._temporary = tempfile.TemporaryDirectory(prefix="scylla-store-model-", dir=folder)
        self._folder = Path(self._temporary.name) / "store"
        self._memory = MemoryIndex() if template is None else None
        if template is not None:
            shutil.copytree(template, self._folder)
        self.clock = SettableClock(START)
        self.cutter = Cutter()
        self.is_ill = True
        self.max_scanned = 8

    def tick(self) -> None:
        """Time passes only when a step says so."""

    def open(self) -> TestingStore:
        self.cutter.revive()
        self._files = SQLite(self._folder, timeout=5.0, clock=self.clock)
        self.index = self._memory or QdrantEdge(self._folder)
        self._database = CutDatabase(self._files, self.cutter)
        store = store_on(self, self._folder, self._database)
        store.setup()
        return store

    def leave(self, store: TestingStore) -> None:
        store.close()
        for name, owner in self._database.leases:
            self._files.release(name, owner)
        self._files.close()
        if self._memory is None:
            self.index.close()

    def close(self) -> None:
        self._temporary.cleanup()


def make_template(folder: Path) -> Path:
    """The folder of a store without documents."""
    with TestingStore(folder, settings=SETTINGS, clock=SettableClock(START)) as store:
        store.setup()
    return folder


def store_on(world: World, folder: Path, database: Any) -> TestingStore:
    """A store whose requests go through the cutter."""
    embedder = FailingEmbedder(lambda text: world.is_ill and POISON in text, error=DocumentFailed("It is poison"))
    return TestingStore(
        folder,
        clock=world.clock,
        embedder=embedder,
        settings=replace(SETTINGS, limits=LimitSettings(max_scanned=world.max_scanned)),
        database=database,
        index=CutIndex(world.index, world.cutter),
    )
