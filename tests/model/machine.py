"""The state machine's frame: a store and its model side by side, steps, cuts, and what must be true when everything is indexed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from scylla_store import Receipt, StoreError, SyncStatus
from tests.model.checks import Checks
from tests.model.cutting import CRASHES, FAILURES, Crash, Cut
from tests.model.documents import PUTS
from tests.model.model import Id, Model, Write, namespaces
from tests.model.world import World

T = TypeVar("T")
CUTS = st.builds(Cut, st.integers(0, 7), st.sampled_from(CRASHES + FAILURES))


@dataclass
class Tally:
    """What a run of the machine did."""

    runs: int = 0
    steps: int = 0
    crashes: int = 0
    failures: int = 0
    reopened: int = 0
    comparisons: int = 0
    hits: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, one.name)} {one.name}" for one in fields(self))


def step(*, settles: bool = True, **strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule of the machine; `settles`: what a cut left open is read before."""

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def run(self: Machine, **drawn: Any) -> None:
            self.begin(settles=settles)
            function(self, **drawn)

        return rule(**strategies)(run)

    return decorate


class Machine(RuleBasedStateMachine):
    """A store, and the dictionary that says what it holds. Rules are in other files, by what they do.

    Attributes:
        is_clean: everything was indexed, and nothing was written since.
        is_damaged: hands have been in the index, and no reconciliation since.
        cut: what happens to the next operation.
    """

    make_world: ClassVar[Callable[[bool], World]]
    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self.tally.runs += 1
        self.model = Model()
        self.is_clean = self.is_damaged = False
        self.cut: Cut | None = None
        self.receipts: dict[Id, Receipt] = {}

    @initialize(
        has_engine=st.integers(0, 9).map(lambda number: number == 9),
        max_scanned=st.sampled_from([2, 8, 8]),
        puts=st.lists(PUTS, min_size=4, max_size=12),
    )
    def open(self, has_engine: bool, max_scanned: int, puts: list[Any]) -> None:
        """A store with some documents."""
        self.world = type(self).make_world(has_engine)
        self.world.max_scanned = max_scanned
        self.store = self.world.open()
        self.fill(puts)

    def fill(self, puts: list[Any]) -> None:
        """Puts all of them."""
        raise NotImplementedError

    @property
    def now(self) -> int:
        """The time, which stands still within a step."""
        return self.world.clock()

    def begin(self, *, settles: bool) -> None:
        """A step begins."""
        self.tally.steps += 1
        self.world.tick()
        if settles:
            self.settle()

    def settle(self) -> None:
        """Reads what a cut left open."""
        for item in [*self.model.unsure]:
            self.model.decide(item, self.store.get(*item), self.now)

    def at(self, item: Id) -> Id:
        """The item in this world."""
        return (*self.world.root, *item[0]), item[1]

    def under(self, prefix: tuple[str, ...]) -> tuple[str, ...]:
        """The prefix in this world."""
        return (*self.world.root, *prefix)

    def attempt(self, action: Callable[[], T]) -> T | Crash | StoreError:
        """The result of an operation, or how it was cut; after a crash the store is another one, on the same files."""
        cut, self.cut = self.cut, None
        result: Any = None
        with self.world.cutter.armed(cut):
            try:
                result = action()
            except Crash as crash:
                result = crash
            except StoreError as error:
                if not self.world.cutter.has_cut:
                    raise
                self.tally.failures += 1
                result = error
        if self.world.cutter.is_dead:
            self.tally.crashes += 1
            self.reopen()
            return result if isinstance(result, Crash) else Crash()
        return result  # type: ignore[no-any-return]

    def reopen(self) -> None:
        """Another store on what is there."""
        self.world.leave(self.store)
        self.store = self.world.open()
        self.receipts.clear()

    def applied(self, write: Write, receipt: Receipt) -> None:
        """A write has happened, and its receipt says so."""
        assert receipt.version is not None
        existed = write.existed(self.model.documents.get(write.id), receipt.version)
        assert (receipt.namespace, receipt.key) == write.id
        assert receipt.existed == existed
        assert receipt.created == (not existed and write.value is not None)
        self.model.write(write, receipt.version)
        self.receipts[write.id] = receipt

    def grant(self, items: Iterable[Id], *, is_certain: bool) -> None:
        """What `refresh_ttl` has done, or may have."""
        for item in items:
            document = self.model.seen(item, self.now)
            if document is None or document.refreshed(self.now) == document:
                continue
            self.is_clean = False
            if is_certain:
                self.model.put(item, document.refreshed(self.now))
            else:
                self.model.doubt(item, document.refreshed(self.now))

    def drain_and_compare(self) -> bool:
        """Whether everything that was due is done; then it is compared."""
        result = self.attempt(self.store.drain)
        if isinstance(result, (Crash, StoreError)) or self.world.cutter.has_cut:
            return False
        self.settle()
        self.model.indexed(self.now, is_ill=self.world.is_ill, is_damaged=self.is_damaged)
        if self.is_damaged:
            return False
        self.is_clean = True
        self.compare()
        return True

    def compare(self) -> None:
        """Everything is indexed: whatever can be asked says what the model says."""
        self.tally.comparisons += 1
        self.settle()
        assert self.store.status(exact=True).pending == 0
        checks = Checks(self.store, self.model, self.now, is_clean=True)
        for prefix in map(self.under, ((), ("a",), ("a", "b"))):
            checks.listed(prefix, None, 4)
            checks.counted(prefix)
            self.tally.hits += checks.found(prefix, "tea", None)
        checks.found(self.world.root, "black coffee", {"n": {"$lte": 1}})
        checks.ordered(self.world.root, None, "-$updated_at", 4)
        checks.ordered(self.world.root, {"n": {"$lte": 1}}, "n", 3)
        checks.letters(self.world.root)
        self.check_namespaces((), (), None, 3)
        self._check_receipts()

    def check_namespaces(self, prefix: tuple[Any, ...], suffix: tuple[Any, ...], depth: int | None, limit: int) -> None:
        """All that must be listed is listed, and nothing that was never written to."""
        prefix, depth = (*self.world.root, *prefix), depth and depth + len(self.world.root)
        found: list[tuple[str, ...]] = []
        page = self.store.list_namespaces(prefix, suffix, max_depth=depth, limit=limit)
        while True:
            assert len(page.items) <= limit
            found += page.items
            if page.cursor is None:
                break
            page = self.store.list_namespaces(prefix, suffix, max_depth=depth, limit=limit, cursor=page.cursor)
        needed = {*self.model.listed, *(one.id[0] for one in self.model.under((), self.now))}
        expected = namespaces(needed, prefix, suffix, depth)
        allowed = namespaces({*needed, *self.model.perhaps}, prefix, suffix, depth)
        assert found == [one for one in allowed if one in found]
        assert set(expected) <= set(found)

    def _check_receipts(self) -> None:
        for item, receipt in self.receipts.items():
            document = self.model.seen(item, self.now)
            if document is not None and document.version == receipt.version and item not in self.model.dirty:
                dead = SyncStatus.DEAD if item in self.model.dead else SyncStatus.SYNCED
                assert receipt.status() is (SyncStatus.NOT_INDEXED if document.index is False else dead)

    def teardown(self) -> None:
        """Leaves nothing behind."""
        if hasattr(self, "store"):
            if self.is_damaged and self.world.root:  # other runs share the index
                self.world.clock.advance(20)
                self.store.reconcile()
                self.store.drain()
            self.world.leave(self.store)
            self.world.close()
