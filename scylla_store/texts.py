"""The texts of a document: which strings are embedded, and where they stand. Paths are those of paths.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scylla_store.paths import ANY, WHOLE, Step, parse, render
from scylla_store.rows import IndexSpec


@dataclass(frozen=True, slots=True)
class Text:
    """One text and its concrete path, such as `sections[2].text`; `$` for all strings of the document, joined."""

    path: str
    text: str


def texts_of(value: dict[str, Any], spec: IndexSpec, fields: Sequence[str] = ()) -> list[Text]:
    """The texts of a document that are embedded, in the order of the paths, and in document order within one.

    Only strings count, and blank ones are left out. A path that ends at a list gives the strings in it.

    Args:
        value: the document.
        spec: the paths of its write; None: `fields`; False: none.
        fields: the configured paths; none: the whole document.
    """
    if spec is False:
        return []
    found: dict[str, Text] = {}
    for path in (tuple(fields) or (WHOLE,)) if spec is None else spec:
        for text in _texts_at(value, path):
            found.setdefault(text.path, text)
    return list(found.values())


def text_at(value: dict[str, Any], path: str) -> str | None:
    """The text at a concrete path, None when there is none (any more)."""
    return next((text.text for text in _texts_at(value, path) if text.path == path), None)


def _texts_at(value: dict[str, Any], path: str) -> Iterator[Text]:
    if path == WHOLE:
        joined = "\n".join(_strings(value))
        if joined:
            yield Text(WHOLE, joined)
        return
    for steps, node in _matches(value, parse(path)):
        leaves = [((*steps, at), leaf) for at, leaf in enumerate(node)] if isinstance(node, list) else [(steps, node)]
        for found, leaf in leaves:
            if isinstance(leaf, str) and leaf.strip():
                yield Text(render(found), leaf)


def _matches(value: Any, steps: tuple[Step, ...]) -> list[tuple[tuple[Step, ...], Any]]:
    """Concrete steps and node of everything that the steps lead to, in document order."""
    nodes: list[tuple[tuple[Step, ...], Any]] = [((), value)]
    for step in steps:
        nodes = [((*trail, at), below) for trail, node in nodes for at, below in _below(node, step)]
    return nodes


def _below(node: Any, step: Step) -> list[tuple[Step, Any]]:
    if isinstance(step, str):
        return [(step, node[step])] if isinstance(node, dict) and step in node else []
    if not isinstance(node, list):
        return []
    if step is ANY:
        return list(enumerate(node))
    return [(step, node[step])] if step < len(node) else []


def _strings(value: Any) -> Iterator[str]:
    """The strings of a document that are not blank, in document order. No recursion: rows may be nested deeply."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            if node.strip():
                yield node
        elif isinstance(node, dict):
            stack.extend(reversed(node.values()))
        elif isinstance(node, list):
            stack.extend(reversed(node))
