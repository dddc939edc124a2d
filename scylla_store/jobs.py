"""What the sync protocol knows of one item on its way, and what becomes of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scylla_store.errors import StoreError
from scylla_store.failures import Failure
from scylla_store.identity import ItemId, item_digest
from scylla_store.index.base import SeenPoint
from scylla_store.intents import Kind, Ref
from scylla_store.planning import Plan
from scylla_store.points import Draft, Recipe, fingerprint
from scylla_store.rows import Cells, Row, decode, unstamp

NO_WRITE = b""
"""Stands for the write id where there is no row."""

IsAskedFor = Callable[[int], bool]
"""Whether somebody wants an item to be tried although it has a letter, of this timestamp."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure, and the write whose row could not be brought to the index: a newer write begins anew."""

    failure: Failure
    write_id: bytes


@dataclass
class Outcome:
    """What became of the refs of one run. Those in neither list nor `failures` were left to the outbox, those of `late` items
    because there was no time left to embed them beside the others."""

    acked: list[Ref] = field(default_factory=list)
    waiting: list[Ref] = field(default_factory=list)
    failures: dict[ItemId, Failed] = field(default_factory=dict)
    anchored: set[ItemId] = field(default_factory=set)
    late: set[ItemId] = field(default_factory=set)
    embedded: int = 0


@dataclass
class Run:
    """What the steps of one run share.

    Attributes:
        deadline: after it no more index requests are sent.
        dead: the write that is given up: its row gets an anchor instead of points, and nothing is acknowledged.
        t0: the time at which the pass at hand began, before it read anything.
        has_embedded: whether a call of the embedder was begun.
    """

    outcome: Outcome
    deadline: int
    dead: bytes | None = None
    t0: int = 0
    has_embedded: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """A row as it was read once.

    Attributes:
        row: None when there is none, and when it cannot be decoded (`damage` says why).
        live: whether it belonged in the index at that time.
        letter: write id and timestamp of the item's dead letter, if it has one.
        anchor_only: whether an anchor takes the place of its points.
        mark: fingerprint of its points.
    """

    write_id: bytes = NO_WRITE
    row: Row | None = None
    live: bool = False
    letter: tuple[bytes, int] | None = None
    anchor_only: bool = False
    mark: str = ""
    damage: StoreError | None = None

    @classmethod
    def of(cls, cells: Cells | None, recipe: Recipe, *, now: int, anchor_only: bool, asked: IsAskedFor) -> View:
        """What the cells mean at `now`.

        A row whose own write is a dead letter is not tried again until somebody asks for it: its anchor is what the
        index shall hold. `asked` is told the timestamp of its letter.
        """
        write_id = write_id_of(cells)
        try:
            row = decode(cells)
            letter = None if cells is None or cells.letter is None else unstamp(cells.letter, cells.id)
        except StoreError as exc:
            return cls(write_id, damage=exc)
        if row is None:
            return cls(letter=letter)
        anchor_only = anchor_only or (letter is not None and letter[0] == write_id and not asked(letter[1]))
        mark = fingerprint(row, recipe, anchor_only=anchor_only)
        return cls(write_id, row, row.is_live(now), letter, anchor_only, mark)

    @property
    def version(self) -> int:
        return 0 if self.row is None else self.row.version

    def differs(self, other: View) -> bool:
        """Whether another write, its end, another expiry or a dead letter came between two reads."""
        return self._identity() != other._identity()

    def _identity(self) -> tuple[object, ...]:
        expires_at = None if self.row is None else self.row.expires_at
        return self.write_id, self.live, expires_at, self.anchor_only, self.damage is None


@dataclass(eq=False)
class Job:
    """One item on its way through the protocol.

    Attributes:
        view: its row, as the steps at hand take it.
        unverified: the row that index requests were made of, until it is seen once more to be the item's row.
        ended: nothing more happens to it in this run.
    """

    item: ItemId
    refs: list[Ref]
    digest: str = ""
    view: View = field(default_factory=View)
    target: list[Draft] = field(default_factory=list)
    seen: list[SeenPoint] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    restarts: int = 0
    unverified: View | None = None
    ended: bool = False

    def __post_init__(self) -> None:
        self.digest = item_digest(self.item)

    def touch(self) -> None:
        """Notes that index requests are sent for it; the first row that they were made of counts."""
        self.unverified = self.unverified or self.view

    @property
    def asked_at(self) -> int | None:
        """The timestamp of the last letter that somebody looked at and wants to be tried again; None: nobody does."""
        return max((ref.intent.version or 0 for ref in self.refs if ref.intent.kind is Kind.REPLAY), default=None)

    @property
    def is_repair(self) -> bool:
        """Whether a comparison found something wrong with its points."""
        return any(ref.intent.kind is Kind.REPAIR for ref in self.refs)


def jobs_of(refs: Iterable[Ref]) -> list[Job]:
    """One job per item, in the order of the refs."""
    jobs: dict[ItemId, Job] = {}
    for ref in refs:
        jobs.setdefault(ref.intent.item, Job(ref.intent.item, [])).refs.append(ref)
    return list(jobs.values())


def write_id_of(cells: Cells | None) -> bytes:
    """The head's write id, without decoding the rest: a damaged row has one too."""
    return NO_WRITE if cells is None or cells.head is None else cells.head[:16]
