"""Reading the index in a total order, a page at a time, each at the same cost.

The index orders by one number and says nothing about equal ones. So of a page along the first field whatever shares its last
number may not be all there is: those are read along the next field, and what is equal in all of them by id. No request skips
what came before; each begins at its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scylla_store.conditions import Condition, Within, every, no
from scylla_store.identity import ItemId
from scylla_store.index.base import Along, Index, SeenPoint, in_order
from scylla_store.orders import Order, Place
from scylla_store.points import item_of

_MOST = 1000
"""Points of one request."""


@dataclass(frozen=True)
class Placed:
    """An item and its place."""

    place: Place
    item: ItemId


@dataclass(frozen=True)
class OrderedWalk:
    """The items under a prefix (its digest; None: all) that are not expired at `now` and fulfil `where`, in an order.

    Attributes:
        has: what those fulfil that have a place by number; the others come last.
        more: points that are read beyond those wanted: the equals of the last one are then mostly among them.
        least: wanted points that a request is made for, if fewer are.
    """

    index: Index
    order: Order
    prefix: str | None
    now: int
    where: Condition
    has: Condition
    more: int = 48
    least: int = 100

    def after(self, place: Place | None, limit: int) -> list[Placed]:
        """The next items, fewer than `limit` only at the end; None: from the beginning."""
        if place is not None and place.numbers is None:
            return self._lacking(place.id, limit)
        found = self._along(0, every(self.where, self.has), place, limit)
        if self.order.of_documents and len(found) < limit:
            found += self._lacking(None, limit - len(found))
        return found

    def _along(self, depth: int, where: Condition, after: Place | None, limit: int) -> list[Placed]:
        """Those that fulfil `where`, by the fields from this one on; they are equal in all before it."""
        if depth == len(self.order.fields):
            return [one for one in self._by_id(where, None if after is None else after.id, limit) if one.place.numbers]
        field, step = self.order.fields[depth], -1 if self.order.descending else 1
        start = None if after is None or after.numbers is None else after.numbers[depth]
        found: list[Placed] = []
        while len(found) < limit:
            size = min(max(limit - len(found), self.least) + self.more, _MOST)
            points = self._points(size, where=where, along=Along(field, self.order.descending, start))
            last = _last(points, field) if len(points) == size else None
            found += self._sorted((point for point in points if point.payload.get(field) != last), after)
            if last is None:
                break
            if last != start and any(point.payload.get(field) != last for point in points):
                start, after = last, None  # its equals from their first one on: mostly one request holds them all
                continue
            equal = every(where, Within(field, last - 1, last + 1))
            found += self._along(depth + 1, equal, after if last == start else None, limit - len(found))
            start, after = last + step, None
        return found[:limit]

    def _lacking(self, after: str | None, limit: int) -> list[Placed]:
        """Those that have no place by number, by id."""
        found = self._by_id(every(self.where, no(self.has)), after, limit)
        return [Placed(Place(None, one.place.id), one.item) for one in found]

    def _by_id(self, where: Condition, after: str | None, limit: int) -> list[Placed]:
        found: list[Placed] = []
        while len(found) < limit:
            size = min(limit - len(found), _MOST)
            points = self._points(size, where=where, after=after)
            found += filter(None, map(self._placed, points))
            if len(points) < size:
                break
            after = points[-1].id
        return found

    def _sorted(self, points: Iterable[SeenPoint], after: Place | None) -> list[Placed]:
        """Those beyond the place, in order."""
        page = [one for one in map(self._placed, points) if one is not None and one.place.numbers is not None]
        beyond = page if after is None else [one for one in page if self._key(one) > self._key(Placed(after, one.item))]
        return sorted(beyond, key=self._key)

    def _key(self, one: Placed) -> tuple[list[int], tuple[bool, int, str]]:
        sign = -1 if self.order.descending else 1
        return [sign * number for number in one.place.numbers or ()], in_order(one.place.id)

    def _placed(self, point: SeenPoint) -> Placed | None:
        """None for a point that makes no sense, which reconciliation repairs."""
        item = item_of(point)
        numbers: list[Any] = [point.payload.get(field) for field in self.order.fields]
        is_sound = all(type(number) is int for number in numbers)
        return None if item is None else Placed(Place(tuple(numbers) if is_sound else None, point.id), item)

    def _points(
        self, limit: int, *, where: Condition, along: Along | None = None, after: str | None = None
    ) -> list[SeenPoint]:
        return self.index.first_points(
            prefix=self.prefix,
            now=self.now,
            limit=limit,
            where=where,
            along=along,
            after=after,
            fields=self.order.fields,
        )


def _last(points: Sequence[SeenPoint], field: str) -> int | None:
    """The last number of a page."""
    numbers = (point.payload.get(field) for point in reversed(points))
    return next((number for number in numbers if type(number) is int), None)
