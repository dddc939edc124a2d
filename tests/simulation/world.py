"""A small world of writers, readers, workers and drains over in-memory stores: the real code, run by the scheduler."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

from scylla_store.clock import past_for_all
from scylla_store.conditional import ConditionalWriter
from scylla_store.database.base import Mutation
from scylla_store.database.memory import MemoryDatabase
from scylla_store.drain import Scope
from scylla_store.errors import StoreError
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import IndexSpecification, Point
from scylla_store.index.memory import MemoryIndex
from scylla_store.intents import IntentKey
from scylla_store.items import Item, Put
from scylla_store.letters import DeadLetter
from scylla_store.points import Recipe
from scylla_store.receipts import Receipt
from scylla_store.reconcile import Reconciler
from scylla_store.rows import Cells
from scylla_store.settings.options import ChunkingSettings, ClockSettings, Settings, SyncSettings
from scylla_store.wiring import Parts
from scylla_store.writes import Change
from tests.simulation.broker import Broker, Message, Publisher
from tests.simulation.choices import Choices, Script
from tests.simulation.contending import BRIEF, Contest
from tests.simulation.database import FaultyDatabase
from tests.simulation.faults import DEADLY, POISON, Faults, Faulty, FaultyEmbedder
from tests.simulation.judge import Acknowledged, Judge, Watch, is_bad
from tests.simulation.operating import Operators
from tests.simulation.scheduler import SECOND, Actor, Crash, Scheduler
from tests.simulation.shape import SKEW, Shape

SETTINGS = Settings(
    sync=SyncSettings(
        margin=30.0, time_limit=60.0, backoff=1.0, backoff_most=5.0, outage_delay=1.0, restarts=2, max_attempts=100
    ),
    clock=ClockSettings(max_clock_skew=SKEW / SECOND),
    chunking=ChunkingSettings(unit="characters", size=12, overlap=0),
)
TEXTS = ("one", "two words here", "three words here and more", "one and then three words here and more", "")
LONGEST_TTL = 20.0
DIMENSIONS = 8
_DAY = 24 * 3600 * SECOND


class World:
    """Runs one schedule and judges its end.

    Args:
        seed: decides everything.
        everything: also what only a reconciliation repairs: a worker dies whose intents another one holds, requests take
            effect after their sender gave up, filing again fails, an older index comes back. There is a reconciliation
            at the end.
        script: decides instead of the seed, but for ids and jitter.
        kind: of world (`Shape.drawn`), any when it is None.
    """

    def __init__(
        self,
        seed: int,
        *,
        everything: bool = False,
        is_traced: bool = False,
        script: Script | None = None,
        kind: str | None = None,
    ) -> None:
        self.seed = seed
        self.everything = everything
        self.scheduler = Scheduler(Choices(seed, script), is_traced=is_traced)
        self.shape = shape = Shape.drawn(self.scheduler.random, kind)
        self.items = tuple(ItemId(("sim",), key) for key in ("a", "b")[: shape.items])
        attempts = 3 if shape.is_poisonous else 100
        self.settings = replace(SETTINGS, sync=replace(SETTINGS.sync, max_attempts=attempts, restarts=shape.restarts))
        self.faults = Faults(
            self.scheduler,
            rate=shape.fault_rate,
            late=everything,
            file_too=everything,
            split=shape.split,
            slow=shape.slow,
            hides=shape.hides,
            nodes=shape.nodes,
            patience=int(SETTINGS.sync.margin * SECOND) - SKEW,
        )
        self.scheduler.ticks = shape.ticks
        self.scheduler.sleepiness = shape.sleepiness
        self.longest_ttl = 0.0
        self.broker = Broker(self.scheduler, self.faults, int(SETTINGS.sync.time_limit * SECOND))
        self.database = MemoryDatabase(clock=self.faults.time)
        self.index = MemoryIndex()
        self.offsets: dict[str, int] = {}
        self.acknowledged: list[Acknowledged] = []
        self.newest: dict[ItemId, int] = {}
        self.held: dict[str, Message] = {}
        self.writing_since: dict[str, int] = {}
        recipe = Recipe(FaultyEmbedder(self.faults, DIMENSIONS).name, SETTINGS.chunking)
        self.judge = Judge(self.items, self.database, self.index, recipe, self.faults.written, DIMENSIONS)
        self.watch = Watch(
            self.judge, self.index, lambda: self.scheduler.now, is_off=everything or self.shape.is_poisonous
        )
        self.contest = Contest(self.scheduler, self.faults, self.items)
        self.snapshot: dict[ItemId, Cells] = {}
        self.index_copy: list[Point] | None = None
        self._is_index_older = False

    def run(self) -> None:
        """One schedule: trouble, calm, judgement."""
        with _seeded(self.seed, lambda: self.scheduler.now / SECOND):
            self._trouble()
            self._calm()
            self._check()
            letters = {letter.id: letter for letter in self.database.letters(after=None, limit=10)}
            if letters:
                self._try_letters_again(letters)
            assert not self.watch.harm, self.watch.harm
            assert not self.faults.shadowed, f"conditional writes of {self.faults.shadowed} were hidden behind what they replaced"
            assert self.everything or not self.faults.hidden, "a conditional write still lies in wait"
            if self.shape.counts:
                self.contest.check_count(self.judge.row(self.items[0]))
            self._check_reports()
            if self.shape.lasts:
                self._much_later()
            if self.everything and self.scheduler.chance(0.5):
                self._restore()

    def _check(self) -> None:
        innocents = self.everything or self.shape.kill_rate > 0 or self.faults.miscounted > 1
        self.judge.check(self.acknowledged, self.scheduler.now, letters=self.shape.is_poisonous, innocents=innocents)

    def _trouble(self) -> None:
        self.index.setup(IndexSpecification(DIMENSIONS, self.parts("setup").embedder.name))
        self.database.setup()
        operations = self.shape.operations
        for number in range(self.shape.writers):
            self._spawn(f"writer{number}", lambda parts, name: self._write(parts, name, operations))
        for number in range(self.shape.contenders):
            self._spawn(f"contender{number}", lambda parts, name: self._contend(parts, name, operations))
        for number in range(self.shape.workers):
            self._spawn(f"worker{number}", lambda parts, name: self._work(parts, name, 4 * operations))
        for number in range(self.shape.readers):
            self._spawn(f"reader{number}", lambda parts, name: self._read(parts, name, 2 + operations))
        for number in range(self.shape.drains):
            self._spawn(f"drain{number}", lambda parts, name: self._drain(parts, 3 + operations))
        for number in range(self.shape.reconcilers):
            self._spawn(f"reconciler{number}", lambda parts, name: self._reconcile(parts, 1 + operations // 2))
        self.scheduler.before_resume = self._disturb
        self.scheduler.run()

    def _try_letters_again(self, letters: dict[str, DeadLetter]) -> None:
        """The second act: operators at the letters, sometimes after a cure, while there is trouble again, and writers too."""
        chance = self.scheduler.chance
        self.scheduler.random.begin_act()
        self.faults.calm = False
        self.held.clear()
        self.faults.is_cured = self.judge.is_cured = chance(0.6)
        operators = Operators(self.scheduler, self.database, self.settings.sync, letters)
        for number in range(1 + chance(0.3)):
            self._spawn(f"operator{number}", lambda parts, _: operators.act(parts, 2))
        for number in range(2):
            self._spawn(f"worker{number}", lambda parts, name: self._work(parts, name, 8))
        self._spawn("drain0", lambda parts, name: self._drain(parts, 5))
        if chance(0.3):
            self._spawn("writer0", lambda parts, name: self._write(parts, name, 1))
        self.scheduler.run()
        self._calm()
        self._check()
        for letter in letters.values():
            row = self.judge.row(letter.item)
            if row is not None and row.head.write_id == letter.write_id and row.is_live(self.scheduler.now):
                is_sure = not self.everything and not self.shape.kill_rate
                can_be_embedded = self.faults.is_cured or not is_bad(row)
                operators.check(letter, can_be_embedded=can_be_embedded, is_sure=is_sure)

    def parts(self, name: str) -> Parts:
        """Collaborators of one process, with a clock of its own."""
        self.offsets.setdefault(name, 0)

        def clock() -> int:
            return self.scheduler.now + self.offsets[name]

        parts = Parts(
            self.settings,
            database=FaultyDatabase(self.database, self.faults, clock),  # type: ignore[arg-type]
            index=Faulty(self.watch, "index", self.faults),  # type: ignore[arg-type]
            dispatcher=self.broker,
            clock=clock,
        )
        parts.embedder = FaultyEmbedder(self.faults, DIMENSIONS)  # type: ignore[assignment]
        parts.publisher = Publisher(self.broker, self.shape.unsent)  # type: ignore[assignment]
        parts.conditional = ConditionalWriter(  # type: ignore[assignment]
            parts.database, parts.publisher, parts.registry, parts.guard, parts.clock, self.settings,
            patience=parts.writer.patience, sleep=self._sleep,
        )
        parts.reconciler = Reconciler(  # type: ignore[assignment]
            parts.database, parts.index, parts.recipe, parts.registry, self.settings, parts.clock, parts.guard.check,
            sleep=lambda _: self.scheduler.step("sleeps"), monotonic=lambda: clock() / SECOND, reads_ahead=False,
        )  # fmt: skip
        return parts

    def _spawn(self, name: str, body: Callable[[Parts, str], None]) -> None:
        parts = self.parts(name)
        self._set_clock(name)
        self.scheduler.spawn(name, lambda: body(parts, name))

    def _set_clock(self, name: str) -> None:
        self.scheduler.happened("clock set")
        self.offsets[name] = self.scheduler.random.choice(self.shape.clocks)

    # -- actors

    def _write(self, parts: Parts, name: str, operations: int) -> None:
        for _ in range(operations):
            self.writing_since[name] = self.scheduler.now
            if self.scheduler.chance(0.1):
                self._refresh(parts)
                continue
            changes = self._changes(parts)
            before = {write.receipt.write_id for write in self.acknowledged}
            try:
                receipts = parts.writer.write([change for change, _, _ in changes])
            except StoreError as exc:
                self.scheduler.note(f"  write failed: {exc}")
                continue
            for (change, kind, value), receipt in zip(changes, receipts, strict=True):
                self.scheduler.note(f"  {kind} {change.id.key} acknowledged {receipt.version}")
                receipt.database = self.database
                self.acknowledged.append(Acknowledged(change.id, receipt, value, change.ttl))
                self._expect(change.id, receipt, before)
        self.writing_since.pop(name, None)

    def _contend(self, parts: Parts, name: str, operations: int) -> None:
        """Conditional writes; see `contending.py`."""
        if self.shape.counts:
            self.contest.begin(parts)
        else:
            self.longest_ttl = max(self.longest_ttl, BRIEF)
        for _ in range(operations):
            self.writing_since[name] = self.scheduler.now
            before = {write.receipt.write_id for write in self.acknowledged}
            written = self.contest.count(parts, name) if self.shape.counts else self.contest.act(parts)
            if written is not None:
                self._acknowledge(written, before)
        self.writing_since.pop(name, None)

    def _acknowledge(self, written: Acknowledged, before: set[bytes]) -> None:
        """Of a conditional write."""
        self.scheduler.note(f"  {written.item.key} acknowledged {written.receipt.version}")
        written.receipt.database = self.database
        self.acknowledged.append(written)
        self._expect(written.item, written.receipt, before)

    def _sleep(self, seconds: float) -> None:
        """Others go on meanwhile; then so much time has passed at least."""
        until = self.scheduler.now + round(seconds * SECOND)
        self.scheduler.step("sleeps")
        self.scheduler.now = max(self.scheduler.now, until)

    def _changes(self, parts: Parts) -> list[tuple[Change, str, dict[str, Any] | None]]:
        """A write of one item, or of all at once."""
        choose = self.scheduler.random
        items = self.items if choose.chance(0.4) else (choose.choice(self.items),)
        return [self._change(parts, item) for item in items]

    def _change(self, parts: Parts, item: ItemId) -> tuple[Change, str, dict[str, Any] | None]:
        choose = self.scheduler.random
        kind = choose.choice(self.shape.kinds)
        if kind == "delete":
            return parts.writer.check_delete(*item), kind, None
        texts = (POISON, DEADLY) if self.shape.is_poisonous and choose.chance(0.3) else TEXTS
        text = choose.choice(texts)
        ttl = choose.choice((0.5, 4.0, LONGEST_TTL)) if kind == "ttl" else None
        self.longest_ttl = max(self.longest_ttl, ttl or 0.0)
        value = {"text": text}
        return parts.writer.check_put(Put(*item, value, False if kind == "noindex" else None, ttl)), kind, value

    def _refresh(self, parts: Parts) -> None:
        item = self.scheduler.random.choice(self.items)
        before = self.newest.get(item, 0)
        try:
            found = parts.reader.get(*item, refresh_ttl=True)
        except StoreError as exc:
            self.scheduler.note(f"  refresh failed: {exc}")
            return
        assert found is None or found.version >= before, f"read {found} after {before} was acknowledged"

    def _expect(self, item: ItemId, receipt: Receipt, before: set[bytes]) -> None:
        """A read after an acknowledged write sees it or a newer one, and none that was acknowledged before it began."""
        row, version = self.judge.row(item), receipt.version or 0
        assert row is not None, f"acknowledged {version} of {item.key}, and there is no row"
        assert row.version >= version, f"acknowledged {version} of {item.key}, and the row has {row.version}"
        assert row.head.write_id not in before, f"acknowledged {version} of {item.key}, behind an earlier write"
        self.newest[item] = max(version, self.newest.get(item, 0))

    def _read(self, parts: Parts, name: str, rounds: int) -> None:
        """Whoever reads sees what anybody was told to be stored, or something newer."""
        for _ in range(rounds):
            newest = dict(self.newest)
            try:
                found = self._found(parts)
            except StoreError as exc:
                self.scheduler.note(f"  read failed: {exc}")
                continue
            now = self.scheduler.now + self.offsets[name]
            for item, version in newest.items():
                seen = found.get(item)
                if seen is not None:
                    assert seen.version >= version, (
                        f"read {seen.version} of {item.key} after {version} was acknowledged"
                    )
                    continue
                ends = self.faults.ends.get(item, {})
                is_gone = any(later >= version and end <= now for later, end in ends.items())
                assert is_gone, f"read nothing of {item.key} after {version} was acknowledged"

    def _found(self, parts: Parts) -> Mapping[ItemId, Item | None]:
        """All items, read in one of the three ways."""
        way = self.scheduler.random.choice(("get", "get_many", "list"))
        if way == "get":
            return {item: parts.reader.get(*item) for item in self.items}
        if way == "get_many":
            return dict(zip(self.items, parts.reader.get_many(self.items), strict=True))
        return {ItemId(item.namespace, item.key): item for item in parts.reader.page(("sim",)).items}

    def _work(self, parts: Parts, name: str, rounds: int) -> None:
        assert self.scheduler.current is not None
        self.scheduler.current.is_blocked = lambda: (
            name not in self.held and not self.broker.messages and not self._is_over()
        )
        for _ in range(3 * rounds):
            message = self.broker.receive()
            if message is None:
                if self._is_over():
                    return
                continue
            self.held[name] = message
            try:
                self._handle(parts, message)
            except Crash:
                self._drop(name)
                raise
            del self.held[name]
            rounds -= 1
            if not rounds:
                return

    def _is_idle(self) -> bool:
        """Whether only drains are left."""
        others = [actor for actor in self.scheduler.actors if not actor.name.startswith("drain")]
        return all(actor.finished for actor in others)

    def _is_over(self) -> bool:
        """Whether nobody is left who sends anything."""
        senders = [actor for actor in self.scheduler.actors if not actor.name.startswith("worker")]
        return all(actor.finished for actor in senders) and not self.broker.messages

    def _handle(self, parts: Parts, message: Message) -> None:
        for ref in message.refs:
            self.scheduler.note(
                f"  is given {ref.intent.key.intent.hex()[:6]} {ref.intent.kind.value} of {ref.intent.item.key}"
            )
        report = parts.worker.work(message.refs, redelivered=message.redelivered, dispatcher=self.broker)
        self.scheduler.note(f"  acked {report.acked} waiting {report.waiting} dead {report.dead} error {report.error}")
        if report.retry and self.scheduler.chance(0.3):
            self.broker.messages.append(replace(message, refs=report.retry, redelivered=False))

    def _drain(self, parts: Parts, rounds: int) -> None:
        for _ in range(rounds):
            try:
                parts.drain.run(self.scheduler.random.choice((Scope.DUE, Scope.NEW, Scope.ALL)))
            except StoreError as exc:
                self.scheduler.note(f"  drain failed: {exc}")
            self.scheduler.step("sleeps")
            if self._is_idle():
                return
            self.scheduler.now += self.scheduler.random.choice((0, 0, SECOND, 5 * SECOND))

    def _reconcile(self, parts: Parts, rounds: int) -> None:
        """Whole rounds and pieces, beside everybody else; a killed one is taken over by the next."""
        for _ in range(rounds):
            try:
                if self.scheduler.chance(0.5):
                    parts.reconciler.go_on(0.0)
                else:
                    parts.reconciler.run(full=self.scheduler.chance(0.3), patience=0.0)
            except StoreError as exc:
                self.scheduler.note(f"  reconciliation failed: {exc}")
            self.scheduler.step("sleeps")

    # -- what happens to them

    def _disturb(self, actor: Actor) -> None:
        """Now and then time jumps, a clock steps, somebody is killed: never one that the promise makes an exception for."""
        chance, choose = self.scheduler.chance, self.scheduler.random
        if chance(0.01):
            self.snapshot = self.database.read(self.items)
        if self.everything and chance(0.01):
            self._keep_or_restore_index()
        self.faults.flush_old()
        if self.faults.late_requests and chance(0.05):
            self.faults.happen_late()
        if chance(self.shape.jump_rate):
            self.faults.flush()
            self.scheduler.happened("time jumps")
            self.scheduler.now += choose.choice((1, 3, 12, 40, 70)) * SECOND
        if chance(0.01):
            self._set_clock(actor.name)
        if chance(self.shape.kill_rate) and self._may_die(actor.name):
            self._kill(actor)

    def _keep_or_restore_index(self) -> None:
        """Somebody copies the index, or brings the copy back, under everybody's hands."""
        found = self.index.points_of([item_digest(item) for item in self.items])
        points = [point for seen in found.values() for point in seen]
        marks = [(point.id, point.fingerprint) for point in points]
        if self.index_copy is None or self.scheduler.chance(0.5):
            vectors = self.index.vectors(marks)
            self.index_copy = [Point(point.id, vectors.get(point.id), point.payload) for point in points]
            return
        self._is_index_older = True
        self.scheduler.note("  the index is an older one")
        self.scheduler.happened("index restored")
        self.index.delete(marks)
        self.index.upsert(self.index_copy, at_most=self.scheduler.now + _DAY)

    def _kill(self, actor: Actor) -> None:
        actor.doomed = True
        self.scheduler.note("  is killed")
        self.scheduler.happened(f"{actor.name.rstrip('0123456789')} killed")
        self._drop(actor.name)

    def _drop(self, name: str) -> None:
        """What a dead worker had in its hands comes again, or not."""
        message = self.held.pop(name, None)
        if message is not None and self.scheduler.chance(0.5):
            self.broker.give_back(message)

    def _may_die(self, name: str) -> bool:
        if self.everything:
            return True
        if name in self.writing_since:
            # A slow writer that dies between its row and filing its intent again.
            limit = SETTINGS.sync.margin * SECOND - past_for_all(0, SKEW)
            return self.scheduler.now - self.writing_since[name] < limit
        message = self.held.get(name)
        return message is None or all(self._is_alone(name, item) for item in {ref.intent.item for ref in message.refs})

    def _is_alone(self, name: str, item: ItemId) -> bool:
        """Whether an intent of the item is in the outbox and in nobody else's hands."""
        own = {ref.intent.key for ref in self.held[name].refs if ref.intent.item == item}
        others: set[IntentKey] = {
            ref.intent.key for other, message in self.held.items() if other != name for ref in message.refs
        }
        return bool(set(self.database.tables.get(sorted(own))) - others - self.faults.acked_late())

    # -- afterwards

    def _calm(self) -> None:
        """Faults end, time passes, drain and worker run until nothing is pending. Their clocks still differ."""
        self.scheduler.random.begin_calm()
        self.faults.flush()
        self.faults.calm = True
        while self.faults.late_requests:
            self.faults.happen_late()
        self._begin_calm()
        if self.everything:
            self._empty()
            self._repair()
        self._empty()

    def _begin_calm(self) -> None:
        self._calm_drain, self._calm_worker = self.parts("calm drain"), self.parts("calm worker")
        self._set_clock("calm drain")
        self._set_clock("calm worker")

    def _repair(self) -> None:
        """One reconciliation, when whoever was killed in one has lost its lease and every change is old enough.

        After an index came back that is older there is a `setup` first (docs/runbooks.md): it goes on with nothing then that
        was compared before.
        """
        self.scheduler.now += 60 * SECOND
        if self._is_index_older:
            self._calm_worker.rebuild.set_up()
        report = self._calm_worker.reconciler.run(full=self.scheduler.chance(0.5), patience=0.0)
        self.scheduler.note(f"reconciliation: {report.kinds()}, {report.in_flight} in flight")

    def _check_reports(self) -> None:
        """What equals the documents is reported as equal."""
        self.scheduler.now += 60 * SECOND
        report = self._calm_worker.reconciler.run(full=True, dry_run=True)
        assert not report.drift, f"drift is reported where there is none: {report.kinds()}"

    def _empty(self) -> None:
        expired = self.scheduler.now
        if self.longest_ttl:
            expired += past_for_all(int(self.longest_ttl * SECOND), 2 * SKEW) + 2 * SECOND
        for _ in range(600 if self.shape.is_poisonous else 200):
            if self.scheduler.now > expired and not self.broker.messages and not self._is_anything_due():
                return
            self._pass_time(3 * SECOND)
        raise AssertionError("The outbox does not become empty")

    def _is_anything_due(self) -> bool:
        """Whether a row of the outbox waits; those behind the watermark without a note wait for the slow pass."""
        tables = self.database.tables
        noted = {straggler.slot for straggler in tables.stragglers()}
        slots = {slot for slot, _ in tables.partitions(None, 1000)[0]}
        return any(slot >= (tables.watermark() or 0) or slot in noted for slot in slots)

    def _pass_time(self, microseconds: int) -> None:
        self.scheduler.now += microseconds
        self._calm_drain.drain.run()
        while (message := self.broker.receive()) is not None:
            self.held["calm worker"] = message
            try:
                self._handle(self._calm_worker, message)
            except Crash:
                self._drop("calm worker")
            self.held.pop("calm worker", None)

    def _much_later(self) -> None:
        """The slow pass has found what a paused writer filed too late; of what was deleted or has expired nothing is left."""
        gone = [item for item in self.items if (row := self.judge.row(item)) is not None and row.head.deleted]
        for _ in range(8):
            self._pass_time(1000 * SECOND)
        assert not self.database.tables.partitions(None, 1)[0], "rows of the outbox are never found"
        self.judge.check_receipts(self.acknowledged)
        for item in gone:
            assert self.database.read([item]) == {}, f"something of {item.key} stayed behind"

    def _restore(self) -> None:
        """The database comes back from a backup, older than the index; a reconciliation makes them equal."""
        rows = {item: cells for item, cells in self.snapshot.items() if cells.head is not None}
        self.scheduler.note(f"restored: { ({item.key: cells.version for item, cells in rows.items()}) }")
        self.database = MemoryDatabase(clock=self.faults.time)
        self.database.setup()
        for item, cells in rows.items():
            self.database.write([Mutation(item, cells.version, cells.head or b"", cells.body)])
        self.judge = self.judge.over(self.database)
        self._begin_calm()
        self._repair()
        self._empty()
        self.judge.check((), self.scheduler.now, letters=self.shape.is_poisonous)


@contextmanager
def _seeded(seed: int, monotonic: Callable[[], float]) -> Iterator[None]:
    """Write ids, intent ids and jitter from the seed, so that a schedule can be replayed exactly.

    Slots have one shard here, and points two slices: they are alike, and reading empty ones is most of the work.
    """
    source = random.Random(f"ids of {seed}")
    state = random.getstate()
    random.seed(seed)
    try:
        with contextlib.ExitStack() as patches:
            patches.enter_context(mock.patch("os.urandom", source.randbytes))
            patches.enter_context(mock.patch("scylla_store.skew.time", SimpleNamespace(monotonic=monotonic)))
            for module in ("intents", "writes", "database.walk", "reconcile.repairs"):
                patches.enter_context(mock.patch(f"scylla_store.{module}.SHARDS", 1))
            patches.enter_context(mock.patch("scylla_store.database.walk._MAX_SLOTS", 60))
            for module in ("points", "reconcile.balance"):
                patches.enter_context(
                    mock.patch(f"scylla_store.{module}.item_slice", lambda digest: int(digest[0], 16) % 2)
                )
            for module in ("steps", "balance"):
                patches.enter_context(mock.patch(f"scylla_store.reconcile.{module}.SLICES", 2))
            yield
    finally:
        random.setstate(state)
