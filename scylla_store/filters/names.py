"""How a message names a place in a filter, and the name that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from scylla_store.paths import ANY, Step, render
from scylla_store.settings.suggestions import did_you_mean, nearest

_PLAIN_NAME = re.compile(r"\$?\w[\w-]{0,63}\Z")
_LONGEST_NAME = 80
_LIKENESS = 0.7


def below(place: str, name: str) -> str:
    """The place of a name below another: `filter.$or[1].year`, and `filter['author.name']` where a dot would mislead."""
    return f"{place}.{name}" if _PLAIN_NAME.match(name) else f"{place}[{ascii(name[:_LONGEST_NAME])[:_LONGEST_NAME]}]"


def declaring(steps: tuple[Step, ...]) -> str:
    """What to do about a path that is no range field."""
    if ANY in steps:
        return "a path with [*] cannot be among them"
    return f"add {render(steps)!r}, and reconciliation brings it to the index without embedding anything again"


def unknown(place: str, name: str, what: str, known: Iterable[str]) -> str:
    """The message about a name that nobody knows."""
    names = list(known)
    suggestion = did_you_mean(nearest(name[:_LONGEST_NAME], names, cutoff=_LIKENESS))
    return f"{place} is no {what}{suggestion or '; there are ' + ', '.join(names)}"
