"""sync on the cluster: documents a second until they are searchable, beside the parts of that work one after another."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

from scylla_store.identity import namespace_digest
from tests.bench.documents import Document, documents
from tests.bench.installation import Servers, Site, site
from tests.bench.measure import Row, at_least, compared, rate
from tests.bench.serial import SerialParts

_PATIENCE = 120.0
_POLL = 0.01


def sync(servers: Servers, quick: bool) -> list[Row]:
    """With one worker, and the figure with two."""
    rounds, count = (3, 1_000) if quick else (8, 2_000)
    found = documents(count)
    with site(servers) as place:
        place.wait_for(place.worker())
        parts = SerialParts(place.holding, place.cql, place.index)

        def ours(number: int) -> float:
            return _until_searchable(place, _namespace("bench"), found)

        def raw(number: int) -> float:
            namespace = _namespace("raw")
            reached = parts.rate(namespace, found)
            place.index.clear(namespace_digest(namespace))
            return reached

        ours(-1), raw(-1)
        parts.seconds.clear()
        raw_is = "points, rows, embed, upsert, verify and ack, a hundred documents at a time"
        one = compared("sync, one worker", "documents/s", ours, raw, rounds, at_least(0.7), raw_is=raw_is)
        one = replace(one, details={"seconds_by_part": parts.shares()})
        place.wait_for(place.worker(1))
        ours(-1)
        two = compared("sync, two workers", "documents/s", ours, raw, rounds, raw_is=raw_is)
        return [one, two]


def _namespace(first: str) -> tuple[str, str]:
    """A new one: a round must not find what the last one left."""
    return first, f"sync {os.urandom(4).hex()}"


def _until_searchable(place: Site, namespace: tuple[str, ...], found: Sequence[Document]) -> float:
    """Documents a second, from the moment that their tasks are sent until the index counts all of them."""
    tasks = place.holding.write(namespace, found)
    dispatcher = place.store.parts.dispatcher

    def run() -> None:
        for refs, task_id in tasks:
            dispatcher.send(refs, task_id)
        deadline = time.monotonic() + _PATIENCE
        while (counted := place.store.count(namespace)) < len(found):
            assert time.monotonic() < deadline, f"{counted} of {len(found)} documents are searchable"
            time.sleep(_POLL)

    reached = rate(len(found), run)
    place.index.clear(namespace_digest(namespace))
    return reached
