"""The stubs behind a scheduler: every call is a step, and may be cut before it happens or after its work was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from scylla_store.database.base import Mutation
from scylla_store.database.slot_tables import Page
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import DatabaseUnavailable, EmbedderUnavailable, IndexUnavailable, OutcomeUnknown, StoreError
from scylla_store.identity import ItemId
from scylla_store.index.base import Vector
from scylla_store.intents import IntentKey
from scylla_store.rows import Head
from tests.simulation.scheduler import SECOND, Crash, Scheduler

POISON = "poison"
"""Texts with this word can never be embedded."""

DEADLY = "deadly"
"""Texts with this word end the process that embeds them."""

_WRITES = {"write", "update", "remove", "refresh", "register", "bury", "exhume", "upsert", "delete", "commit",
    "compare_and_set",
}  # fmt: skip
_HARMLESS = ("outbox.remove", "outbox.update")
"""What may come late without that a reconciliation has to repair anything."""

_COUNTS = ("outbox.get", "outbox.update")
"""What counts attempts, and gives them back."""

_NOT_LATE = ("database.bury",)
"""What no reconciliation repairs: the letter of a write that was replaced meanwhile stays until the item is written or somebody
replays or discards it."""


@dataclass(frozen=True)
class Late:
    """A request whose sender gave up, and that takes effect nevertheless.

    `until`: not after that (None: whenever); `acks`: the intents that it acknowledges.
    """

    what: str
    action: Callable[[], Any]
    until: int | None
    acks: frozenset[IntentKey]


@dataclass
class Faults:
    """What goes wrong, and how often.

    Attributes:
        rate: how often a request fails, before it happens or after.
        slow: how often its answer takes time.
        late: any write may take effect after its sender gave up; without it only those may from which nothing can come that
            a reconciliation would have to repair: acks and bookkeeping, and conditional writes as long as their intents wait.
        file_too: filing again may fail; then a worker that gives up is as one that died.
        is_cured: what could not be embedded can be now.
        patience: how long after its intents were filed a conditional write may come, unless `late` (microseconds).
        miscounted: how often an attempt of a document was counted or given back and nobody heard that it was.
        calm: nothing goes wrong any more.
        halves: second halves of logged batches that are on their way: the batch log brings them; half_since: the oldest.
        late_requests: writes that will take effect.
        written: write ids by item and version; several are a tie.
        hides: how often a conditional write whose answer is lost lies in wait; hidden: those that do.
        nodes: how far the clocks of the database's nodes are off (microseconds).
        shadowed: items of which a conditional write was applied to no purpose, behind the later time of what it replaced.
        expected: write ids of the heads that conditional writes were to replace, by their own.
        ends: from when on a write of the item may not be seen, by version: of deletes and of writes with a TTL.
    """

    scheduler: Scheduler
    rate: float = 0.0
    late: bool = False
    file_too: bool = False
    split: float = 0.3
    slow: float = 0.0
    hides: float = 0.0
    nodes: Sequence[int] = (0,)
    is_cured: bool = False
    patience: int = 0
    miscounted: int = 0
    calm: bool = False
    hidden: list[Callable[[], Any]] = field(default_factory=list)
    shadowed: list[str] = field(default_factory=list)
    expected: dict[bytes, bytes | None] = field(default_factory=dict)
    halves: list[Callable[[], Any]] = field(default_factory=list)
    half_since: int = 0
    late_requests: list[Late] = field(default_factory=list)
    sent_at: int | None = None
    written: dict[tuple[ItemId, int], set[bytes]] = field(default_factory=dict)
    ends: dict[ItemId, dict[int, int]] = field(default_factory=dict)

    def request(
        self, what: str, action: Callable[[], Any], *, until: int | None = None, acks: Iterable[IntentKey] = ()
    ) -> Any:
        """Lets others run, then does the action, or fails. `until`, `acks`: as in `Late`."""
        self.scheduler.step(what)
        name = what.partition(".")[2]
        if self.calm or not self.scheduler.chance(self.rate) or (name == "write" and not self.file_too):
            return self._answered(what, action())
        is_write, is_index = name in _WRITES, what.startswith("index")
        is_in_time = self.late or what in _HARMLESS or self.scheduler.now < (until or 0)
        can_be_late = is_write and is_in_time and what not in _NOT_LATE
        kind = self.scheduler.random.choice(("before", "lost", "late") if can_be_late else ("before", "lost"))
        self.scheduler.note(f"  {what} fails: {kind}")
        self.scheduler.happened(f"request fails: {kind}")
        self.miscounted += what in _COUNTS
        if kind == "late":
            action = self._as_sent(action) if what.startswith("outbox") else action
            self.late_requests.append(Late(what, action, None if self.late else until, frozenset(acks)))
        if kind == "lost":
            action()
        if is_index:
            raise IndexUnavailable(f"simulated: {kind}")
        raise (OutcomeUnknown if is_write and kind != "before" else DatabaseUnavailable)(f"simulated: {kind}")

    def time(self) -> int:
        """Of the machine whose request it is: the writes of the outbox have the time at which they were sent."""
        return self.scheduler.now if self.sent_at is None else self.sent_at

    def _as_sent(self, action: Callable[[], Any]) -> Callable[[], Any]:
        sent_at = self.scheduler.now

        def act() -> None:
            self.sent_at = sent_at
            try:
                action()
            finally:
                self.sent_at = None

        return act

    def _answered(self, what: str, answer: Any) -> Any:
        """The answer, which may take time as well."""
        if not self.calm and self.scheduler.chance(self.slow):
            self.scheduler.step(f"{what} answers")
        return answer

    def note(self, mutation: Mutation) -> None:
        """Remembers a write that begins; not the clean-up of one that is known."""
        ids = self.written.setdefault((mutation.id, mutation.version), set())
        if mutation.head[:16] in ids:
            return
        ids.add(mutation.head[:16])
        head = Head.decode(mutation.head, mutation.id)
        end = 0 if head.deleted else head.expires_at
        if end is not None:
            ends = self.ends.setdefault(mutation.id, {})
            ends[mutation.version] = min(end, ends.get(mutation.version, end))

    def flush_old(self) -> None:
        """The batch log does what was begun, at the latest before the margin of `sync` is over."""
        old = self.scheduler.now - self.half_since > 10 * SECOND
        if self.halves and (old or self.scheduler.chance(0.03)):
            self.flush()
        self._happen_by(self.scheduler.now)

    def flush(self) -> None:
        """The batch log: what was begun is done. So is what may not come any later."""
        while self.halves:
            self.halves.pop(0)()
        self._happen_by(None)

    def settle(self) -> None:
        """A conditional write or a serial read: what lies in wait comes to light, or never will."""
        while self.hidden:
            action = self.hidden.pop(0)
            if self.scheduler.chance(0.5):
                action()

    def happen_late(self) -> None:
        """One of the requests whose sender gave up takes effect."""
        self._happen(self.scheduler.random.choice(self.late_requests))

    def acked_late(self) -> set[IntentKey]:
        """Intents that will be acknowledged by nobody who lives."""
        return {key for late in self.late_requests for key in late.acks}

    def _happen_by(self, time: int | None) -> None:
        """What may not come later than that (None: than some time) takes effect."""
        bound = [(late.until, late) for late in self.late_requests if late.until is not None]
        for until, late in bound:
            if time is None or until <= time:
                self._happen(late)

    def _happen(self, late: Late) -> None:
        self.late_requests.remove(late)
        self.scheduler.note(f"  {late.what} takes effect late")
        self.scheduler.happened(f"takes effect late: {late.what}")
        with suppress(StoreError):  # nobody hears of it
            late.action()


class Faulty:
    """Passes every call on as a request."""

    _free = frozenset({"connect", "close", "setup", "clock", "server_clock"})

    def __init__(self, target: Any, name: str, faults: Faults) -> None:
        self._target = target
        self._name = name
        self._faults = faults

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._target, attribute)
        if attribute in self._free:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._faults.request(f"{self._name}.{attribute}", lambda: found(*args, **kwargs))

        return call


class FaultyTables(Faulty):
    """Slot tables. Reading a partition without rows is no step, and small values are none either."""

    _free = frozenset({"state", "set_state", "partitions", "watermark", "stragglers", "stragglers_of"})

    def remove(self, keys: Sequence[IntentKey]) -> None:
        self._faults.request("outbox.remove", lambda: self._target.remove(keys), acks=keys)

    def page(self, slot: int, shard: int, *, after: IntentKey | None, limit: int) -> Page:
        page: Page = self._target.page(slot, shard, after=after, limit=limit)
        if not page.entries and not page.halves:
            return page
        read: Page = self._faults.request(
            "outbox.page", lambda: self._target.page(slot, shard, after=after, limit=limit)
        )
        return read

    def pages(self, partitions: Sequence[tuple[int, int]], limit: int) -> Sequence[Page]:
        return [self.page(slot, shard, after=None, limit=limit) for slot, shard in partitions]


class FaultyEmbedder:
    """Hashes texts; fails for poison, and by chance for all."""

    def __init__(self, faults: Faults, dimensions: int = 8) -> None:
        self._embedder = HashingEmbedder(dimensions)
        self._faults = faults
        self.name = self._embedder.name
        self.dimensions = dimensions
        self.max_batch_items = self._embedder.max_batch_items
        self.max_batch_bytes = self._embedder.max_batch_bytes

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        self._faults.scheduler.step("embedder.embed")
        if not self._faults.calm and self._faults.scheduler.chance(self._faults.rate):
            self._faults.scheduler.happened("embedder fails")
            raise EmbedderUnavailable("simulated")
        if self._faults.is_cured:
            return self._embedder.embed(texts)
        if any(DEADLY in text for text in texts):
            self._faults.scheduler.happened("killed by a document")
            raise Crash
        if any(POISON in text for text in texts):
            raise ValueError("cannot be embedded")
        return self._embedder.embed(texts)

    def close(self) -> None: ...
