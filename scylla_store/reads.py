"""Reading items: by key, by page, by count. The database is the truth, and expiry is judged here at every read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from scylla_store.arguments import checked_flag, shown
from scylla_store.clock import LAST_MOMENT, SECOND, VersionClock, past_for_all
from scylla_store.cursors import DAMAGED, from_cursor, item_at, namespaces_at, to_cursor
from scylla_store.database.base import SCAN_BYTES, Database, Refresh, is_last
from scylla_store.errors import DamagedRow, ScanLimitReached, ValidationError
from scylla_store.filters import Filter, Subject
from scylla_store.identity import MAX_LABELS, ItemId, Namespace, checked_ids, checked_key, checked_namespace
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.items import Item, Page
from scylla_store.patterns import Pattern
from scylla_store.publisher import Publisher
from scylla_store.rows import Row, decode, stamp
from scylla_store.settings.options import Settings

MOST = 10_000
"""Largest `limit` of one call."""

_NAMESPACES = 200
_MANY = 200
"""Rows that are read at a time when a filter looks at them: some will not match. So many may be large together."""

_LARGEST = 1000
"""Rows of one read."""


class Reader:
    """Reads from the database."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        clock: VersionClock,
        settings: Settings,
        check_clock: Callable[[], None],
    ) -> None:
        self._database = database
        self._check_clock = check_clock
        self._publisher = publisher
        self._clock = clock
        self._margin = int(settings.sync.margin * SECOND)
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        self._most = settings.limits.max_scanned

    def rows(
        self, ids: Sequence[ItemId], *, body: bool = True, damaged: Callable[[DamagedRow], None] | None = None
    ) -> dict[ItemId, Row]:
        """Rows that a reader sees now. One that cannot be decoded is told to `damaged` and left out; None: it is raised."""
        now = self._clock.now()
        rows: dict[ItemId, Row] = {}
        for item, cells in self._database.read(ids, body=body).items():
            try:
                row = decode(cells)
            except DamagedRow as exc:
                if damaged is None:
                    raise
                damaged(exc)
                continue
            if row is not None and row.is_visible(now):
                rows[item] = row
        return rows

    def get(self, namespace: object, key: object, *, refresh_ttl: bool = False) -> Item | None:
        """One item, or None. `refresh_ttl` grants it its whole TTL again, from now."""
        item = ItemId(checked_namespace(namespace), checked_key(key))
        refresh_ttl = checked_flag(refresh_ttl, "refresh_ttl")
        began = self.moment() if refresh_ttl else None
        row = self.rows([item]).get(item)
        if row is not None and began is not None:
            row = self.refresh([row], began).get(item)
        return None if row is None else Item.of(row)

    def get_many(self, keys: object) -> list[Item | None]:
        """Items in the order of the keys."""
        ids = checked_ids(keys)
        items = {item: Item.of(row) for item, row in self.rows(ids).items()} if ids else {}
        return [items.get(item) for item in ids]

    def moment(self) -> int:
        """Now (microseconds)."""
        return self._clock.now()

    def refresh(self, rows: Iterable[Row], began: int) -> dict[ItemId, Row]:
        """Grants each item its whole TTL again, from `began`; what has none stays as it is, and what has expired is left out.

        It writes a cell of its own, never head or body: that would undo a put that comes between.

        Args:
            began: a moment before the rows were read. The cell has its time, or it would undo the refresh of a put that came between.
        """
        seen = {row.id: row for row in rows}
        if any(row.expires_at is not None for row in seen.values()):
            self._check_clock()
        now = self._clock.now()
        # What has expired since it was read is gone: another reader may have missed it already.
        found = {item: self._granted(row, began) for item, row in seen.items() if row.is_visible(now)}
        changed = [row for item, row in found.items() if row is not seen[item]]
        if changed:
            refreshes = [self._refreshing(row, now, began) for row in changed]
            self._database.refresh(refreshes)
            self._publisher.collect([Ref(one.intents[0]) for one in refreshes])
        return found

    def _granted(self, row: Row, now: int) -> Row:
        """The row as it is to be; the same one when that would be no later."""
        if row.head.expires_at is None or row.expires_at is None:
            return row
        granted = now + row.head.expires_at - row.version
        granted = min(granted, LAST_MOMENT)
        return replace(row, expires_at=granted) if granted > row.expires_at else row

    def _refreshing(self, row: Row, now: int, began: int) -> Refresh:
        """Its timestamp is the moment that it grants the time from, no version: so of two the one that grants more stays.

        It lies behind the head's, or nothing more would be granted.
        """
        granted, write = row.expires_at or 0, row.head.write_id
        intents = (
            new_intent(row.id, write, row.version, Kind.REFRESH, now=now, due=now + self._margin),
            new_intent(row.id, write, row.version, Kind.EXPIRY, now=now, due=past_for_all(granted, self._skew)),
        )
        keep = (granted - now) // SECOND + 3600
        return Refresh(row.id, stamp(write, granted), began, keep, intents)

    def page(
        self, prefix: object, *, limit: int = 100, cursor: str | None = None, where: Filter | None = None
    ) -> Page[Item]:
        """Items under the prefix by namespace and key, exact. It ends after `limits.max_scanned` rows, but without a filter
        not before `limit` rows, and goes on after the last one that was looked at, whether it is shown or not."""
        namespace = checked_namespace(prefix, argument="prefix", prefix=True)
        limit = checked_limit(limit)
        call = ["list", list(namespace), *([] if where is None else [where.digest])]
        position = from_cursor(cursor, call)
        most, rows = (max(self._most, limit), limit + 1) if where is None else (self._most, max(limit + 1, _MANY))
        items: list[Item] = []
        last: ItemId | None = None
        for looked, (item, row) in enumerate(self._walk(namespace, position, rows)):
            if last is not None and (looked == most or (len(items) == limit and row is not None)):
                return Page(items, to_cursor(call, [list(last.namespace), last.key]))
            last = item
            found = None if row is None else Item.of(row) if where is None else matching(row, where)
            if found is not None:
                items.append(found)
        return Page(items, None)

    def count(self, prefix: Namespace, where: Filter | None = None) -> int:
        """How many items a reader sees under the prefix (that match): reads them all."""
        rows = (row for _, row in self._walk(prefix, None, _LARGEST) if row is not None)
        return sum(1 for row in rows if where is None or matching(row, where) is not None)

    def count_some(self, prefix: Namespace, where: Filter) -> int:
        """How many items match; raises ScanLimitReached when that takes more than `limits.max_scanned` rows."""
        count = 0
        for looked, (_, row) in enumerate(islice(self._walk(prefix, None, _LARGEST), self._most + 1)):
            if looked == self._most:
                raise ScanLimitReached(
                    f"More than limits.max_scanned = {self._most} rows lie under the prefix: count with exact=True, which reads "
                    "all of them, or narrow the prefix"
                )
            count += row is not None and matching(row, where) is not None
        return count

    def _walk(
        self, prefix: Namespace, position: Sequence[Any] | None, page: int
    ) -> Iterator[tuple[ItemId, Row | None]]:
        """All rows under the prefix after the position, in order; None for one that no reader sees, and for an empty namespace.

        Such a namespace is a look into the database as well, so whoever counts those counts it, and can go on behind it.
        """
        started: Namespace | None = None
        if position is not None:
            started, key = item_at(list(position))
            if started[: len(prefix)] != prefix:  # anybody can make a cursor, and it must not lead out of the prefix
                raise ValidationError(DAMAGED)
            yield from self._walk_namespace(started, key, page)
        elif prefix:
            # It comes before all that lies under it, and often holds all that is wanted: then nothing has to be listed.
            started = prefix
            yield from self._walk_namespace(prefix, None, page)
        for namespace in self.all_namespaces(prefix, started):
            rows = self._walk_namespace(namespace, None, page)
            yield next(rows, (ItemId(namespace, ""), None))
            yield from rows

    def _walk_namespace(
        self, namespace: Namespace, after: str | None, page: int
    ) -> Iterator[tuple[ItemId, Row | None]]:
        """`page` rows are read first, and then more and more, but never more than SCAN_BYTES of them together.

        A few are read at once, whatever their size: most often all of them are what the caller gets.
        """
        page = min(page, _LARGEST)
        most = SCAN_BYTES if page >= _MANY else None
        while True:
            cells = self._database.keys(namespace, after=after or None, limit=page, max_bytes=most)
            now = self._clock.now()
            for found in cells:
                row = decode(found)
                yield found.id, row if row is not None and row.is_visible(now) else None
            if is_last(cells, page, most):
                return
            after, page, most = cells[-1].id.key, min(2 * page, _LARGEST), SCAN_BYTES

    def all_namespaces(self, prefix: Namespace, after: Namespace | None) -> Iterator[Namespace]:
        """Listed namespaces under the prefix, in order."""
        while True:
            found = self._database.namespaces(prefix, after=after, limit=_NAMESPACES)
            for registration in found:
                yield registration.namespace
            if len(found) < _NAMESPACES:
                return
            after = found[-1].namespace

    def list_namespaces(
        self,
        prefix: object = (),
        suffix: object = (),
        *,
        max_depth: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Namespace]:
        """Namespaces that match, cut to `max_depth` labels, each one once. It ends after `limits.max_scanned` namespaces."""
        start, end = Pattern.of(prefix, "prefix"), Pattern.of(suffix, "suffix")
        if max_depth is not None and (isinstance(max_depth, bool) or not isinstance(max_depth, int) or max_depth < 1):
            raise ValidationError(f"max_depth must be a whole number of at least 1, not {shown(max_depth)}")
        max_depth = None if max_depth is None else min(max_depth, MAX_LABELS)
        limit = checked_limit(limit)
        call = ["list_namespaces", start.as_json(), end.as_json(), max_depth]
        position = from_cursor(cursor, call)
        found: list[Namespace] = []
        last, last_cut = (None, None) if position is None else namespaces_at(position)
        for looked, namespace in enumerate(self.all_namespaces(start.fixed, last)):
            cut = namespace[:max_depth]
            is_wanted = cut != last_cut and start.begins(namespace) and end.ends(namespace)
            if looked == self._most or (is_wanted and len(found) == limit):
                return Page(found, to_cursor(call, [list(last or ()), last_cut]))
            if is_wanted:
                found.append(cut)
                last_cut = cut
            last = namespace
        return Page(found, None)


def matching(row: Row, where: Filter) -> Item | None:
    """The item of a visible row, when the filter asks for it; raises DamagedRow."""
    item = Item.of(row)
    is_match = where.matches(Subject(item.key, item.value, row.head.created_at, row.version))
    return item if is_match else None


def checked_limit(limit: object, argument: str = "limit", least: int = 1) -> int:
    """Returns the limit: a whole number of `least` to 10,000; raises ValidationError."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not least <= limit <= MOST:
        raise ValidationError(f"{argument} must be a whole number of {least} to {MOST}, not {shown(limit)}")
    return limit
