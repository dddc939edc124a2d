"""Finding items by filter, in an order: the index says which and in what order, the database what they are now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from scylla_store.clock import VersionClock
from scylla_store.conditions import ALWAYS, Condition, Within
from scylla_store.coverage import Coverage
from scylla_store.cursors import from_cursor, to_cursor
from scylla_store.errors import DamagedRow, TransientError
from scylla_store.filters import Filter, condition_of
from scylla_store.identity import ItemId, Namespace, checked_namespace, namespace_digest
from scylla_store.index.base import Index
from scylla_store.items import Item, Page
from scylla_store.monitoring import Metrics
from scylla_store.ordered_walk import OrderedWalk, Placed
from scylla_store.orders import Order, Place, parse_order, place_of
from scylla_store.reads import Reader, checked_limit, matching
from scylla_store.rows import Row
from scylla_store.settings.options import Settings

log = logging.getLogger(__name__)

_MOST_READ = 1000
"""Items that are read at a time, when those before them were too few."""


class Finder:
    """Walks the index in an order, and reads the items."""

    def __init__(
        self,
        reader: Reader,
        index: Index,
        clock: VersionClock,
        open_index: Callable[[], None],
        coverage: Coverage,
        is_rebuilding: Callable[[], bool],
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._index = index
        self._clock = clock
        self._open_index = open_index
        self._is_rebuilding = is_rebuilding
        self._metrics = metrics
        self._ranges = settings.index.range_fields
        self._coverage = coverage
        self._most = settings.limits.max_scanned

    def find(
        self, prefix: object, *, where: Filter | None, order_by: object, limit: object, cursor: str | None
    ) -> Page[Item]:
        """A page of items. Goes on when items are gone or do not match, until `limit`, the end, or `limits.max_scanned`."""
        namespace = checked_namespace(prefix, argument="prefix", prefix=True)
        limit = checked_limit(limit)
        order = parse_order(order_by, self._ranges)
        condition = ALWAYS if where is None else condition_of(where, self._ranges)
        call = ["find", list(namespace), order.name, None if where is None else where.digest]
        place = place_of(from_cursor(cursor, call), order)
        with self._measured():
            self._open_index()
            if where is not None:
                condition = self._coverage.widened(condition)
            walk = self._walk(namespace, order, condition)
            items, following = self._page(walk, place, limit, namespace, where)
        after = None if following is None else to_cursor(call, list(following))
        return Page(items, after, is_rebuilding=self._is_rebuilding())

    def _walk(self, namespace: Namespace, order: Order, where: Condition) -> OrderedWalk:
        has = self._coverage.narrowed(Within(order.fields[0], above=-1)) if order.of_documents else ALWAYS
        prefix = namespace_digest(namespace) if namespace else None
        return OrderedWalk(self._index, order, prefix, self._clock.now(), where, has)

    def _page(
        self, walk: OrderedWalk, place: Place | None, limit: int, namespace: Namespace, where: Filter | None
    ) -> tuple[list[Item], Place | None]:
        """The items, and the place of the last one that was looked at; None when it was the last one of all."""
        items: dict[ItemId, Item] = {}
        # Without a filter only what is gone is looked at in vain.
        left = max(self._most, limit) if where is None else self._most
        size = limit
        while True:
            size = min(size, left)
            found = walk.after(place, size + 1)
            looked = found[:size]
            for one, item in zip(looked, self._hydrated(looked, namespace, where), strict=True):
                place = one.place
                if item is not None:
                    items[one.item] = item
                if len(items) == limit:
                    return list(items.values()), None if one is found[-1] else place
            left -= size
            if len(found) <= size or left == 0:
                return list(items.values()), None if len(found) <= size else place
            size = min(_MOST_READ, 2 * size)

    def _hydrated(self, found: Sequence[Placed], namespace: Namespace, where: Filter | None) -> Iterator[Item | None]:
        """Each item as it is now; None when it is gone, lies elsewhere, or does not match."""
        ids = [one.item for one in found if one.item.namespace[: len(namespace)] == namespace]
        rows = self._reader.rows(ids, damaged=_report) if ids else {}
        return (_matching(rows.get(one.item), where) for one in found)

    @contextmanager
    def _measured(self) -> Iterator[None]:
        try:
            with self._metrics.timed("find.run"):
                yield
        except TransientError:
            self._metrics.count("find.failed")
            raise


def _matching(row: Row | None, where: Filter | None) -> Item | None:
    """The item, when it matches as it is now. A damaged document takes no other one with it."""
    try:
        if row is None:
            return None
        return Item.of(row) if where is None else matching(row, where)
    except DamagedRow as exc:
        _report(exc)
        return None


def _report(exc: DamagedRow) -> None:
    log.error("A damaged row is left out of a find: %s", exc)
