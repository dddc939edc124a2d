"""The table in docs/consistency.md names code and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_SUITE = re.compile(r"`((?:unit|contract|integration|acceptance|simulation)/[\w/]+\.py)`((?: ?[a-z_]+_[a-z_]+;?)*)")
_MODULE = re.compile(r"`([a-z_/]+\.py)`")


def table() -> list[list[str]]:
    """Cells of the rows under the last heading."""
    text = (ROOT / "docs" / "consistency.md").read_text().split("## Promises, code, tests")[1]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in _ROW.findall(text)]
    return rows[2:]


def test_every_promise_has_its_rows() -> None:
    promises = re.findall(r"\*\*(P\d)\*\*", "\n".join(row[0] for row in table()))

    assert promises == [f"P{number}" for number in range(1, 9)]


def test_the_code_that_is_named_exists() -> None:
    named = [path for row in table() for path in _MODULE.findall(row[2])]

    assert named
    assert [path for path in named if not (ROOT / "scylla_store" / path).exists()] == []


def test_the_tests_that_are_named_exist() -> None:
    lost = []
    for row in table():
        for file, names in _SUITE.findall(row[3]):
            path = ROOT / "tests" / file
            text = path.read_text() if path.exists() else ""
            wanted = re.findall(r"[a-z_]+_[a-z_]+", names) or ["def test_"]
            lost += [f"{file} {name}" for name in wanted if name not in text]

    assert lost == []
