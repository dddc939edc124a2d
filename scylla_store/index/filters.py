"""The conditions of all requests, said once; a dialect for each engine says them in its own types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from scylla_store.conditions import ALWAYS, Every, No, OneOf, Within
from scylla_store.conditions import Condition as Asked
from scylla_store.filters.facts import TOKENS

Condition = Any


class Filters(ABC):
    """Builds filters. The abstract methods are the words of a dialect, the others are sentences."""

    @abstractmethod
    def equals(self, field: str, value: str | int) -> Condition:
        """The field (or one of its values) is this."""

    @abstractmethod
    def one_of(self, field: str, values: Sequence[str]) -> Condition:
        """The field (or one of its values) is one of these."""

    @abstractmethod
    def is_text(self, field: str) -> Condition:
        """The field (or one of its values) is a string with something in it."""

    @abstractmethod
    def above(self, field: str, bound: int) -> Condition:
        """The field is a number greater than the bound."""

    @abstractmethod
    def below(self, field: str, bound: int) -> Condition:
        """The field is a number less than the bound."""

    @abstractmethod
    def has_id(self, identifiers: Collection[str]) -> Condition:
        """The point is one of these."""

    @abstractmethod
    def has_vector(self) -> Condition:
        """The point has a vector."""

    @abstractmethod
    def every(self, *conditions: Condition, but: Sequence[Condition] = ()) -> Any:
        """All of the conditions, and none of `but`."""

    @abstractmethod
    def any(self, *conditions: Condition) -> Any:
        """At least one of the conditions."""

    def of_items(self, items: Sequence[str], *, tokens: bool = False) -> Any:
        """All points of these items; those that have tokens, when it is said."""
        return self.every(self.one_of("item", items), *([self.is_text(TOKENS)] if tokens else []))

    def without_vector(self, items: Sequence[str]) -> Any:
        """The points of these items that have no vector."""
        return self.every(self.one_of("item", items), but=[self.has_vector()])

    def of_slices(self, which: range | None) -> Any:
        """All points of these slices, or those that are in none."""
        if which is None:
            return self.every(but=[self.above("slice", -1)])
        return self.every(self.above("slice", which.start - 1), but=[self.above("slice", which.stop - 1)])

    def live(self, prefix: str | None, now: int, where: Asked = ALWAYS) -> Any:
        """Points under the prefix that are not expired, and of which this holds."""
        return self.every(*self._live(prefix, now, where))

    def live_items(self, prefix: str | None, now: int, where: Asked = ALWAYS) -> Any:
        """The first point of each item under the prefix that is not expired, and of which this holds."""
        return self.every(*self._live(prefix, now, where), self.equals("ordinal", 0))

    def not_newer(self, at_most: int) -> Any:
        """Points whose version is at most this one. One that does not parse counts as version 0."""
        return self.every(but=[self._sound(above=at_most)])

    def unchanged(self, points: Sequence[tuple[str, str]]) -> Any:
        """Points (id, fingerprint) that still have this fingerprint; "" stands for one that does not parse."""
        by_fingerprint: dict[str, list[str]] = {}
        for identifier, fingerprint in points:
            by_fingerprint.setdefault(fingerprint, []).append(identifier)
        return self.any(*(self._still(fingerprint, those) for fingerprint, those in by_fingerprint.items()))

    def asked(self, where: Asked) -> Condition:
        """A condition of ours in the words of the dialect."""
        if isinstance(where, OneOf):
            return self.one_of(where.field, where.values)
        if isinstance(where, No):
            return self.every(but=[self.asked(where.part)])
        if isinstance(where, Within):
            return self._within(where)
        parts = [self.asked(part) for part in where.parts]
        if isinstance(where, Every):
            return self.every(*parts)
        # The engine takes "at least one of none" for "all".
        return self.any(*parts) if parts else self.every(but=[self.every()])

    def _within(self, where: Within) -> Condition:
        above = [] if where.above is None else [self.above(where.field, where.above)]
        below = [] if where.below is None else [self.below(where.field, where.below)]
        return self.every(*above, *below)

    def _still(self, fingerprint: str, identifiers: list[str]) -> Any:
        if fingerprint:
            return self.every(self.has_id(identifiers), self.equals("fingerprint", fingerprint))
        return self.every(self.has_id(identifiers), but=[self._sound(above=-1)])

    def _sound(self, *, above: int) -> Any:
        """A payload that parses, with a version above this one. See `payloads.seen_point`."""
        return self.every(self.is_text("item"), self.is_text("fingerprint"), self.above("version", above))

    def _live(self, prefix: str | None, now: int, where: Asked) -> list[Condition]:
        under = [] if prefix is None else [self.equals("prefixes", prefix)]
        asked = [] if where == ALWAYS else [self.asked(where)]
        return [*under, self.above("expires_at", now), *asked]
