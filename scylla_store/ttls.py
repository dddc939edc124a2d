"""How long documents live whose writes do not say it: the defaults of the settings, each for a prefix."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import Union

from scylla_store.errors import ValidationError
from scylla_store.identity import Namespace, checked_namespace
from scylla_store.spelling import format_namespace, parse_namespace

MOST = 3_155_760_000.0
"""Longest default: a hundred years in seconds."""

_NEVER = "never"


class DefaultTtl(enum.Enum):
    """Stands for what `ttl.defaults` says of the namespace."""

    DEFAULT = "default"


DEFAULT_TTL = DefaultTtl.DEFAULT

Ttl = Union[float, DefaultTtl, None]
"""Seconds, a number > 0; None: for ever; `DEFAULT_TTL`: what the settings say, and where they say nothing for ever."""


class Defaults:
    """Entries of `ttl.defaults`, which were checked with the settings."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._seconds = dict(map(parse_default, entries))
        self._depths = sorted({len(prefix) for prefix in self._seconds}, reverse=True)

    def chosen(self, ttl: Ttl, namespace: Namespace) -> float | None:
        """The TTL of a write: what it says itself, else the default of the longest prefix, by whole labels."""
        if ttl is not DEFAULT_TTL:
            return ttl
        for depth in self._depths:
            if depth <= len(namespace) and namespace[:depth] in self._seconds:
                return self._seconds[namespace[:depth]]
        return None


def parse_default(entry: str) -> tuple[Namespace, float | None]:
    """Prefix and seconds of 'chat/alice=60'; None for 'chat/alice=never'. Raises ValidationError."""
    name, equals, seconds = entry.rpartition("=")
    if not equals:
        raise ValidationError(f"{entry!r} must be written as prefix=seconds, such as sessions=3600")
    try:
        prefix = checked_namespace(parse_namespace(name.strip()), argument=f"the prefix of {entry!r}", prefix=True)
    except ValueError as exc:
        raise ValidationError(str(exc)) from None
    return prefix, _seconds(entry, seconds.strip())


def broken_defaults(entries: Iterable[str]) -> list[str]:
    """What is wrong with the entries, all of it."""
    problems: list[str] = []
    prefixes: set[Namespace] = set()
    for entry in entries:
        try:
            prefix, _ = parse_default(entry)
        except ValidationError as exc:
            problems.append(str(exc))
            continue
        if prefix in prefixes:
            problems.append(f"the prefix {format_namespace(prefix)} comes twice")
        prefixes.add(prefix)
    return problems


def _seconds(entry: str, text: str) -> float | None:
    if text == _NEVER:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MOST:
        raise ValidationError(f"{entry!r} must end with seconds, a number above 0 and up to {MOST:,.0f}, or with never")
    return seconds
