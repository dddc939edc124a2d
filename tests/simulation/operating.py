"""Operators who replay and discard dead letters, and what has to be so when it is calm again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scylla_store.database.memory import MemoryDatabase
from scylla_store.dead_letters import DeadLetters
from scylla_store.errors import StoreError
from scylla_store.letters import DeadLetter
from scylla_store.settings.options import SyncSettings
from scylla_store.wiring import Parts
from tests.simulation.scheduler import SECOND, Scheduler

_DEEDS = ("replay", "replay", "discard")


@dataclass(frozen=True)
class Deed:
    """What an operator did, between which steps.

    Attributes:
        is_replay: or a discard.
        ident: of the letter that it named, None when it meant all.
        took: how many letters it took, None when it failed or was killed.
    """

    is_replay: bool
    ident: str | None
    began: int
    ended: int
    took: int | None


@dataclass
class Operators:
    """All of one world, and the letters that were there when they came."""

    scheduler: Scheduler
    database: MemoryDatabase
    settings: SyncSettings
    before: Mapping[str, DeadLetter]
    deeds: list[Deed] = field(default_factory=list)

    def act(self, parts: Parts, rounds: int) -> None:
        """So many deeds of one of them."""
        choose = self.scheduler.random
        letters = DeadLetters(parts.database, parts.publisher, parts.clock, self.settings, parts.guard.check)
        for _ in range(rounds):
            self._do(letters, choose.choice(_DEEDS) == "replay", choose.choice((None, *self.before)))
            self.scheduler.step("sleeps")
            self.scheduler.now += choose.choice((0, 0, 1, 5, 40)) * SECOND

    def _do(self, letters: DeadLetters, is_replay: bool, ident: str | None) -> None:
        """One deed, which is noted also when its operator is killed."""
        took, began, name = None, self.scheduler.steps, "replay" if is_replay else "discard"
        try:
            took = (letters.replay if is_replay else letters.discard)(ident or "all")
            self.scheduler.happened(f"letters: {name}")
        except StoreError as exc:
            self.scheduler.note(f"  {name} failed: {exc}")
        finally:
            self.deeds.append(Deed(is_replay, ident, began, self.scheduler.steps, took))
        self.scheduler.note(f"  {name} of {ident or 'all'}: {took}")

    def check(self, letter: DeadLetter, *, can_be_embedded: bool, is_sure: bool) -> None:
        """The last deed at a letter decides what became of it; its document was not written again meanwhile.

        Args:
            can_be_embedded: now, whatever it was.
            is_sure: whether nobody is killed, and nothing comes late.
        """
        found = self.database.letter(letter.id)
        deeds = [deed for deed in self.deeds if deed.ident in (None, letter.id)]
        discards = [deed for deed in deeds if not deed.is_replay]
        if not discards:
            assert found is None or not found.discarded, "nobody has discarded it"
        if len(discards) == len(deeds):
            assert found is not None, "nobody has tried it again, and its letter is gone"
        last = max(deeds, key=lambda deed: deed.ended, default=None)
        if last is None or any(deed.ended >= last.began for deed in deeds if deed is not last):
            return
        if not is_sure and any(deed.took is None for deed in deeds):
            return
        if not last.is_replay and self._took(last, letter):
            assert found is not None, "a discard has not lasted: the letter is gone"
            assert found.discarded, "a discard has not lasted"
            self.scheduler.happened("letters: a discard that lasts")
        is_tried = last.is_replay and bool(last.took) and (last.ident is not None or not discards)
        if is_tried and can_be_embedded and is_sure:
            assert found is None, "it was tried again and can be embedded, and its letter is still there"
            self.scheduler.happened("letters: a replay that is indexed")

    def _took(self, deed: Deed, letter: DeadLetter) -> bool:
        """Whether it is certain that the letter is among those."""
        return bool(deed.took) and (deed.ident == letter.id or deed.took == len(self.before))
