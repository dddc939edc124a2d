"""What the last drain saw, as everybody can read it: one small value in the database, readable by older and newer versions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from scylla_store.database.base import Database

NAME = "drain.summary"
FAILURE = "drain.failure"

T = TypeVar("T")


@dataclass(frozen=True)
class DrainSummary:
    """What the last drain saw. Times are microseconds; counts are exact only when `exact`.

    `broker_emptied`: this drain found that the broker had lost its data. Older workers write and read it beside newer ones: a new field needs a default.
    """

    at: int
    pending: int
    retrying: int
    oldest_filed_at: int | None
    exact: bool
    dispatched: int
    backlog: int | None
    due: int = 0
    broker_emptied: bool = False


def store_summary(database: Database, summary: DrainSummary) -> None:
    """Keeps the summary for `load_summary` in any process."""
    database.set_state(NAME, json.dumps(asdict(summary)).encode())


def load_summary(database: Database) -> DrainSummary | None:
    """The last drain's summary; None when there is none, or one that this version cannot read."""
    stored = database.state(NAME)
    if stored is None:
        return None
    try:
        return known(DrainSummary, json.loads(stored))
    except TypeError:
        return None


@dataclass(frozen=True)
class DrainFailure:
    """Why a drain could not finish: when (microseconds, of a clock that may be wrong), where (host/pid) and the reason."""

    at: int = 0
    process: str = ""
    reason: str = ""


def store_failure(database: Database, failure: DrainFailure) -> None:
    """Keeps it for `load_failure` in any process."""
    database.set_state(FAILURE, json.dumps(asdict(failure)).encode())


def load_failure(database: Database) -> DrainFailure | None:
    """The last failure of a drain; None when there was none."""
    stored = database.state(FAILURE)
    return None if stored is None else known(DrainFailure, json.loads(stored))


def known(kind: type[T], stored: dict[str, Any]) -> T:
    """An object of stored fields, without those that this version does not know."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in stored.items() if name in names})
