"""Heartbeats: which worker processes are alive, how much each has indexed, and what troubles it.

They are small values in the database, eight in all, each written by read and replace: when two processes write the same
one at once, a heartbeat is lost and the next one comes 5 s later. Nobody decides anything by them, they are shown.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scylla_store.breakers import Breaker, Circuit
from scylla_store.clock import SECOND
from scylla_store.database.base import Database
from scylla_store.errors import ClockSkew
from scylla_store.skew import SkewGuard
from scylla_store.summary import known

EVERY = 5.0
"""Seconds between two heartbeats of a process."""

GONE_AFTER = 20.0
"""Seconds without one after which it is not counted as alive."""

_SHARDS = 8
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Pulse:
    """One heartbeat.

    Attributes:
        id: of the process, another one after each start.
        at: when, in microseconds of the database's clock.
        process: host and process id.
        acked: intents that it has brought to an end since it started.
        troubles: by name ("clock", "index", "embedder") why it does not work now.
        since: when it started; 0 where a version of the library beats that does not say so.
    """

    id: str = ""
    at: int = 0
    process: str = ""
    acked: int = 0
    troubles: Mapping[str, str] = field(default_factory=dict)
    since: int = 0


class Heart:
    """The heartbeats of this process.

    Args:
        clock: microseconds; it may be wrong, `guard` knows by how much.
        breakers: whose open circuits are troubles.
    """

    def __init__(
        self, database: Database, clock: Callable[[], int], guard: SkewGuard, breakers: Sequence[Breaker]
    ) -> None:
        self._database = database
        self._clock = clock
        self._guard = guard
        self._breakers = breakers
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._id = uuid.uuid4().hex
        self._acked = 0
        self._since = self._clock()

    def count(self, acked: int) -> None:
        """Adds to what this process has brought to an end."""
        self._notice_fork()
        self._acked += acked

    def beat(self) -> None:
        """Shows that this process is alive."""
        self._notice_fork()
        troubles = self._troubles()
        skew = self._guard.skew
        now = self._clock() - skew
        pulse = Pulse(self._id, now, process_name(), self._acked, troubles, self._since - skew)
        self._replace(now, {pulse.id: asdict(pulse)})

    def stop(self) -> None:
        """Takes this process off the list: it ends."""
        self._notice_fork()
        self._replace(self._clock() - self._guard.skew, {})

    def _replace(self, now: int, own: dict[str, Any]) -> None:
        name = _name(int(self._id, 16) % _SHARDS)
        others = {pulse.id: asdict(pulse) for pulse in _alive(self._database, name, now) if pulse.id != self._id}
        self._database.set_state(name, json.dumps({**others, **own}).encode())

    def _troubles(self) -> dict[str, str]:
        found = {breaker.name: _said(breaker.circuit) for breaker in self._breakers}
        try:
            self._guard.check()
        except ClockSkew as exc:
            found["clock"] = str(exc)
        return {name: reason[:_LONGEST_REASON] for name, reason in found.items() if reason}

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            self._begin()


def process_name() -> str:
    """Host and process id: what an operator looks for."""
    return f"{socket.gethostname()}/{os.getpid()}"


def pulses(database: Database, now: int) -> list[Pulse]:
    """Heartbeats of the processes that are alive at `now` (microseconds)."""
    return [pulse for shard in range(_SHARDS) for pulse in _alive(database, _name(shard), now)]


def _name(shard: int) -> str:
    return f"workers.{shard}"


def _alive(database: Database, name: str, now: int) -> list[Pulse]:
    stored: dict[str, dict[str, Any]] = json.loads(database.state(name) or b"{}")
    found = [known(Pulse, pulse) for pulse in stored.values()]
    return [pulse for pulse in found if abs(now - pulse.at) < GONE_AFTER * SECOND]


def _said(circuit: Circuit) -> str:
    return "" if circuit.state == "closed" else f"its circuit is {circuit.state}: {circuit.reason}"
