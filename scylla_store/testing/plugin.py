"""Fixtures for pytest, there as soon as scylla_store is installed.

scylla_store            an empty embedded store in a temporary folder; `scylla_store.drain()` indexes everything now
scylla_store_clock      its clock: `.advance(seconds)`, `.set(datetime)`
scylla_store_settings   its settings: override the fixture for others
scylla_store_embedder   its embedder (None: the hashing one): override the fixture for another
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scylla_store.embedders.base import Embedder
    from scylla_store.settings.options import Settings
    from scylla_store.testing.clock import SettableClock
    from scylla_store.testing.store import TestingStore

# Everything else is imported by the fixtures, so that runs that do not use them pay nothing.


@pytest.fixture
def scylla_store_clock() -> SettableClock:
    """The store's clock; it stands still at the time when the test began."""
    from scylla_store.testing.clock import SettableClock

    return SettableClock()


@pytest.fixture
def scylla_store_settings() -> Settings:
    """The store's settings. Files and environment variables are not read."""
    from scylla_store.settings.options import EmbedderSettings, Settings

    return Settings(embedder=EmbedderSettings(name="hashing"))


@pytest.fixture
def scylla_store_embedder() -> Embedder | None:
    """The store's embedder; None: the one that the settings name."""
    return None


@pytest.fixture
def scylla_store(
    tmp_path: Path,
    scylla_store_clock: SettableClock,
    scylla_store_settings: Settings,
    scylla_store_embedder: Embedder | None,
) -> Iterator[TestingStore]:
    """An empty store that is indexed by `drain()` only."""
    from scylla_store.testing.store import TestingStore

    store = TestingStore(
        tmp_path / "scylla_store",
        clock=scylla_store_clock,
        settings=scylla_store_settings,
        embedder=scylla_store_embedder,
    )
    with store:
        yield store
