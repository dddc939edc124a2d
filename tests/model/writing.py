"""Rules: plain writes, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from scylla_store import Delete, Find, Get, Item, List, OutcomeUnknown, PartialFailure, Put, Receipt, Search, StoreError
from tests.model.cutting import FAILURES, Crash, Cut
from tests.model.documents import IDS, INDEXES, PREFIXES, PUTS, TTLS, VALUES
from tests.model.machine import Machine, step
from tests.model.model import Id, Write, of_item, shown

_WRITES = st.tuples(IDS, st.none() | VALUES, INDEXES, TTLS)
_READS = st.one_of(
    st.builds(lambda item, refresh: Get(*item, refresh), IDS, st.booleans()),
    st.builds(lambda prefix: List(prefix, limit=1000), st.sampled_from(PREFIXES)),
    st.builds(lambda prefix: Find(prefix, limit=1000), st.sampled_from(PREFIXES)),
    st.builds(lambda prefix: Search(prefix, "tea", limit=1000), st.sampled_from(PREFIXES)),
)


class _Stop(Exception):
    """Ends a pipeline's block."""


class Writing(Machine):
    """put, put_many, delete, delete_many, pipeline, batch, delete_namespace."""

    def fill(self, puts: list[Any]) -> None:
        """Something to read, to change and to lose."""
        self._put_many(puts, streams=False)

    @step(put=PUTS)
    def put(self, put: Any) -> None:
        write = self._write(*put)
        self._one(write, lambda: self.store.put(*write.id, write.value or {}, index=write.index, ttl=write.ttl))

    @step(value=VALUES, how=st.sampled_from(FAILURES))
    def put_where_nothing_was(self, value: dict[str, Any], how: str) -> None:
        """The first request of a put lists its namespace; when that fails, the next put does."""
        write = self._write((("new", f"{len(self.model.perhaps)}"), "k"), value)
        self.cut = Cut(0, how)
        self._one(write, lambda: self.store.put(*write.id, value, ttl=None))
        self.settle()
        self._one(write, lambda: self.store.put(*write.id, value, ttl=None))
        self.check_namespaces(("new",), (), None, 3)

    @step(item=IDS)
    def delete(self, item: Id) -> None:
        write = self._write(item)
        self._one(write, lambda: self.store.delete(*write.id))

    @step(puts=st.lists(PUTS, min_size=1, max_size=6), streams=st.booleans())
    def put_many(self, puts: list[Any], streams: bool) -> None:
        self._put_many(puts, streams=streams)

    def _put_many(self, puts: list[Any], *, streams: bool) -> None:
        writes = [self._write(*put) for put in puts]
        many = [Put(*write.id, write.value or {}, write.index, write.ttl) for write in writes]
        if not streams:
            self._some(writes, lambda: self.store.put_many(many))
            return
        told: list[Receipt] = []

        def put_stream() -> list[Receipt]:
            assert self.store.put_many(iter(many), on_progress=lambda _, receipts: told.extend(receipts)) == []
            return told

        self._some(writes, put_stream)

    @step(items=st.lists(IDS, max_size=5))
    def delete_many(self, items: list[Id]) -> None:
        writes = [self._write(item) for item in items]
        self._some(writes, lambda: self.store.delete_many([write.id for write in writes]))

    @step(chosen=st.lists(_WRITES, max_size=6), size=st.integers(1, 4), is_stopped=st.booleans())
    def pipeline(self, chosen: list[Any], size: int, is_stopped: bool) -> None:
        """What was stored in between stays when the block is left by an exception; the rest is dropped."""
        writes = [self._write(*one) for one in chosen]
        kept = len(writes) // size * size if is_stopped else len(writes)

        def collect() -> list[Receipt | None]:
            pipeline = self.store.pipeline(size=size)
            try:
                with pipeline:
                    for write in writes:
                        if write.value is None:
                            pipeline.delete(*write.id)
                        else:
                            pipeline.put(*write.id, write.value, index=write.index, ttl=write.ttl)
                    if is_stopped:
                        raise _Stop
            except _Stop:
                if any(pipeline.errors):
                    raise PartialFailure(pipeline.receipts, pipeline.errors) from None
            return pipeline.receipts

        self._some(writes[:kept], collect, size)

    @step(operations=st.lists(_WRITES | _READS, max_size=8))
    def batch(self, operations: list[Any]) -> None:
        """Reads see what was there before; of several writes of an item the last one wins."""
        chosen = [self._operation(one) for one in operations]
        writes = {at: self._write(*operations[at]) for at, one in enumerate(chosen) if isinstance(one, (Put, Delete))}
        granted = [(tuple(one.namespace), one.key) for one in chosen if isinstance(one, Get) and one.refresh_ttl]
        result = self.attempt(lambda: self.store.batch(chosen))
        results = result.receipts if isinstance(result, PartialFailure) else result
        is_cut = isinstance(results, (Crash, StoreError))
        if not is_cut:
            for one, seen in zip(chosen, results, strict=True):
                self._check_read(one, seen)
        self.grant(granted, is_certain=not is_cut)
        if isinstance(result, (Crash, StoreError)) and not isinstance(result, PartialFailure):
            self._lose(writes.values(), result)
            return
        errors = result.errors if isinstance(result, PartialFailure) else [None] * len(chosen)
        self._together([(write, results[at], errors[at]) for at, write in writes.items()])

    @step(prefix=st.sampled_from(PREFIXES[1:]))
    def delete_namespace(self, prefix: tuple[str, ...]) -> None:
        prefix = self.under(prefix)
        doomed = [Write(one.id, None, self.now) for one in self.model.under(prefix, self.now)]
        result = self.attempt(lambda: self.store.delete_namespace(prefix))
        self.is_clean = False
        if isinstance(result, (Crash, StoreError)):
            self._lose(doomed, Crash())
            return
        # Each of them draws a later version than the one before, so that one that is just about to expire may do so first.
        assert len([one for one in doomed if self._stays(one.id)]) <= result <= len(doomed)
        for write in doomed:
            self.model.put(write.id, None)
            self.receipts.pop(write.id, None)

    def _stays(self, item: Id) -> bool:
        document = self.model.documents[item]
        return document.seen(max(self.now, max(self.model.versions[item])) + 1000)

    def _operation(self, one: Any) -> Any:
        if isinstance(one, Get):
            return Get(self.under(tuple(one.namespace)), one.key, one.refresh_ttl)
        if isinstance(one, (List, Find, Search)):
            return replace(one, prefix=self.under(tuple(one.prefix)))
        write = self._write(*one)
        if write.value is None:
            return Delete(*write.id)
        return Put(*write.id, write.value, write.index, write.ttl)

    def _check_read(self, one: Any, seen: Any) -> None:
        if isinstance(one, Get):
            document = self.model.seen((tuple(one.namespace), one.key), self.now)
            expected = document and (document.refreshed(self.now) if one.refresh_ttl else document)
            assert of_item(seen) == shown(expected)
        elif isinstance(one, List):
            expected_items = [shown(each) for each in self.model.under(tuple(one.prefix), self.now)]
            assert [of_item(item) for item in seen.items] == expected_items
        elif isinstance(one, (Find, Search)):
            items: list[Item] = seen.items if isinstance(one, Find) else [hit.item for hit in seen]
            known = {each.id: each for each in self.model.under(tuple(one.prefix), self.now)}
            assert all(of_item(item) == shown(known.get((item.namespace, item.key))) for item in items)

    def _write(self, item: Id, value: dict[str, Any] | None = None, index: Any = None, ttl: Any = None) -> Write:
        write = Write(self.at(item), value, self.now, index, None if value is None else ttl)
        self.model.perhaps.add(write.id[0])
        return write

    def _one(self, write: Write, action: Callable[[], Receipt]) -> None:
        result = self.attempt(action)
        self.is_clean = False
        if isinstance(result, (Crash, StoreError)):
            self._lose([write], result)
        else:
            self.applied(write, result)

    def _some(self, writes: Sequence[Write], action: Callable[[], Sequence[Receipt | None]], size: int = 1000) -> None:
        """Writes that are stored `size` at a time."""
        result = self.attempt(action)
        self.is_clean = False
        if isinstance(result, PartialFailure):
            receipts, errors = result.receipts, result.errors
        elif isinstance(result, (Crash, StoreError)):
            self._lose(writes, result)
            return
        else:
            receipts, errors = list(result), [None] * len(result)
        outcomes = list(zip(writes, receipts, errors, strict=True))
        for start in range(0, len(outcomes), size):
            self._together(outcomes[start : start + size])

    def _together(self, outcomes: Sequence[tuple[Write, Receipt | None, StoreError | None]]) -> None:
        """Writes of one go: of several of an item the last one wins, and all of them have its receipt."""
        if outcomes:
            self.is_clean = False
        last = {write.id: (write, receipt, error) for write, receipt, error in outcomes}
        assert all(receipt is last[write.id][1] for write, receipt, _ in outcomes)
        for write, receipt, error in last.values():
            if receipt is not None and write.id in self.model.unsure:
                self._over(write, receipt)
            elif receipt is not None:
                self.applied(write, receipt)
            else:
                self._lose([write], error or Crash())

    def _over(self, write: Write, receipt: Receipt) -> None:
        """An item that was in doubt is written for certain: a reader says when it was created."""
        found = self.store.get(*write.id)
        assert found is None or found.version == receipt.version
        self.model.unsure[write.id] = [_loose(write)]
        self.model.decide(write.id, found, self.now)

    def _lose(self, writes: Iterable[Write], error: Crash | StoreError) -> None:
        """What is left of writes that were cut. One that says that it did not happen did not."""
        self.is_clean = False
        if isinstance(error, StoreError) and not isinstance(error, OutcomeUnknown):
            return
        by_id: dict[Id, list[Write]] = {}
        for write in writes:
            by_id.setdefault(write.id, []).append(write)
        for item, some in by_id.items():
            loose = len(some) > 1 or item in self.model.unsure
            earlier = self.model.unsure.get(item, [])[1:]
            self.model.doubt(item, *earlier, *(_loose(write) if loose else write for write in some))


def _loose(write: Write) -> Write:
    return replace(write, is_loose=True)
