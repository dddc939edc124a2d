"""A small world of writers, workers and a drain over in-memory stores: the real code, run by the scheduler."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from scylla_store.database.memory import MemoryDatabase
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import BrokerUnavailable, StoreError
from scylla_store.identity import SLICES, ItemId, item_digest
from scylla_store.index.base import IndexSpecification
from scylla_store.index.memory import MemoryIndex
from scylla_store.intents import IntentKey, Ref
from scylla_store.items import Put
from scylla_store.points import drafts
from scylla_store.rows import Row, decode
from scylla_store.settings.options import ChunkingSettings, Settings, SyncSettings
from scylla_store.wiring import Parts
from tests.simulation.faults import Faults, Faulty
from tests.simulation.scheduler import SECOND, Actor, Scheduler

SETTINGS = Settings(
    sync=SyncSettings(backoff=1.0, backoff_most=5.0, outage_delay=1.0, restarts=2, max_attempts=100),
    chunking=ChunkingSettings(unit="characters", size=12, overlap=0),
)
ITEMS = (ItemId(("sim",), "a"), ItemId(("sim",), "b"))
_ROUNDS = 8
"""Rounds of 10 s until every expiry of a schedule is due: they are not counted as pending before."""

TEXTS = ("one", "two words here and more", "three words here and more and even more of them", "")


@dataclass
class Acknowledged:
    """What a writer was told."""

    item: ItemId
    version: int


@dataclass
class Broker:
    """Loses, duplicates and reorders messages."""

    scheduler: Scheduler
    faults: Faults
    messages: list[list[Ref]] = field(default_factory=list)

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        self.scheduler.step("broker.send")
        if not self.faults.calm and self.scheduler.chance(0.1):
            raise BrokerUnavailable
        if self.faults.calm or not self.scheduler.chance(0.1):
            self.messages.append(list(refs))

    def receive(self) -> list[Ref] | None:
        self.scheduler.step("broker.receive")
        if not self.messages:
            return None
        position = self.scheduler.random.randrange(len(self.messages))
        if not self.faults.calm and self.scheduler.chance(0.1):
            return self.messages[position]
        return self.messages.pop(position)

    def backlog(self) -> int:
        return len(self.messages)

    def close(self) -> None: ...


class Publisher:
    """Publishes at once: the background thread of the real one has tests of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def collect(self, refs: list[Ref]) -> list[str | None]:
        try:
            self._broker.send(refs, "task")
        except BrokerUnavailable:
            return [None for _ in refs]
        return ["task" for _ in refs]


class World:
    """Runs one schedule and judges its end."""

    def __init__(self, seed: int, *, writers: int = 2, workers: int = 2, operations: int = 4, rate: float = 0.03) -> None:
        self.seed = seed
        self.scheduler = Scheduler(seed)
        self.faults = Faults(self.scheduler, rate=rate, late=False)
        self.broker = Broker(self.scheduler, self.faults)
        self.database = MemoryDatabase(clock=lambda: self.scheduler.now)
        self.database.server_clock = lambda: self.scheduler.now
        self.index = MemoryIndex()
        self.acknowledged: list[Acknowledged] = []
        self.held: dict[str, set[IntentKey]] = {}
        self.writing_since: dict[str, int] = {}
        self._shape = (writers, workers, operations)

    def run(self) -> None:
        """One schedule: trouble, calm, judgement."""
        with _seeded(self.seed):
            self._trouble()
            self._calm()
            self.judge()

    def _trouble(self) -> None:
        writers, workers, operations = self._shape
        parts = self.parts("setup", 0)
        self.index.setup(IndexSpecification(parts.embedder.dimensions, parts.embedder.name))
        self.database.setup()
        for number in range(writers):
            self._spawn(f"writer{number}", lambda parts, name: self._write(parts, name, operations))
        for number in range(workers):
            self._spawn(f"worker{number}", lambda parts, name: self._work(parts, name, 3 * operations))
        self._spawn("drain", lambda parts, name: self._drain(parts, 3))
        self.scheduler.before_resume = self._disturb
        self.scheduler.run()

    def parts(self, name: str, offset: int) -> Parts:
        """Collaborators of one process, with a clock of its own."""
        parts = Parts(
            SETTINGS,
            database=Faulty(self.database, "database", self.scheduler, self.faults),
            index=Faulty(self.index, "index", self.scheduler, self.faults),
            embedder=HashingEmbedder(8),
            dispatcher=self.broker,
            clock=lambda: self.scheduler.now + offset,
        )
        parts.embedder = HashingEmbedder(8)  # type: ignore[assignment]
        parts.publisher = Publisher(self.broker)  # type: ignore[assignment]
        return parts

    def _spawn(self, name: str, body: Callable[[Parts, str], None]) -> None:
        offset = self.scheduler.random.choice((0, 0, 0, SECOND, -SECOND, 2 * SECOND, -2 * SECOND))
        parts = self.parts(name, offset)
        self.scheduler.spawn(name, lambda: body(parts, name))

    def _write(self, parts: Parts, name: str, operations: int) -> None:
        choose = self.scheduler.random
        for _ in range(operations):
            item = choose.choice(ITEMS)
            kind = choose.choice(("put", "put", "put", "ttl", "noindex", "delete"))
            self.writing_since[name] = self.scheduler.now
            writer = parts.writer
            if kind == "delete":
                change = writer.check_delete(*item)
            else:
                index = False if kind == "noindex" else None
                ttl = choose.choice((0.5, 20.0)) if kind == "ttl" else None
                change = writer.check_put(Put(*item, {"text": choose.choice(TEXTS)}, index, ttl))
            try:
                receipt = writer.write([change])[0]
            except StoreError as exc:
                self.scheduler.trace.append(f"{name}: {kind} {item.key} failed: {exc}")
                continue
            assert receipt.version is not None
            self.scheduler.trace.append(f"{name}: {kind} {item.key} acknowledged {receipt.version}")
            self.acknowledged.append(Acknowledged(item, receipt.version))
            self._expect(item, receipt.version)
        self.writing_since.pop(name, None)

    def _expect(self, item: ItemId, version: int) -> None:
        """A read after an acknowledged write sees it or a newer one."""
        row = self.row(item)
        assert row is not None, f"acknowledged {version} of {item.key}, and there is no row"
        assert row.version >= version, f"acknowledged {version} of {item.key}, and the row has {row.version}"

    def _work(self, parts: Parts, name: str, rounds: int) -> None:
        for _ in range(rounds):
            refs = self.broker.receive()
            if refs is None:
                continue
            self.held[name] = {ref.intent.key for ref in refs}
            try:
                parts.worker.work(refs)
            except StoreError as exc:
                self.scheduler.trace.append(f"{name}: failed: {exc}")
            self.held[name] = set()

    def _drain(self, parts: Parts, rounds: int) -> None:
        for _ in range(rounds):
            try:
                parts.drain.run()
            except StoreError as exc:
                self.scheduler.trace.append(f"drain: failed: {exc}")
            self.scheduler.step("drain sleeps")

    def _disturb(self, actor: Actor) -> None:
        """Now and then time jumps, or the actor is killed: never one that the promise makes an exception for."""
        if self.scheduler.chance(0.01):
            self.scheduler.now += self.scheduler.random.choice((3, 12, 40)) * SECOND
        if self.scheduler.chance(0.01) and self._may_die(actor.name):
            actor.doomed = True
            self.scheduler.trace.append(f"{actor.name}: killed")
            self.held.pop(actor.name, None)

    def _may_die(self, name: str) -> bool:
        if name in self.writing_since:
            return self.scheduler.now - self.writing_since[name] < SETTINGS.sync.margin * SECOND
        own = self.held.get(name)
        if not own:
            return True
        others: set[IntentKey] = set().union(*(keys for other, keys in self.held.items() if other != name))
        return bool(set(self.database.outbox.get(sorted(own))) - others)

    def _calm(self) -> None:
        """Faults end, time passes, drain and worker run until nothing is pending."""
        self.faults.calm = True
        parts = self.parts("calm", 0)
        for rounds in range(200):
            if rounds >= _ROUNDS and not self.broker.messages and not self.database.outbox.summary(10).pending:
                return
            self.scheduler.now += 10 * SECOND
            parts.drain.run()
            while self.broker.messages:
                parts.worker.work(self.broker.messages.pop())
        raise AssertionError(f"The outbox does not become empty: {self.database.outbox.summary(10)}")

    def row(self, item: ItemId) -> Row | None:
        return decode(self.database.read([item]).get(item))

    def judge(self) -> None:
        """P1 and P2: no acknowledged write lost, and the index equals the documents."""
        recipe = self.parts("judge", 0).recipe
        found: dict[str, dict[str, str]] = {}
        for number in range(SLICES):
            points, _ = self.index.slice(number, after=None, limit=1000)
            for point in points:
                found.setdefault(point.item, {})[point.id] = point.fingerprint
        for item in ITEMS:
            row = self.row(item)
            live = row is not None and row.is_live(self.scheduler.now)
            target = {draft.id: draft.payload["fingerprint"] for draft in drafts(row, recipe)} if row and live else {}
            points_of_item = found.pop(item_digest(item), {})
            assert points_of_item == target, f"{item.key}: index {points_of_item} documents {target}"
            for write in self.acknowledged:
                if write.item == item and row is not None:
                    assert row.version >= write.version, f"{write} is lost, the row has {row.version}"
        assert not found, f"points of unknown items: {found}"
        assert not self.database.letters(after=None, limit=10)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Write ids, intent ids and jitter from the seed, so that a schedule can be replayed exactly."""
    source = random.Random(f"ids of {seed}")
    state = random.getstate()
    random.seed(seed)
    with mock.patch("os.urandom", source.randbytes):
        yield
    random.setstate(state)


def explain(seed: int, **shape: Any) -> str:
    """Runs a schedule again and returns its trace, for a failure's report."""
    world = World(seed, **shape)
    try:
        world.run()
    except AssertionError as exc:
        return "\n".join([*world.scheduler.trace[-200:], f"seed {seed}: {exc}"])
    return f"seed {seed} passes"
