"""A checked filter as a tree. Negating operators (`$ne`, `$nin`, `$exists: false`) are the negation of the others."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal, Union

from scylla_store.index.base import Json
from scylla_store.paths import Step


class System(enum.Enum):
    """A field of the item itself. Times are microseconds since the epoch here."""

    KEY = "$key"
    CREATED_AT = "$created_at"
    UPDATED_AT = "$updated_at"
    VERSION = "$version"


TIMES = (System.CREATED_AT, System.UPDATED_AT)

Field = Union[System, tuple[Step, ...]]
"""What a condition looks at: a field of the item, or the steps of a path into its value."""

Comparison = Literal["$gt", "$gte", "$lt", "$lte"]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; with no parts: always."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class Equals:
    """The field has a value that equals one of these."""

    field: Field
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """The field has an array with an element that equals one of these."""

    field: Field
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value, be it null."""

    field: Field


@dataclass(frozen=True, slots=True)
class Compares:
    """The field has a value of the bound's kind (numbers or strings) on this side of it."""

    field: Field
    comparison: Comparison
    bound: int | float | str


@dataclass(frozen=True, slots=True)
class Starts:
    """The field has a string that begins so."""

    field: Field
    prefix: str


Node = Union[All, AnyOf, Not, Equals, Contains, Exists, Compares, Starts]
