"""What a request asks of payloads, in no engine's words: the index says it in its own (index/filters.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True, slots=True)
class OneOf:
    """The keyword field (or one of its values) is one of these; there is at least one."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """The field is a whole number greater than `above` and less than `below`, of which at least one is given."""

    field: str
    above: int | None = None
    below: int | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; with no parts: always."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds; with no parts: never."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class No:
    """The part does not hold, for a field that is missing too."""

    part: Condition


Condition = Union[OneOf, Within, Every, Some, No]

ALWAYS: Condition = Every(())
NEVER: Condition = Some(())


def every(*parts: Condition) -> Condition:
    """All of them, without what says nothing."""
    said = tuple(part for part in parts if part != ALWAYS)
    if NEVER in said:
        return NEVER
    return said[0] if len(said) == 1 else Every(said)


def some(*parts: Condition) -> Condition:
    """At least one of them, without what says nothing."""
    said = tuple(part for part in parts if part != NEVER)
    if ALWAYS in said:
        return ALWAYS
    return said[0] if len(said) == 1 else Some(said)


def no(part: Condition) -> Condition:
    """The opposite."""
    if isinstance(part, No):
        return part.part
    if part == ALWAYS:
        return NEVER
    return ALWAYS if part == NEVER else No(part)
