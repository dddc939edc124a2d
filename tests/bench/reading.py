"""get and get_many on the cluster, beside the driver's own selects."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from scylla_store import Put
from tests.bench.documents import documents
from tests.bench.installation import Servers, Site, site
from tests.bench.measure import Measurement, Row, at_least, at_most, compared, median_time, times

_COUNT = 5_000
_MANY = 100
_NAMESPACE = ("bench", "read")


def get(servers: Servers, quick: bool) -> list[Row]:
    """One document by its key."""
    rounds, calls = (20, 100) if quick else (60, 200)
    with _filled(servers) as (place, keys):

        def ours(number: int) -> None:
            place.store.get(_NAMESPACE, keys[number % _COUNT])

        def raw(number: int) -> None:
            place.cql.get(_NAMESPACE, keys[number % _COUNT])

        times(ours, range(1000)), times(raw, range(1000))
        measures = median_time(ours, calls), median_time(raw, calls)
        raw_is = "one prepared select, not decoded"
        return [compared("get, p50", "ms", *measures, rounds, at_most(1.2), raw_is=raw_is, scale=1000)]


def get_many(servers: Servers, quick: bool) -> list[Row]:
    """A hundred documents of one namespace."""
    rounds, calls = (20, 10) if quick else (60, 20)
    with _filled(servers) as (place, keys):
        picks = [random.Random(number).sample(keys, _MANY) for number in range(200)]
        wanted = [[(_NAMESPACE, key) for key in pick] for pick in picks]

        def ours(number: int) -> None:
            place.store.get_many(wanted[number % len(wanted)])

        def raw(number: int) -> None:
            place.cql.get_many(_NAMESPACE, picks[number % len(picks)])

        times(ours, range(100)), times(raw, range(100))
        measures = _per_second(median_time(ours, calls)), _per_second(median_time(raw, calls))
        raw_is = "one select with IN, not decoded"
        return [compared("get_many(100)", "documents/s", *measures, rounds, at_least(0.8), raw_is=raw_is)]


@contextmanager
def _filled(servers: Servers) -> Iterator[tuple[Site, list[str]]]:
    """A site with documents in one namespace, and their keys in no order."""
    found = documents(_COUNT)
    with site(servers) as place:
        place.store.put_many(Put(_NAMESPACE, document.key, document.value) for document in found)
        keys = [document.key for document in found]
        random.Random(1).shuffle(keys)
        yield place, keys


def _per_second(measure: Measurement) -> Measurement:
    return lambda number: _MANY / measure(number)
