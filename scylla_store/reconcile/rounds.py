"""One comparison of everything: where it is, what it has found, and its report. All of it fits into one small value."""

from __future__ import annotations

import dataclasses
import json
import logging
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scylla_store.clock import SECOND
from scylla_store.database.base import Database, Position, behind
from scylla_store.errors import TombstoneLimit
from scylla_store.identity import ItemId
from scylla_store.reconcile.compare import Drift

log = logging.getLogger(__name__)

_REPORTS = "reconcile.reports"
_EXAMPLES = 20
POINTS, ROWS, ORPHANS, NAMESPACES, LETTERS, END = "points", "rows", "orphans", "namespaces", "letters", "end"


@dataclass(frozen=True)
class ReconcileReport:
    """What one reconciliation saw. Counts of drift are items (points, where nobody knows whose they are).

    Attributes:
        started_at, ended_at: microseconds since the epoch.
        by: "beat", or "call" for the API and the command line.
        scanned: rows that were compared; points: points that were met.
        missing, stale, orphan, wrong_model, incomplete, expired, damaged, newer: see `Drift`.
        repaired: intents of repair that were filed; the workers carry them out.
        in_flight: items that differed because they were just being written or indexed: no drift.
        dead, discarded: items whose text is not searchable because of a dead letter, and those given up for good.
        skipped: namespaces that the database could not read to the end (see TombstoneLimit).
        skipped_tokens: tokens of such namespaces of which it could not read a single row.
        resumed: how often it was interrupted and went on.
        examples: the first items of each kind, as digests (points without an item as their ids).
    """

    id: str
    by: str
    full: bool
    dry_run: bool
    started_at: int
    ended_at: int
    scanned: int
    points: int
    missing: int
    stale: int
    orphan: int
    wrong_model: int
    incomplete: int
    expired: int
    damaged: int
    newer: int
    repaired: int
    in_flight: int
    dead: int
    discarded: int
    skipped: list[list[str]]
    resumed: int
    examples: dict[str, list[str]]
    skipped_tokens: list[str] = field(default_factory=list)

    @property
    def drift(self) -> int:
        """All differences."""
        return sum(self.kinds().values())

    def kinds(self) -> dict[str, int]:
        """The differences by kind."""
        return {kind.value: getattr(self, kind.value) for kind in Drift}

    @property
    def is_partial(self) -> bool:
        """Whether there are namespaces that the database could not read to the end."""
        return bool(self.skipped or self.skipped_tokens)

    @property
    def seconds(self) -> float:
        """How long it took, interruptions included."""
        return (self.ended_at - self.started_at) / SECOND

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**dataclasses.asdict(self), "drift": self.drift, "seconds": self.seconds}


@dataclass
class Round:
    """A reconciliation on its way. Stored after every step, so that whoever goes on begins with the next one.

    Attributes:
        phase: points, rows -> points, points -> rows, the list of namespaces, the dead letters, the end.
        slice, width: the slices at hand where points are walked (`SLICES` stands for points in none); after: where in them, or in the letters.
        position: where in the rows, or in the namespaces.
        filing: items whose repair is being filed: the next one who goes on files them again, which does no harm.
        making: of the index that it began with (see `Rebuild.making`); "" in a dry run, and in one of an earlier version.
    """

    id: str
    by: str
    full: bool
    dry_run: bool
    started_at: int
    updated_at: int
    phase: str = POINTS
    slice: int = 0
    width: int = 1
    after: str | None = None
    position: Position | None = None
    filing: list[ItemId] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[list[str]] = field(default_factory=list)
    skipped_tokens: list[str] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=dict)
    making: str = ""

    @classmethod
    def new(cls, *, by: str, full: bool, dry_run: bool, now: int, making: str = "") -> Round:
        """One that begins."""
        return cls(uuid.uuid4().hex[:12], by, full, dry_run, now, now, making=making)

    def found(self, kind: Drift, what: str) -> None:
        """Counts a difference of an item (its digest) or a point (its id)."""
        self.counts[kind.value] += 1
        some = self.examples.setdefault(kind.value, [])
        if len(some) < _EXAMPLES:
            some.append(what)

    def skip(self, exc: TombstoneLimit) -> None:
        """Goes on behind what the database cannot read; raises the error when there is no going on."""
        position = behind(exc)
        if position is None:
            raise exc
        log.error("The reconciliation leaves out the rest of a namespace: %s", exc)
        self.position = position
        if exc.namespace:
            self.skipped.append(list(exc.namespace))
        else:
            self.skipped_tokens.append(str(exc.token))

    def report(self, ended_at: int) -> ReconcileReport:
        """What it has seen so far."""
        names = {field.name for field in dataclasses.fields(ReconcileReport)}
        given = {name: getattr(self, name) for name in names if hasattr(self, name)}
        counted: dict[str, Any] = {name: self.counts[name] for name in names - given.keys() - {"ended_at"}}
        return ReconcileReport(ended_at=ended_at, **given, **counted)

    def to_json(self) -> bytes:
        """The stored value."""
        return json.dumps(
            {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}, ensure_ascii=False
        ).encode()

    @classmethod
    def from_json(cls, stored: bytes) -> Round:
        """What `to_json` made; what another version of the library put in beside that is left out."""
        names = {field.name for field in dataclasses.fields(cls)}
        fields = {name: value for name, value in json.loads(stored).items() if name in names}
        position = fields.pop("position")
        filing = [ItemId(tuple(namespace), key) for namespace, key in fields.pop("filing")]
        return cls(
            **{**fields, "counts": Counter(fields["counts"])},
            position=None if position is None else (tuple(position[0]), position[1]),
            filing=filing,
        )


class Reports:
    """The last reports, newest first."""

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most

    def add(self, report: ReconcileReport) -> None:
        """Stores a report and forgets the oldest."""
        others = [stored for stored in self._stored() if stored["id"] != report.id]
        stored = [report.as_dict(), *others][: self._most]
        self._database.set_state(_REPORTS, json.dumps(stored).encode())

    def all(self) -> list[ReconcileReport]:
        """All that are kept."""
        names = {field.name for field in dataclasses.fields(ReconcileReport)}
        return [
            ReconcileReport(**{name: value for name, value in fields.items() if name in names})
            for fields in self._stored()
        ]

    def _stored(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._database.state(_REPORTS) or b"[]")
        return found
