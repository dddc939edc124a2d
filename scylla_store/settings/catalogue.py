"""The options of a settings class, by name: what documentation, validation and suggestions work from."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from scylla_store.settings.shapes import CONTACT_POINT, DSN, HOST, HTTP_URL, TEXT, URL, Shape

Kind = Literal["bool", "int", "float", "text", "texts", "function"]

PREFIX = "SCYLLA_STORE_"
_KINDS: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
_NOUNS: dict[Kind, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "texts": "a list of texts",
    "function": "a function",
}


@dataclass(frozen=True)
class Option:
    """One option. `name` is that of the documentation: `database.tls.ca_file`."""

    name: str
    kind: Kind
    can_be_none: bool
    default: Any
    meaning: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    shape: Shape = TEXT

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return PREFIX + self.argument.upper()

    @property
    def argument(self) -> str:
        """Name of the keyword argument of `load`."""
        return self.name.replace(".", "__")

    @property
    def is_url(self) -> bool:
        """Whether a password in it can be told from the rest."""
        return self.shape is URL

    @property
    def is_address(self) -> bool:
        """Whether it says where a server is: what stands before an `@` is then no part of it."""
        return self.shape in (CONTACT_POINT, DSN, HOST, HTTP_URL, URL)

    @property
    def rule(self) -> str:
        """What a value must be, to be read after "must be"."""
        return self._rule() + (" (or none)" if self.can_be_none else "")

    def _rule(self) -> str:
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        if self.kind == "text":
            return self.shape.meaning
        noun = _NOUNS[self.kind]
        if self.kind == "texts":
            return noun if self.shape is TEXT else f"{noun}: {self.shape.meaning}"
        if self.kind == "function":
            return f"{noun} or {self.shape.meaning}"
        return noun + self._range()

    def _range(self) -> str:
        """Both bounds or none are set."""
        return "" if self.least is None else f" from {number(self.least)} to {number(self.most)}"


def number(value: float | None) -> str:
    """A bound as people write it."""
    return f"{value:,.10g}"


def catalogue(root: type) -> Mapping[str, Option]:
    """All options of a settings class and its sections, in the order of their definition."""
    return _catalogue(root)


def sections(root: type) -> Mapping[str, type]:
    """The class of each section by its name, the root ("") first and outer ones before inner ones."""
    return _section_classes(root)


@lru_cache
def _catalogue(root: type) -> Mapping[str, Option]:
    return {option.name: option for option in _options(root, "")}


@lru_cache
def _section_classes(root: type) -> Mapping[str, type]:
    return dict(_sections(root, ""))


def _sections(root: type, prefix: str) -> Iterator[tuple[str, type]]:
    yield prefix.removesuffix("."), root
    hints = get_type_hints(root)
    for field in fields(root):
        if is_dataclass(hints[field.name]):
            yield from _sections(hints[field.name], f"{prefix}{field.name}.")


def _options(root: type, prefix: str) -> Iterator[Option]:
    hints = get_type_hints(root)
    for field in fields(root):
        hint = hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _options(hint, f"{prefix}{field.name}.")
        elif field.metadata:
            kind, can_be_none = _kind(hint)
            yield Option(prefix + field.name, kind, can_be_none, field.default, **field.metadata)


def _kind(hint: Any) -> tuple[Kind, bool]:
    """The kind of an annotation, and whether it allows None."""
    if get_origin(hint) is tuple:
        return "texts", False
    if get_origin(hint) not in (Union, types.UnionType):
        return _KINDS[hint], False
    others = [arg for arg in get_args(hint) if arg is not type(None)]
    return _KINDS[others[0]] if len(others) == 1 else "function", type(None) in get_args(hint)


def value_of(settings: Any, name: str) -> Any:
    """The value of an option in a settings object."""
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings
