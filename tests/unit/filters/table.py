"""The tables of docs/reference/filters.md, whose rows are tests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scylla_store.filters import Subject

_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "filters.md"
_ROW = re.compile(r"^\| (`\{.*)\|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")

MOMENT = 1_800_000_000_000_000
"""When the item of the rows about fields of the item was written."""


@dataclass(frozen=True)
class Line:
    """One filter and one subject; `text` is how the page writes both."""

    text: str
    filter: dict[str, Any]
    subject: Subject
    expected: bool


def lines() -> list[Line]:
    """One for each document of each row."""
    return [line for row in _ROW.findall(_PAGE.read_text()) for line in _of(row.split("|"))]


def subject(value: dict[str, Any], key: str = "tea") -> Subject:
    """A document of the key and the times that the page speaks of."""
    return Subject(key, value, MOMENT, MOMENT)


def subjects_of(values: list[dict[str, Any]]) -> list[Subject]:
    """Items of these documents: each has a key of its own, of which two are those that filters name, and half were changed later."""
    names = ("tea", "te")
    return [
        Subject(names[number] if number < len(names) else str(number), value, MOMENT - number % 2, MOMENT)
        for number, value in enumerate(values)
    ]


def _of(cells: list[str]) -> list[Line]:
    (code,) = _CODE.findall(cells[0])
    asked = json.loads(code)
    if len(cells) == 2:
        answer = {"yes": True, "no": False}[cells[1].strip()]
        return [Line(code, asked, subject({}), answer)]
    return [
        Line(f"{code} {document}", asked, subject(json.loads(document)), expected)
        for cell, expected in zip(cells[1:], (True, False), strict=True)
        for document in _CODE.findall(cell)
    ]
