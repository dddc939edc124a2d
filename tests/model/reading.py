"""Rules: reads, alone, by pages, and by pages with writes in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from scylla_store import ANY_LABEL, StoreError
from tests.model.checks import Checks
from tests.model.cutting import Crash
from tests.model.documents import FILTERS, IDS, PREFIXES
from tests.model.machine import Machine, step
from tests.model.model import Id, of_item, shown

_LABELS = st.sampled_from(["a", "b", "é", "a\0", ANY_LABEL])
_PATTERNS = st.lists(_LABELS, max_size=2).map(tuple)


@dataclass
class Walk:
    """A list that is read page by page while others write.

    Attributes:
        steady: items that have matched ever since it began.
        shown: those that it has shown.
    """

    prefix: tuple[str, ...]
    where: dict[str, Any] | None
    limit: int
    cursor: str | None
    steady: set[Id]
    shown: list[Id]


class Reading(Machine):
    """get, get_many, list, list_namespaces, count."""

    def __init__(self) -> None:
        super().__init__()
        self.walk: Walk | None = None

    def begin(self, *, settles: bool) -> None:
        """What is not there at the beginning of a step has not been there all the time."""
        super().begin(settles=settles)
        if self.walk is not None and not self.model.unsure:
            self.walk.steady &= {one.id for one in self.model.under(self.walk.prefix, self.now, self.walk.where)}

    @step(item=IDS, refresh=st.booleans())
    def get(self, item: Id, refresh: bool) -> None:
        item = self.at(item)
        before = self.model.seen(item, self.now)
        after = before.refreshed(self.now) if before is not None and refresh else before
        result = self.attempt(lambda: self.store.get(*item, refresh_ttl=refresh))
        if after != before:
            self.is_clean = False
        if isinstance(result, (Crash, StoreError)):
            if after != before:
                self.model.doubt(item, after)
            return
        assert of_item(result) == shown(after)
        if after is not None and after != before:
            self.model.put(item, after)
            assert of_item(self.store.get(*item, refresh_ttl=True)) == shown(after)

    @step(items=st.lists(IDS, max_size=4))
    def get_many(self, items: list[Id]) -> None:
        found = self.attempt(lambda: self.store.get_many([self.at(item) for item in items]))
        if not isinstance(found, (Crash, StoreError)):
            expected = [shown(self.model.seen(self.at(item), self.now)) for item in items]
            assert [of_item(item) for item in found] == expected

    @step(prefix=st.sampled_from(PREFIXES), where=FILTERS, limit=st.integers(1, 5))
    def list_and_count(self, prefix: tuple[str, ...], where: dict[str, Any] | None, limit: int) -> None:
        self._checks().listed(self.under(prefix), where, limit)
        self._checks().counted(self.under(prefix), where)

    @step(prefix=_PATTERNS, suffix=_PATTERNS, depth=st.none() | st.integers(1, 3), limit=st.integers(1, 4))
    def list_namespaces(self, prefix: tuple[Any, ...], suffix: tuple[Any, ...], depth: int | None, limit: int) -> None:
        self.check_namespaces(prefix, suffix, depth, limit)

    @step(prefix=st.sampled_from(PREFIXES), where=FILTERS, limit=st.integers(1, 3))
    def begin_to_walk(self, prefix: tuple[str, ...], where: dict[str, Any] | None, limit: int) -> None:
        prefix = self.under(prefix)
        steady = {one.id for one in self.model.under(prefix, self.now, where)}
        self.walk = Walk(prefix, where, limit, None, steady, [])
        self._walk_on(self.walk)

    @step()
    def walk_on(self) -> None:
        if self.walk is not None:
            self._walk_on(self.walk)

    def _walk_on(self, walk: Walk) -> None:
        """The next page. At the end all that was there all the time was shown, and nothing twice."""
        page = self.store.list(walk.prefix, filter=walk.where, limit=walk.limit, cursor=walk.cursor)
        for item in page.items:
            assert of_item(item) == shown(self.model.seen((item.namespace, item.key), self.now))
        walk.shown += [(item.namespace, item.key) for item in page.items]
        assert len(set(walk.shown)) == len(walk.shown)
        walk.cursor = page.cursor
        if page.cursor is None:
            assert walk.steady <= set(walk.shown)
            self.walk = None

    def _checks(self) -> Checks:
        return Checks(self.store, self.model, self.now, is_clean=self.is_clean, is_damaged=self.is_damaged)
