"""put, get, a page of list and search, with ever more documents: each size beside the smallest one."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.documents import QUERIES, Document, documents
from tests.bench.filling import fill
from tests.bench.installation import Servers, Site
from tests.bench.measure import Row, at_most, compared, median_time, times

FLAT = 1.2
"""How much longer than at the smallest size the median may take and still be called flat."""

_NAMESPACE = ("bench", "growth")


def growth(servers: Servers, quick: bool) -> list[Row]:
    """All of one size in one namespace: the worst case, one partition."""
    sizes = (300, 3_000) if quick else (1_000, 10_000, 100_000)
    rounds = 20 if quick else 150
    with ExitStack() as stack:
        stages = [_stage(servers, stack, size) for size in sizes]
        return [
            _row(name, stage, stages[0], calls, rounds)
            for name, calls in (("put", 10), ("get", 20), ("raw get", 20), ("list(100)", 3), ("search", 5))
            for stage in stages[1:]
        ]


@dataclass(frozen=True)
class Stage:
    """A store that holds so many documents."""

    place: Site
    found: list[Document]

    def action(self, name: str) -> Callable[[int], object]:
        store, found = self.place.store, self.found
        picks = [found[random.Random(number).randrange(len(found))] for number in range(1000)]
        actions: dict[str, Callable[[int], object]] = {
            "put": lambda number: store.put(_NAMESPACE, picks[number % 1000].key, picks[number % 1000].value),
            "get": lambda number: store.get(_NAMESPACE, picks[number % 1000].key),
            "raw get": lambda number: self.place.cql.get(_NAMESPACE, picks[number % 1000].key),
            "list(100)": lambda number: store.list(_NAMESPACE, limit=100),
            "search": lambda number: store.search(_NAMESPACE, QUERIES[number % len(QUERIES)]),
        }
        return actions[name]


def _stage(servers: Servers, stack: ExitStack, size: int) -> Stage:
    place = Site(servers, stack)
    found = list(documents(size))
    fill(place, _NAMESPACE, found)
    return Stage(place, found)


def _row(name: str, large: Stage, small: Stage, calls: int, rounds: int) -> Row:
    actions = large.action(name), small.action(name)
    for action in actions:
        times(action, range(5 * calls))
    targets = (at_most(FLAT),) if name in ("put", "get") else ()
    measures = [median_time(action, calls) for action in actions]
    title = f"{name} at {len(large.found):,} items, p50"
    return compared(
        title, "ms", *measures, rounds, *targets, raw_is=f"the same at {len(small.found):,} items", scale=1000
    )
