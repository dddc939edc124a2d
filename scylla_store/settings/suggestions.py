"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.7) -> str | None:
    """The known dotted name that is most like `name`, or None.

    A name that is right but for its section (or for the way its parts are separated) counts as near.
    """
    by_plain = {_plain(candidate): candidate for candidate in known}
    if _plain(name) in by_plain:
        return by_plain[_plain(name)]
    close = get_close_matches(_plain(name), by_plain, 1, cutoff)
    if close:
        return by_plain[close[0]]
    last = _plain(name.rpartition(".")[2])
    by_last = {_plain(candidate.rpartition(".")[2]): candidate for candidate in reversed(list(by_plain.values()))}
    close = get_close_matches(last, by_last, 1, max(cutoff, 0.8))
    return by_last[close[0]] if close else None


def did_you_mean(suggestion: str | None) -> str:
    """The end of a message, or nothing."""
    return f"; did you mean {suggestion}?" if suggestion else ""


def _plain(name: str) -> str:
    return name.lower().replace(".", "").replace("_", "").replace("-", "")
