"""Dead letters from the operator's side: list, look, try again, give up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, Union

from scylla_store.clock import VersionClock
from scylla_store.cursors import from_cursor, to_cursor
from scylla_store.database.base import Database
from scylla_store.errors import ValidationError
from scylla_store.identity import checked_iterable, checked_text, plain
from scylla_store.intents import Kind, Ref, new_intent
from scylla_store.items import Page
from scylla_store.letters import DeadLetter
from scylla_store.publisher import Publisher
from scylla_store.reads import checked_limit

_PAGE = 200
_LONGEST_ID = 64
Which = Union[str, Sequence[str], Literal["all"]]


class DeadLetters:
    """The dead letters of a store."""

    def __init__(self, database: Database, publisher: Publisher, clock: VersionClock) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock

    def list(self, limit: int = 100, cursor: str | None = None) -> Page[DeadLetter]:
        """Letters by id, discarded ones included (`.discarded` tells)."""
        limit = checked_limit(limit)
        position = from_cursor(cursor, ["dead_letters"])
        found = self._database.letters(after=None if position is None else str(position[0]), limit=limit + 1)
        shown = found[:limit]
        return Page(shown, to_cursor(["dead_letters"], [shown[-1].id]) if len(found) > limit else None)

    def get(self, ident: str) -> DeadLetter | None:
        """One letter, or None."""
        return self._database.letter(_checked(ident, "ident"))

    def replay(self, which: Which) -> int:
        """Tries again: files new intents for these ids, or for "all" that are not discarded; returns how many.

        A letter goes when its item is indexed; until then it stays where it is.
        """
        letters = [letter for letter in self._chosen(which) if not letter.discarded or which != "all"]
        for letter in letters:
            now = self._clock.now()
            intent = new_intent(letter.item, letter.write_id, letter.version or 0, Kind.REPLAY, now=now, due=now)
            self._database.outbox.file([intent])
            self._publisher.collect([Ref(intent)])
        return len(letters)

    def discard(self, which: Which) -> int:
        """Gives up for good; returns how many. The documents stay, their text is not searchable."""
        letters = [letter for letter in self._chosen(which) if not letter.discarded]
        for letter in letters:
            self._database.bury(replace(letter, discarded=True, timestamp=letter.timestamp + 1))
        return len(letters)

    def _chosen(self, which: Which) -> Iterator[DeadLetter]:
        if which == "all":
            yield from self._all()
            return
        given = [which] if isinstance(which, str) else checked_iterable(which, "which", "ids")
        idents = [_checked(ident, f"which[{position}]") for position, ident in enumerate(given)]
        found = {ident: self._database.letter(ident) for ident in idents}
        missing = [ident for ident, letter in found.items() if letter is None]
        if missing:
            raise ValidationError(f"There is no dead letter {missing[0]!r}; list() shows those that exist")
        yield from (letter for letter in found.values() if letter is not None)

    def _all(self) -> Iterator[DeadLetter]:
        after: str | None = None
        while True:
            page = self._database.letters(after=after, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].id


def _checked(ident: object, argument: str) -> str:
    checked_text(ident, argument, _LONGEST_ID)
    return plain(ident)
