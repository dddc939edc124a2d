"""Ids of points: ours are UUIDs, but other hands may write points under numbers too, and these are to be seen and taken away."""

from __future__ import annotations

from typing import Union

Stored = Union[str, int]


def stored_id(identifier: str) -> Stored:
    """The id as the engine has it: what is all digits is a number there, and refused as a text."""
    return int(identifier) if identifier.isdecimal() else identifier
