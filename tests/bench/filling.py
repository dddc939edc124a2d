"""Documents in the database and in the index, as fast as it goes: workers as threads of this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from scylla_store.intents import Ref
from tests.bench.documents import Document
from tests.bench.installation import Site

_PATIENCE = 180.0
_PART = 10_000


def fill(place: Site, namespace: tuple[str, ...], found: Sequence[Document]) -> None:
    """Puts the documents, brings them to the index, and waits until Qdrant has optimised what it got."""
    write(place, namespace, found)
    wait_until_calm(place)


def write(place: Site, namespace: tuple[str, ...], found: Sequence[Document]) -> None:
    """Puts the documents and brings them to the index."""
    worker = place.store.parts.worker

    def work(task: tuple[list[Ref], str]) -> int:
        return worker.work(task[0]).acked

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(found), _PART):
            part = found[start : start + _PART]
            acked = sum(pool.map(work, place.holding.write(namespace, part)))
            assert acked == len(part), f"{acked} of {len(part)} documents were indexed"


def wait_until_calm(place: Site) -> None:
    """Or for as long as it takes Qdrant at most on a machine that does nothing else: what it still does is seen in the figures."""
    deadline = time.monotonic() + _PATIENCE
    while not place.index.is_calm() and time.monotonic() < deadline:
        time.sleep(0.1)
