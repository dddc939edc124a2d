"""Whether the broker still has the data that it had at the last drain.

The broker keeps a random value of ours among its data, the database remembers it. One that is another, or new, says that
what waited beside it is gone: the broker was emptied, came back without its data, dropped it to make room, or is another one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from scylla_store.database.base import Database
from scylla_store.summary import known

NAME = "drain.broker"


@dataclass(frozen=True)
class BrokerSeen:
    """The mark that a drain found last, and when (microseconds) one found that it had changed; None: never."""

    mark: str = ""
    emptied_at: int | None = None


def load_broker(database: Database) -> BrokerSeen:
    """What the last drain noted, in any process."""
    stored = database.state(NAME)
    return BrokerSeen() if stored is None else known(BrokerSeen, json.loads(stored))


def note_mark(database: Database, mark: str, now: int) -> bool:
    """Notes the mark that the broker has now, and returns whether it lost an earlier one: once, whoever drains next."""
    seen = load_broker(database)
    if seen.mark == mark:
        return False
    is_lost = bool(seen.mark)
    noted = BrokerSeen(mark, now if is_lost else seen.emptied_at)
    database.set_state(NAME, json.dumps(asdict(noted)).encode())
    return is_lost
