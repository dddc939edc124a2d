"""get and get_many on the cluster, beside the driver's own selects."""

from __future__ import annotations

import json
import random
from typing import Any

from scylla_store import Put
from tests.bench.documents import documents
from tests.bench.installation import Servers, Site
from tests.bench.measure import Measurement, Row, at_least, at_most, compared, median_time, times

_COUNT = 5_000
_MANY = 100
_WRITE_ID = 16
_NAMESPACE = ("bench", "read")


def get(servers: Servers, quick: bool) -> list[Row]:
    """One document by its key."""
    rounds, calls = (60, 20) if quick else (400, 20)
    place, keys = _filled(servers)

    def ours(number: int) -> None:
        place.store.get(_NAMESPACE, keys[number % _COUNT])

    def raw(number: int) -> None:
        place.cql.get(_NAMESPACE, keys[number % _COUNT])

    times(ours, range(300)), times(raw, range(300))
    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "one prepared select, not decoded"
    return [compared("get, p50", "ms", *measures, rounds, at_most(1.2), raw_is=raw_is, scale=1000)]


def get_many(servers: Servers, quick: bool) -> list[Row]:
    """A hundred documents of one namespace."""
    rounds, calls = (60, 4) if quick else (300, 4)
    place, keys = _filled(servers)
    picks = [random.Random(number).sample(keys, _MANY) for number in range(200)]
    wanted = [[(_NAMESPACE, key) for key in pick] for pick in picks]

    def ours(number: int) -> None:
        place.store.get_many(wanted[number % len(wanted)])

    def raw(number: int) -> list[Any]:
        return place.cql.get_many(_NAMESPACE, picks[number % len(picks)])

    def decoded(number: int) -> None:
        for row in raw(number):
            json.loads(row[-1][_WRITE_ID:])

    measures = [_per_second(median_time(action, calls)) for action in (ours, raw, decoded)]
    for measure in measures:
        measure(0)
    raw_is = "one select with IN, not decoded"
    bare = compared("get_many(100)", "documents/s", *measures[:2], rounds, at_least(0.8), raw_is=raw_is)
    raw_is = "one select with IN, each body through json.loads"
    return [bare, compared("get_many(100), decoded", "documents/s", measures[0], measures[2], rounds, raw_is=raw_is)]


def _filled(servers: Servers) -> tuple[Site, list[str]]:
    """A site with documents in one namespace, and their keys in no order."""
    found = documents(_COUNT)
    servers.site.store.put_many(Put(_NAMESPACE, document.key, document.value) for document in found)
    keys = [document.key for document in found]
    random.Random(1).shuffle(keys)
    return servers.site, keys


def _per_second(measure: Measurement) -> Measurement:
    return lambda number: _MANY / measure(number)
