"""Rows as a table to read, as Markdown, and as JSON to keep."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.measure import Row, Spread, Target

_COLUMNS = ("row", "ours", "raw", "unit", "ours / raw", "target", "kept")
_PACKAGES = ("cassandra-driver", "celery", "redis", "qdrant-client", "qdrant-edge-py", "wordllama")
_SIGNS = {"at most": "≤", "at least": "≥"}
_VERDICTS = {True: "yes", False: "NO", None: ""}


def show(rows: Sequence[Row], console: Console) -> None:
    """Prints the table."""
    table = Table(*_COLUMNS, title="Medians (tenths over the rounds)")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)


def markdown(rows: Sequence[Row]) -> str:
    """The same for a page of the documentation."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def store(rows: Sequence[Row], command: Sequence[str], path: Path) -> None:
    """Writes rows, and on what they were measured, as JSON."""
    found = {
        "command": list(command),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "packages": {name: version(name) for name in _PACKAGES},
        "rows": [row.as_json() for row in rows],
    }
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _spread(row.ours),
        _spread(row.raw),
        row.unit,
        _spread(row.ratio),
        ", ".join(_target(target, row.unit) for target in row.targets),
        _VERDICTS[row.is_within],
    )


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    if spread.low == spread.high:
        return _figure(spread.median)
    return f"{_figure(spread.median)} ({_figure(spread.low)}-{_figure(spread.high)})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _target(target: Target, unit: str) -> str:
    limit = f"{target.limit:g}" if target.figure == "ratio" else f"{target.limit:,g} {unit}"
    return f"{_SIGNS[target.relation]} {limit}"
