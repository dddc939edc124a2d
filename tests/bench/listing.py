"""The first page of namespaces when there are very many, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scylla_store import ScyllaStore
from scylla_store.clock import system_clock
from tests.bench.installation import HoldingStore, Servers, site
from tests.bench.measure import Row, Spread, Target, settled, times

_MOST_MS = 10.0
_PAGE = 100
_PART = 5_000


def list_namespaces(servers: Servers, quick: bool) -> list[Row]:
    """A hundred of them, of all and of those under a prefix."""
    count = 10_000 if quick else 100_000
    rows: list[Row] = []
    for name, place in (("Cassandra", _cluster(servers)), ("SQLite", _file(servers))):
        with place as store:
            _register(store, count)
            rows += [_row(store, name, count, prefix, quick) for prefix in ((), ("bench",))]
    return rows


@contextmanager
def _cluster(servers: Servers) -> Iterator[ScyllaStore]:
    with site(servers) as place:
        yield place.store


@contextmanager
def _file(servers: Servers) -> Iterator[ScyllaStore]:
    with HoldingStore({"path": str(servers.folder / "namespaces")}) as holding:
        yield holding.store


def _register(store: ScyllaStore, count: int) -> None:
    """Namespaces of three labels; most lie under one prefix."""
    database, now = store.parts.database, system_clock()
    names = [("bench" if number % 10 else "other", str(number % 977), f"user {number}") for number in range(count)]
    for start in range(0, count, _PART):
        database.register(names[start : start + _PART], now=now)


def _row(store: ScyllaStore, name: str, count: int, prefix: tuple[str, ...], quick: bool) -> Row:
    def page(number: int) -> None:
        assert len(store.list_namespaces(prefix, limit=_PAGE).items) == _PAGE

    times(page, range(20))
    with settled():
        figures = [seconds * 1000 for seconds in times(page, range(50 if quick else 300))]
    where = "under a prefix" if prefix else "of all"
    title = f"list_namespaces({_PAGE}) {where}, {count:,} on {name}"
    return Row(title, "ms", Spread.of(figures), targets=(Target("ours", "at most", _MOST_MS),), rounds=len(figures))
