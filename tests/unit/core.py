"""The core over the in-memory stubs, for tests of its modules: one clock to set, and hooks between any two requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scylla_store.clock import SECOND
from scylla_store.database.memory import MemoryDatabase
from scylla_store.embedders import HashingEmbedder
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import IndexSpecification, SeenPoint
from scylla_store.index.memory import MemoryIndex
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.items import Put
from scylla_store.jobs import Outcome
from scylla_store.receipts import Receipt
from scylla_store.rows import Row, decode
from scylla_store.settings.options import ChunkingSettings, Settings, SyncSettings
from scylla_store.testing import SettableClock
from scylla_store.wiring import Parts
from scylla_store.worker import WorkReport

ITEM = ItemId(("docs",), "k")
OTHER = ItemId(("docs",), "other")
START = 1_800_000_000 * SECOND
SETTINGS = Settings(
    sync=SyncSettings(max_attempts=3, restarts=2), chunking=ChunkingSettings(unit="characters", size=12, overlap=0)
)


class Hooked:
    """Passes every call on; a hook runs once, before or after the next call of its name, or gives its answer."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.before: dict[str, Callable[[], Any]] = {}
        self.after: dict[str, Callable[[], Any]] = {}
        self.answers: dict[str, Callable[[], Any]] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found) or name in {"writing", "connect", "close"}:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            self.before.pop(name, lambda: None)()
            result = found(*args, **kwargs)
            self.after.pop(name, lambda: None)()
            return self.answers.pop(name, lambda: result)()

        return call


class HookedDatabase(Hooked):
    """Its outbox has hooks too; `commit` is a call of its own."""

    def __init__(self, target: MemoryDatabase) -> None:
        super().__init__(target)
        self.outbox = Hooked(target.outbox)

    @contextmanager
    def writing(self, ids: Sequence[ItemId]) -> Iterator[Any]:
        with self._target.writing(ids) as writing:
            hooked = Hooked(writing)
            hooked.before, hooked.after, hooked.answers = self.before, self.after, self.answers
            yield hooked


class Held:
    """A dispatcher that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[list[Ref]] = []
        self.waiting = 0
        self.on_send: Callable[[Sequence[Ref]], None] = lambda refs: None

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        self.on_send(refs)
        self.sent.append(list(refs))

    def backlog(self) -> int:
        return self.waiting

    def close(self) -> None: ...


class _NoPublisher:
    def collect(self, refs: list[Ref]) -> list[None]:
        return [None for _ in refs]

    def close(self) -> None: ...


class Core:
    """Collaborators of one process. `other()` is a second process over the same stores, without hooks."""

    def __init__(
        self, *, embedder: Any = None, settings: Settings = SETTINGS, clock: SettableClock | None = None
    ) -> None:
        self.clock = clock or SettableClock(START)
        self.database = MemoryDatabase(clock=self.clock)
        self.index = MemoryIndex()
        self.db, self.ix = HookedDatabase(self.database), Hooked(self.index)
        self.embedder = embedder or HashingEmbedder(8)
        self.dispatcher = Held()
        self.settings = settings
        self.database.setup()
        self.index.setup(IndexSpecification(self.embedder.dimensions, self.embedder.name))
        self.parts = self._parts(self.db, self.ix, self.embedder, self.clock)
        self.elsewhere = self._parts(self.database, self.index, HashingEmbedder(8), self.clock)

    def other(self, clock: SettableClock, embedder: Any = None) -> Parts:
        """A process with another clock, and perhaps another embedder."""
        return self._parts(self.database, self.index, embedder or HashingEmbedder(8), clock)

    def _parts(self, database: Any, index: Any, embedder: Any, clock: SettableClock) -> Parts:
        parts = Parts(
            self.settings, database=database, index=index, embedder=embedder, dispatcher=self.dispatcher, clock=clock
        )
        parts.publisher = _NoPublisher()  # type: ignore[assignment]
        return parts

    def put(
        self, text: str = "some text", item: ItemId = ITEM, *, parts: Parts | None = None, **options: Any
    ) -> Receipt:
        """Writes a document."""
        writer = (parts or self.elsewhere).writer
        return writer.write([writer.check_put(Put(*item, {"text": text}, **options))])[0]

    def delete(self, item: ItemId = ITEM) -> Receipt:
        """Deletes it."""
        writer = self.elsewhere.writer
        return writer.write([writer.check_delete(*item)])[0]

    def ref(self, receipt: Receipt, **changes: Any) -> Ref:
        """The ref of a write."""
        return Ref(self.database.outbox.get([receipt.intent])[receipt.intent].intent, **changes)

    def refs(self, kind: Kind | None = None) -> list[Ref]:
        """Refs of all intents in the outbox, or of one kind."""
        found: list[Ref] = []
        for slot, shard in self.database.tables.partitions(None, 10_000)[0]:
            entries = self.database.tables.page(slot, shard, after=None, limit=10_000).entries
            found += [Ref(entry.intent) for entry in entries if kind in (None, entry.intent.kind)]
        return sorted(found, key=lambda ref: ref.intent.key)

    def repair(self, item: ItemId = ITEM, kind: Kind = Kind.REPAIR) -> Ref:
        """An intent that no write filed: of repair, or of another kind."""
        now = self.clock()
        intent = new_intent(item, bytes(16), 0, kind, now=now, due=now)
        self.database.outbox.file([intent])
        return Ref(intent)

    def sync(self, *refs: Ref, parts: Parts | None = None, dead: bytes | None = None) -> Outcome:
        """One run of the protocol."""
        deadline = self.clock() + 60 * SECOND
        return (parts or self.parts).sync.run(refs, deadline=deadline, dead=dead)

    def work(self, *refs: Ref, **options: Any) -> WorkReport:
        """One task."""
        return self.parts.worker.work(refs, **options)

    def points(self, item: ItemId = ITEM) -> list[SeenPoint]:
        """Points of the item by ordinal."""
        digest = item_digest(item)
        found = self.index.points_of([digest]).get(digest, [])
        return sorted(found, key=lambda point: int(point.payload.get("ordinal", -1)))

    def row(self, item: ItemId = ITEM) -> Row | None:
        """The row."""
        return decode(self.database.read([item]).get(item))

    def versions(self, item: ItemId = ITEM) -> list[int]:
        """Versions of its points."""
        return [point.version for point in self.points(item)]


def raises(error: BaseException) -> None:
    """Raises the error; for hooks."""
    raise error
