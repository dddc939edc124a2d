"""Rules: what the index is asked, and what that grants."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from scylla_store import StoreError
from tests.model.checks import Checks
from tests.model.cutting import Crash
from tests.model.documents import FILTERS, PREFIXES, WORDS
from tests.model.machine import Machine, step
from tests.model.model import Write

ORDERS = ("-$updated_at", "$updated_at", "-$created_at", "$created_at", "n", "-n")


class Finding(Machine):
    """find, search, search_many."""

    @step(prefix=st.sampled_from(PREFIXES), where=FILTERS, order_by=st.sampled_from(ORDERS), limit=st.integers(1, 5))
    def find(self, prefix: tuple[str, ...], where: dict[str, Any] | None, order_by: str, limit: int) -> None:
        self._checks().ordered(self.under(prefix), where, order_by, limit)

    @step(
        prefix=st.sampled_from(PREFIXES),
        query=st.sampled_from(WORDS),
        where=FILTERS,
        limit=st.integers(1, 6),
        offset=st.integers(0, 3),
        min_score=st.sampled_from([None, None, 0.0, 0.4]),
    )
    def search(
        self, prefix: tuple[str, ...], query: str, where: Any, limit: int, offset: int, min_score: float | None
    ) -> None:
        self._checks().found(self.under(prefix), query, where, limit=limit, offset=offset, min_score=min_score)

    @step(query=st.sampled_from(WORDS), where=FILTERS)
    def lose_the_best(self, query: str, where: dict[str, Any] | None) -> None:
        """What is gone and still in the index takes no other hit's place."""
        if not self.drain_and_compare():
            return
        for hit in self.store.search(self.world.root, query, filter=where, limit=1):
            write = Write((hit.item.namespace, hit.item.key), None, self.now)
            self.applied(write, self.store.delete(*write.id))
        self.is_clean = False
        for limit in (1, 2):
            self._checks().found(self.world.root, query, where, limit=limit)
            self._checks().ordered(self.world.root, where, "-$updated_at", limit)

    @step(
        prefix=st.sampled_from(PREFIXES),
        queries=st.lists(st.sampled_from(WORDS), max_size=3),
        where=FILTERS,
        limit=st.integers(1, 6),
        with_value=st.booleans(),
        refreshes=st.booleans(),
    )
    def search_many(
        self, prefix: tuple[str, ...], queries: list[str], where: Any, limit: int, with_value: bool, refreshes: bool
    ) -> None:
        """What a hit is granted, it shows."""
        prefix, checks = self.under(prefix), self._checks()
        options: dict[str, Any] = {"filter": where, "limit": limit, "with_value": with_value, "refresh_ttl": refreshes}
        answers = self.attempt(lambda: self.store.search_many(prefix, queries, **options))
        if isinstance(answers, (Crash, StoreError)):
            if refreshes:
                self.grant([one.id for one in self.model.under(prefix, self.now)], is_certain=False)
            return
        if refreshes:
            hits = {(hit.item.namespace, hit.item.key): None for hits in answers for hit in hits}
            self.grant(hits, is_certain=True)
        assert len(answers) == len(queries)
        for query, found in zip(queries, answers, strict=True):
            checks.judge(found, prefix, query, where, limit=limit, with_value=with_value)

    def _checks(self) -> Checks:
        return Checks(self.store, self.model, self.now, is_clean=self.is_clean, is_damaged=self.is_damaged)
