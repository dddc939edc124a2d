"""What the last drain saw, as everybody can read it: one small value in the database, readable by older and newer versions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from scylla_store.database.base import Database

NAME = "drain.summary"


@dataclass(frozen=True)
class DrainSummary:
    """What the last drain saw. Times are microseconds; counts are exact only when `exact`."""

    at: int
    pending: int
    retrying: int
    oldest_filed_at: int | None
    exact: bool
    dispatched: int
    backlog: int | None


def store_summary(database: Database, summary: DrainSummary) -> None:
    """Keeps the summary for `load_summary` in any process."""
    database.set_state(NAME, json.dumps(asdict(summary)).encode())


def load_summary(database: Database) -> DrainSummary | None:
    """The last drain's summary; None when there is none, or one that this version cannot read."""
    stored = database.state(NAME)
    if stored is None:
        return None
    found = json.loads(stored)
    known = {field.name for field in fields(DrainSummary)}
    try:
        return DrainSummary(**{name: value for name, value in found.items() if name in known})
    except TypeError:
        return None
