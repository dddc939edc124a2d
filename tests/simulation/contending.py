"""Conditional writers, and what must hold among them: of two who replace the same state one wins, and every increment counts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scylla_store.errors import Contended, OutcomeUnknown, StoreError
from scylla_store.identity import ItemId
from scylla_store.items import Put
from scylla_store.outcomes import Outcome, if_absent, if_present, if_version
from scylla_store.receipts import Receipt
from scylla_store.rows import Row
from scylla_store.updates import KEEP
from scylla_store.wiring import Parts
from scylla_store.writes import Change
from tests.simulation.faults import Faults
from tests.simulation.judge import Acknowledged
from tests.simulation.scheduler import Scheduler

TEXTS = ("one", "two words here", "three words here and more", "")
_DEEDS = ("create", "replace", "replace", "update", "any", "delete", "remove", "brief")
BRIEF = 4.0
"""Seconds that a document lives which has a TTL."""

_QUESTIONS = 6
"""How often somebody asks what became of a write."""


@dataclass
class Contest:
    """All conditional writers of one world.

    Attributes:
        applied: increments that were acknowledged, or found when their answers were lost, by writer.
        unknown: those of which their writers could not find out any more.
        winners: who replaced which state, by item and the write id of the state.
    """

    scheduler: Scheduler
    faults: Faults
    items: tuple[ItemId, ...]
    applied: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    winners: dict[tuple[ItemId, bytes | None], bytes] = field(default_factory=dict)

    # -- all kinds of writes, each on its own

    def act(self, parts: Parts) -> Acknowledged | None:
        """One conditional write of any kind; returns it when it was applied."""
        choose = self.scheduler.random
        item, deed, text = choose.choice(self.items), choose.choice(_DEEDS), choose.choice(TEXTS)
        ttl = BRIEF if deed == "brief" else None
        value: dict[str, Any] | None = None if deed in ("delete", "remove") else {"text": text}
        try:
            outcome = self._tried(parts, item, deed, value, ttl)
        except StoreError as exc:
            self._say(deed, exc)
            return None
        return None if outcome is None else self._won(item, outcome.receipt, value, ttl)

    def _tried(
        self, parts: Parts, item: ItemId, deed: str, value: dict[str, Any] | None, ttl: float | None
    ) -> Outcome | None:
        change = Change(item, None) if value is None else parts.writer.check_put(Put(*item, value, None, ttl))
        if deed == "update" and value is not None:
            return parts.updater.update(*item, lambda _: value, attempts=3, index=None, ttl=None)
        if deed in ("replace", "remove"):
            found = parts.reader.get(*item)
            return None if found is None else parts.conditional.write(change, if_version(found.version))
        return parts.conditional.write(change, if_absent if deed in ("create", "brief") else if_present)

    def _won(
        self, item: ItemId, receipt: Receipt | None, value: dict[str, Any] | None, ttl: float | None = None
    ) -> Acknowledged | None:
        if receipt is None:
            return None
        replaced = self.faults.expected[receipt.write_id]
        other = self.winners.setdefault((item, replaced), receipt.write_id)
        assert other == receipt.write_id, f"{item.key}: two writers replaced the same state"
        return Acknowledged(item, receipt, value, ttl)

    # -- counting: nothing but increments

    def begin(self, parts: Parts) -> None:
        """The counter is there, whoever comes first."""
        value = {"text": TEXTS[0], "n": 0, "by": {}}
        self._settled(
            lambda: parts.conditional.write(parts.writer.check_put(Put(*self.items[0], value)), if_absent), "begin"
        )

    def count(self, parts: Parts, name: str) -> Acknowledged | None:
        """One increment; when its answer is lost the writer asks what became of it, by a write that changes nothing."""
        written: list[dict[str, Any]] = []

        def change(value: dict[str, Any]) -> dict[str, Any]:
            n = value["n"] + 1
            by = {**value["by"], name: value["by"].get(name, 0) + 1}
            written.append({"text": TEXTS[n % len(TEXTS)], "n": n, "by": by})
            return written[-1]

        self.unknown[name] += 1  # until it is known, also when its writer is killed
        item = self.items[0]
        try:
            outcome = parts.updater.update(*item, change, attempts=10, index=KEEP, ttl=KEEP)
        except OutcomeUnknown as exc:
            self._say("count", exc)
            self._resolve(parts, name)
            return None
        except StoreError as exc:
            self._say("count", exc)
            self.unknown[name] -= 1
            return None
        self.unknown[name] -= 1
        self.applied[name] += bool(outcome)
        return self._won(item, outcome.receipt, written[-1] if written else None)

    def _resolve(self, parts: Parts, name: str) -> None:
        outcome = self._settled(
            lambda: parts.updater.update(*self.items[0], {}, attempts=10, index=KEEP, ttl=KEEP), "resolve"
        )
        if outcome is None or outcome.current is None:
            return
        counted = outcome.current.value["by"].get(name, 0)
        assert counted - self.applied[name] in (0, 1), f"{name} counted {counted} times, {self.applied[name]} are known"
        self.applied[name], self.unknown[name] = counted, 0

    def _settled(self, call: Callable[[], Outcome], what: str) -> Outcome | None:
        for _ in range(_QUESTIONS):
            try:
                return call()
            except StoreError as exc:
                self._say(what, exc)
        return None

    def check_count(self, row: Row | None) -> None:
        """Every increment that was applied is in the counter, and no other one."""
        if row is None:
            assert not self.applied, f"{self.applied} are lost"
            return
        value = row.value()
        names = set(value["by"]) | set(self.applied)
        assert value["n"] == sum(value["by"].values()), f"{value} lost an increment"
        for name in names:
            counted, known = value["by"].get(name, 0), self.applied[name]
            most = known + self.unknown[name]
            assert known <= counted <= most, f"{name} counted {counted} times, {known} to {most} are known"

    def _say(self, what: str, exc: StoreError) -> None:
        self.scheduler.note(f"  {what} failed: {type(exc).__name__} {exc}")
        kinds = {OutcomeUnknown: "conditional write unknown", Contended: "conditional write gave up"}
        if type(exc) in kinds:
            self.scheduler.happened(kinds[type(exc)])
