"""Dead letters from the operator's side: list, look, count, try again, give up."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Optional, Union

from scylla_store.arguments import checked_list, shown
from scylla_store.clock import SECOND, VersionClock
from scylla_store.cursors import from_cursor, to_cursor
from scylla_store.database.base import Database
from scylla_store.errors import ValidationError
from scylla_store.identity import Namespace, checked_namespace, checked_text, plain
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.items import Page
from scylla_store.jobs import write_id_of
from scylla_store.letters import DeadLetter
from scylla_store.publisher import Publisher
from scylla_store.reads import checked_limit
from scylla_store.settings.options import SyncSettings

_PAGE = 200
_MOST_COUNTED = 10_000
_LONGEST_ID = 64
_LONGEST_REASON = 200
Refs = list[Ref]
Which = Optional[Union[str, Sequence[str], Literal["all"]]]


@dataclass(frozen=True)
class LetterCounts:
    """How many dead letters there are, by reason; those that are given up apart. `exact`: all of them were counted."""

    dead: dict[str, int]
    discarded: dict[str, int]
    exact: bool


class DeadLetters:
    """The dead letters of a store.

    They are chosen by id, or "all", or by `reason` (class of the error) and `prefix` (first labels of the namespace).
    """

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        clock: VersionClock,
        settings: SyncSettings,
        check_clock: Callable[[], None],
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock
        self._margin = int(settings.margin * SECOND)
        self._check_clock = check_clock

    def list(
        self,
        limit: int = 100,
        cursor: str | None = None,
        *,
        reason: str | None = None,
        prefix: Sequence[str] | None = None,
    ) -> Page[DeadLetter]:
        """Letters by id, discarded ones included (`.discarded` tells)."""
        limit = checked_limit(limit)
        chosen = _Filter.checked(reason, prefix)
        call = ["dead_letters", chosen.reason, chosen.prefix]
        position = from_cursor(cursor, call)
        after = None if position is None else _checked(position[0] if position else None, "cursor")
        found = list(itertools.islice(filter(chosen.takes, self._all(after)), limit + 1))
        shown = found[:limit]
        return Page(shown, to_cursor(call, [shown[-1].id]) if len(found) > limit else None)

    def get(self, ident: str) -> DeadLetter | None:
        """One letter, or None."""
        return self._database.letter(_checked(ident, "ident"))

    def counts(self, most: int = _MOST_COUNTED) -> LetterCounts:
        """How many there are by reason, as far as the first `most` letters tell."""
        letters = list(itertools.islice(self._all(), checked_limit(most, "most") + 1))
        counted: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for letter in letters[:most]:
            counted[letter.discarded][letter.reason] += 1
        dead, discarded = map(dict, counted)
        return LetterCounts(dead, discarded, exact=len(letters) <= most)

    def replay(self, which: Which = None, *, reason: str | None = None, prefix: Sequence[str] | None = None) -> int:
        """Tries again: files new intents; returns how many. A discarded letter is tried only when its id is named.

        A letter goes when its item is indexed; until then it stays where it is. ClockSkew while this machine's clock is refused.
        """
        named, letters = self._chosen(which, reason, prefix)
        return sum(map(self._try_again, _chunks(letter for letter in letters if named or not letter.discarded)))

    def discard(self, which: Which = None, *, reason: str | None = None, prefix: Sequence[str] | None = None) -> int:
        """Gives up for good; returns how many. The documents stay, their text is not searchable until it is written anew.

        ClockSkew while this machine's clock is refused.
        """
        _, letters = self._chosen(which, reason, prefix)
        return sum(map(self._give_up, _chunks(letter for letter in letters if not letter.discarded)))

    def _try_again(self, letters: Sequence[DeadLetter]) -> int:
        refs = self._file(letters, Kind.REPLAY)
        self._publisher.collect(refs)
        return len(refs)

    def _file(self, letters: Sequence[DeadLetter], kind: Kind) -> Refs:
        """The drain leaves their tasks the time that it leaves those of new writes."""
        self._check_clock()
        now = self._clock.now()
        intents = [
            new_intent(letter.item, letter.write_id, letter.timestamp, kind, now=now, due=now + self._margin)
            for letter in letters
        ]
        self._database.outbox.file(intents)
        return [Ref(intent) for intent in intents]

    def _give_up(self, letters: Sequence[DeadLetter]) -> int:
        """Marks them, and takes back what concerns a write that was replaced meanwhile: nobody else would.

        A replay that is ending now may have brought a text to the index, and taken away the letter as it was before the mark.
        So each is looked at once more, behind its mark and also when this process ends before it.
        """
        refs = self._file(letters, Kind.REPAIR)
        now = self._clock.version()  # a replay that fails at this moment writes its letter with the time it is then
        given_up = [replace(letter, discarded=True, timestamp=max(letter.timestamp + 1, now)) for letter in letters]
        for letter in given_up:
            self._database.bury(letter)
        rows = self._database.read([letter.item for letter in given_up], body=False)
        replaced = [letter for letter in given_up if write_id_of(rows.get(letter.item)) != letter.write_id]
        if replaced:
            self._database.exhume([(letter.item, letter.timestamp) for letter in replaced])
        self._publisher.collect(refs)
        return len(given_up) - len(replaced)

    def _chosen(
        self, which: Which, reason: str | None, prefix: Sequence[str] | None
    ) -> tuple[bool, Iterator[DeadLetter]]:
        """The letters, and whether they were named one by one."""
        chosen = _Filter.checked(reason, prefix)
        if (isinstance(which, str) and which == "all") or (which is None and not chosen.is_open):
            return False, filter(chosen.takes, self._all())
        if which is None:
            raise ValidationError('which must be ids or "all", unless there is a reason or a prefix')
        if not chosen.is_open:
            raise ValidationError("which names ids, so there must be no reason and no prefix beside it")
        return True, self._named([which] if isinstance(which, str) else checked_list(which, "which", "ids"))

    def _named(self, given: Iterable[object]) -> Iterator[DeadLetter]:
        idents = [_checked(ident, f"which[{position}]") for position, ident in enumerate(given)]
        found = {ident: self._database.letter(ident) for ident in idents}
        missing = [ident for ident, letter in found.items() if letter is None]
        if missing:
            raise ValidationError(f"which: there is no dead letter {shown(missing[0])}; list() shows those that exist")
        yield from (letter for letter in found.values() if letter is not None)

    def _all(self, after: str | None = None) -> Iterator[DeadLetter]:
        while True:
            page = self._database.letters(after=after, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].id


@dataclass(frozen=True)
class _Filter:
    """Which letters are meant."""

    reason: str | None
    prefix: Namespace | None

    @classmethod
    def checked(cls, reason: object, prefix: object) -> _Filter:
        """Raises ValidationError."""
        if reason is not None:
            checked_text(reason, "reason", _LONGEST_REASON)
        labels = None if prefix is None else checked_namespace(prefix, argument="prefix", prefix=True)
        return cls(None if reason is None else plain(reason), labels)

    @property
    def is_open(self) -> bool:
        return self.reason is None and self.prefix is None

    def takes(self, letter: DeadLetter) -> bool:
        prefix = self.prefix or ()
        return self.reason in (None, letter.reason) and letter.item.namespace[: len(prefix)] == prefix


def _chunks(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    letters = iter(letters)
    while chunk := list(itertools.islice(letters, _PAGE)):
        yield chunk


def _checked(ident: object, argument: str) -> str:
    checked_text(ident, argument, _LONGEST_ID)
    return plain(ident)
