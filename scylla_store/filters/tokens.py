"""What a document says, as tokens: digests of "this path exists" and "this path has this value".

A path's array steps are all `[*]` here, so a token stands for every element. A path with very many values has one token
instead that says so; a document with very many paths has none at all. Both are matched by whatever asks for them, and the
exact evaluator decides.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from scylla_store.filters.nodes import Field
from scylla_store.paths import Step

MOST = 512
"""Tokens of one document; each of its points has them all."""

MOST_OF_PATH = 64
"""Values of one path."""

Path = str
"""Steps written so that no two paths are written alike: `4:name` for a name, `*` for the elements of an array."""

_KEY = "$"
_ROOT = ""


def path_of(field: Field) -> Path:
    """The path of a field; each position counts as `[*]`. A field of the item is a path that no document has."""
    return below(_ROOT, field) if isinstance(field, tuple) else _KEY


def below(path: Path, steps: Sequence[Step]) -> Path:
    """The path of these steps below another."""
    return path + "".join(_name(step) if isinstance(step, str) else "*" for step in steps)


@lru_cache(maxsize=8192)
def exists(path: Path) -> str:
    """The token of a path that leads somewhere."""
    return _digest(f"{path}?")


@lru_cache(maxsize=1024)
def many(path: Path) -> str:
    """The token of a path with more values than tokens are made for."""
    return _digest(f"{path}~")


def equals(path: Path, text: str) -> str:
    """The token of a path with this value, which is given as a `text_of`."""
    return _digest(f"{path}={text}")


def tokens_of(value: dict[str, Any], key: str) -> list[str] | None:
    """The tokens of a document in the order of their letters; None when they are too many."""
    values: dict[Path, set[str]] = {}
    for path, text in leaves(_ROOT, value, containers=True):
        found = values.setdefault(path, set())
        if text is not None and len(found) <= MOST_OF_PATH:
            found.add(text)
        if len(values) > MOST:
            return None
    values.pop(_ROOT)
    values[_KEY] = {text_of(key)}
    tokens = [token for path, texts in values.items() for token in _of_path(path, texts)]
    return sorted(tokens) if len(tokens) <= MOST else None


def leaves(path: Path, value: Any, *, containers: bool = False) -> Iterator[tuple[Path, str | None]]:
    """Path and text of each scalar and empty container of a value that stands at `path`; with `containers` all others too, without text."""
    stack = [(path, value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict) and node:
            stack.extend((path + _name(name), child) for name, child in node.items())
        elif isinstance(node, list) and node:
            stack.extend((f"{path}*", child) for child in node)
        else:
            yield path, text_of(node)
            continue
        if containers:
            yield path, None


def text_of(value: Any) -> str:
    """A scalar or an empty container as a text that two of them share exactly when they are equal in JSON."""
    if isinstance(value, str):
        return f'"{value}'
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _of_path(path: Path, texts: set[str]) -> Iterator[str]:
    yield exists(path)
    if len(texts) > MOST_OF_PATH:
        yield many(path)
    else:
        yield from (equals(path, text) for text in texts)


def _name(step: str) -> str:
    return f"{len(step)}:{step}"


def _digest(text: str) -> str:
    """20 letters: a collision would be a document that is not found, so it has 120 bits."""
    return base64.urlsafe_b64encode(hashlib.blake2b(text.encode(), digest_size=15, person=b"token").digest()).decode()
