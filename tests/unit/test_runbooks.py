"""What the runbooks quote is what the library says: somebody searches them for the words of an alarm."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^ *```\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
QUOTE = re.compile(r"`([^`\n]+)`|\"([^\"\n]+)\"")
VARIABLE = re.compile(r"…|\.\.\.|\s{2,}|\S*[\d/:'*()]\S*|\bN\b")
"""What stands for a value: figures, paths and names, times; and the space between columns."""

OTHERS = re.compile(r"(\$|scylla-store|nodetool|redis-cli|chronyc|maxmemory)\b|\$ |.*MainProcess\]|Trying to reconnect")
"""Commands, and what Celery says."""


def said() -> str:
    """All texts of the library's source but its docstrings, a line for each; of one with values in it, for each part."""
    texts: list[str] = []
    for path in (ROOT / "scylla_store").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs]
        texts += [node.value for node in constants if isinstance(node.value, str)]
    return "\n".join(texts)


def quoted(page: str) -> list[str]:
    """Lines of what a command or a log shows, and quotes in the text."""
    shown = [line.strip() for block in BLOCK.findall(page) for line in block.splitlines()]
    inline = [one or other for one, other in QUOTE.findall(BLOCK.sub("", page))]
    return [passage for passage in [*shown, *inline] if passage and not OTHERS.match(passage)]


def parts(passage: str) -> list[str]:
    """What of a quote is the same each time: at least three words between two values, two where some are left out."""
    least = 2 if "…" in passage else 3
    found = (part.strip(" .,;") for part in VARIABLE.split(passage))
    return [part for part in found if len(part.split()) >= least]


def test_every_message_in_the_runbooks_is_one_that_the_library_says() -> None:
    source = said()
    page = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")

    unknown = {
        passage: lost for passage in quoted(page) if (lost := [one for one in parts(passage) if one not in source])
    }

    assert unknown == {}


def test_the_parts_of_a_message_are_what_stands_between_its_values() -> None:
    assert parts("The stored version of docs/k lies 12.0 s in the future, more than ...") == [
        "The stored version of",
        "s in the future, more than",
    ]
    page = '*"Nothing is like this at all"*\n```\n$ scylla-store status\nnor  is this one here\n```\n'
    assert quoted(page) == ["nor  is this one here", "Nothing is like this at all"]
    assert [one for passage in quoted(page) for one in parts(passage) if one not in said()] == [
        "is this one here",
        "Nothing is like this at all",
    ]
