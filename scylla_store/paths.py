r"""Paths into a document: `title`, `author.name`, `sections[2].text`, `sections[*].text`.

A path is names joined by dots; `[2]` is one element of a list (from 0), `[*]` all of them. A backslash takes the meaning
from the character after it, so that the key `a.b` is written `a\.b`, `x[0]` is `x\[0\]`, and a backslash is `\\`.
`$` alone stands for the whole document; a key that is called so is `\$`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Union

from scylla_store.errors import ValidationError

WHOLE = "$"
"""The path of the whole document: all its strings, joined."""

ANY: Final = None
"""The step `[*]`: every element of a list."""

Step = Union[str, int, None]
"""A name, a position in a list, or ANY."""

_NAME = re.compile(r"(?:[^\\.\[\]]|\\.)+", re.DOTALL)
_POSITION = re.compile(r"\[(\*|[0-9]{1,9})\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r"([\\.\[\]])")


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; none for `$`. Raises ValidationError, saying where the path is wrong, without naming an argument."""
    if path == WHOLE:
        return ()
    steps: list[Step] = []
    position = 0
    while position < len(path):
        bracket = _POSITION.match(path, position) if steps else None
        if bracket is not None:
            steps.append(ANY if bracket[1] == "*" else int(bracket[1]))
            position = bracket.end()
            continue
        if steps and path[position] != ".":
            raise ValidationError(f"{path!r} is wrong at character {position + 1}: expected '.name', '[2]' or '[*]'")
        position += bool(steps)
        name = _NAME.match(path, position)
        if name is None:
            raise ValidationError(f"{path!r} is wrong at character {position + 1}: a name is missing")
        steps.append(_ESCAPED.sub(r"\1", name[0]))
        position = name.end()
    if not steps:
        raise ValidationError("a path cannot be empty")
    return tuple(steps)


def render(steps: tuple[Step, ...]) -> str:
    """The path of these steps; `parse` gives them back."""
    if not steps:
        return WHOLE
    path = "".join(_render_step(step) for step in steps).removeprefix(".")
    return rf"\{WHOLE}" if path == WHOLE else path


def _render_step(step: Step) -> str:
    if isinstance(step, str):
        return "." + _SPECIAL.sub(r"\\\1", step)
    return "[*]" if step is ANY else f"[{step}]"
