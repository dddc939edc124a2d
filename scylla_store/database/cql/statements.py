"""CQL statements by name, from the .cql files beside this module.

-- name: what it is for, in one line
SELECT ...;
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent
_STATEMENT = re.compile(r"^-- (?P<name>\w+): (?P<meaning>.+?)\n(?P<cql>[^;]+);", re.MULTILINE)
_TABLE = re.compile(r"\b(FROM|INTO|^UPDATE) (\w+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement."""

    name: str
    meaning: str
    cql: str

    @property
    def is_conditional(self) -> bool:
        """Whether it is a lightweight transaction, which must never be sent twice."""
        return " IF " in self.cql

    @property
    def is_quick(self) -> bool:
        """Whether it takes milliseconds and may be sent twice, so that another node is asked too when one is late. Scans may
        take their time."""
        return not self.is_conditional and " LIMIT " not in self.cql and "count(" not in self.cql


@functools.cache
def statements() -> Mapping[str, Statement]:
    """All named statements."""
    found: dict[str, Statement] = {}
    for path in sorted(_FOLDER.glob("statements/*.cql")):
        for match in _STATEMENT.finditer(path.read_text(encoding="utf-8")):
            statement = Statement(match["name"], match["meaning"], " ".join(match["cql"].split()))
            if statement.name in found:
                raise ValueError(f"{path.name} defines {statement.name} again")
            found[statement.name] = statement
    return found


def qualified(cql: str, keyspace: str) -> str:
    """The statement with the keyspace before its table: Cassandra warns when prepared statements rely on USE."""
    return _TABLE.sub(rf'\1 "{keyspace}".\2', cql, count=1)


@functools.cache
def migrations() -> tuple[tuple[str, ...], ...]:
    """The schema's migrations, the first one at index 0, each as the statements that it runs."""
    return tuple(_split(path) for path in sorted(_FOLDER.glob("migrations/[0-9]*.cql")))


def bootstrap() -> tuple[str, ...]:
    """What must exist before migrations can be locked and counted."""
    return _split(_FOLDER / "migrations" / "bootstrap.cql")


def _split(path: Path) -> tuple[str, ...]:
    text = re.sub(r"^--.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tuple(part.strip() for part in text.split(";") if part.strip())
