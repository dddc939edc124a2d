"""The collector is spared while a comparison runs, and works as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scylla_store.reconcile.collector import sparing_collector


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_exists_is_frozen_for_as_long() -> None:
    with suppress(KeyError), sparing_collector():
        assert gc.get_freeze_count() > 0
        raise KeyError
    assert gc.get_freeze_count() == 0


def test_what_the_application_has_frozen_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with sparing_collector():
        pass
    assert gc.get_freeze_count() >= frozen - 1000
