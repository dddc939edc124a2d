"""Telling drift from work in flight: what differs at first sight is looked at again, beside what waits in the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Database, Waiting
from scylla_store.errors import NewerFormat
from scylla_store.identity import ItemId, item_digest, point_id
from scylla_store.index.base import Index, SeenPoint
from scylla_store.jobs import View
from scylla_store.points import Recipe, item_of
from scylla_store.reconcile.compare import Drift, changed_at, drift_of, is_whole
from scylla_store.rows import Cells
from scylla_store.settings.options import Settings
from scylla_store.sync import DELETED_TTL
from scylla_store.vectorless import as_without_text

_MOST_WAITING = 5000
_MOST_PLACES = 10_000
_ITEMS = 100
"""Items that are looked at again in one step, with their bodies."""


class Seen(NamedTuple):
    """A row with its item's digest and the points that were there right after it was read."""

    row: Cells
    digest: str
    points: Sequence[SeenPoint]


@dataclass(frozen=True, slots=True)
class Suspect:
    """An item that differed at first sight, and what its row was then; the first of its points, when it was met by those."""

    item: ItemId
    identity: tuple[object, ...]
    met_at: str | None = None


@dataclass(slots=True)
class Finding:
    """An item that differs for good.

    Attributes:
        is_counted: False when its damage was counted at a point that did not say whose it was.
        is_repairable: False for rows that cannot be decoded, unless all of their points are to be taken away.
    """

    item: ItemId
    kind: Drift
    is_counted: bool = True
    is_repairable: bool = True


@dataclass
class Verdict:
    """What the second look said: what differs for good, what an intent takes care of, and what nobody can tell yet."""

    findings: list[Finding] = field(default_factory=list)
    waiting: int = 0
    young: int = 0


class Looks:
    """Compares items with their points."""

    def __init__(self, database: Database, index: Index, recipe: Recipe, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._index = index
        self._recipe = recipe
        self._clock = clock
        self._skew = int(settings.clock.max_clock_skew * SECOND)
        self._grace = int(settings.reconcile.grace * SECOND)

    def seen(self, rows: Sequence[Cells], *, full: bool) -> list[Seen]:
        """The rows with the points that are there now; what these say of the documents is read in a full comparison only."""
        digests = [item_digest(row.id) for row in rows]
        points = self._index.points_of(digests, tokens=full)
        points = as_without_text(self._index, points) if full else points
        return [Seen(row, digest, points.get(digest, [])) for row, digest in zip(rows, digests, strict=True)]

    def first(self, page: Sequence[Seen], *, full: bool) -> tuple[list[Suspect], int]:
        """Those of the rows that differ from the points that were seen; and how many of all have a dead letter."""
        now = self._clock()
        suspects: list[Suspect] = []
        dead = 0
        for seen in page:
            view = self._view(seen.row, now)
            dead += view.anchor_only
            if self._differs(view, seen.points, seen.digest, now, full, tokens=full) is not None:
                suspects.append(Suspect(seen.row.id, _identity(view)))
        return suspects, dead

    def unasked(self, met: Mapping[ItemId, Sequence[SeenPoint]], *, full: bool) -> list[Suspect]:
        """Those of the items with points that no row asks for, each with the first of those that was met.

        What has no row; and what has one, when such a point has no tokens, so that only a full look at the row would see it.
        """
        found = self._database.read(list(met), body=False) if met else {}
        now = self._clock()
        absent: list[Suspect] = []
        others: list[Suspect] = []
        for item, points in met.items():
            cells = found.get(item)
            view = self._view(cells, now)
            suspect = Suspect(item, _identity(view), _first_of(_unasked(points, view)))
            if cells is None or cells.head is None:
                absent.append(suspect)
            elif view.damage is None and suspect.met_at is not None and not full:
                others.append(suspect)
        return absent + self._without_tokens(others)

    def _without_tokens(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Those that are right as far as points with tokens say; the others were suspects when their rows were met."""
        differing: set[ItemId] = set()
        for start in range(0, len(suspects), _ITEMS):  # all of them at once might be too much to hold
            rows = self._database.read([suspect.item for suspect in suspects[start : start + _ITEMS]])
            found, *_ = self.first(self.seen(list(rows.values()), full=False), full=False)
            differing.update(suspect.item for suspect in found)
        return [suspect for suspect in suspects if suspect.item not in differing]

    def again(self, suspects: Sequence[Suspect], *, full: bool, since: int) -> Verdict:
        """Which of them differ for good, in a comparison that began at `since`.

        What waits in the outbox is read between the two looks: a write whose intent was acknowledged before that is
        indexed by the second look, and a write that came later changed the row.
        """
        verdict = Verdict()
        if suspects:
            waiting = self._database.outbox.waiting(_MOST_WAITING)
            left = [suspect for suspect in suspects if suspect.item not in waiting.items]
            verdict.waiting += len(suspects) - len(left)
            for start in range(0, len(left), _ITEMS):
                self._judge(left[start : start + _ITEMS], waiting, verdict, full, since)
        return verdict

    def _judge(self, suspects: Sequence[Suspect], waiting: Waiting, verdict: Verdict, full: bool, since: int) -> None:
        cells = self._database.read([suspect.item for suspect in suspects])
        seen = self._index.points_of([item_digest(suspect.item) for suspect in suspects])
        seen = as_without_text(self._index, seen) if full else seen
        now = self._clock()
        lacking: dict[str, Finding] = {}
        for suspect in suspects:
            view = self._view(cells.get(suspect.item), now)
            digest = item_digest(suspect.item)
            points = seen.get(digest, [])
            kind = self._differs(view, points, digest, now, full)
            if kind is None:
                continue
            if isinstance(view.damage, NewerFormat):
                verdict.waiting += 1  # a newer version of the library judges it, as a newer worker indexes it
                continue
            # A head that says deleted stays as long: what has none was deleted before that.
            changed = now - DELETED_TTL * SECOND if view.row is None else changed_at(view, self._skew)
            # SQLite's versions grow on behind those of a clock that was ahead once: they do not tell when it was.
            is_dated = changed <= now + 2 * self._skew
            may_wait = view.damage is None and self._may_wait(changed, waiting)
            is_later = view.row is None or (is_dated and changed > since)
            if _identity(view) != suspect.identity or (may_wait and is_later):
                verdict.waiting += 1
            elif may_wait or (is_dated and changed + self._grace > now):
                verdict.young += 1
            elif suspect.met_at in (None, _first_of(_unasked(points, view))):  # other steps meet others of them
                finding = _finding(suspect.item, kind, view, points)
                verdict.findings.append(finding)
                if kind in (Drift.MISSING, Drift.INCOMPLETE):
                    lacking.update(dict.fromkeys(_empty_places(points, digest), finding))
        self._leave_out_met(lacking)

    def _leave_out_met(self, lacking: dict[str, Finding]) -> None:
        """A point that does not say whose it is stands where an item lacks one: it was counted when it was met."""
        found = self._index.at(list(lacking)) if lacking else {}
        for place, point in found.items():
            if item_of(point) is None:
                lacking[place].is_counted = False

    def _view(self, cells: Cells | None, now: int) -> View:
        return View.of(cells, self._recipe, now=now, anchor_only=False, asked=lambda _: False)

    def _differs(
        self, view: View, seen: Sequence[SeenPoint], digest: str, now: int, full: bool, *, tokens: bool = True
    ) -> Drift | None:
        return drift_of(view, seen, digest, self._recipe, now=now, skew=self._skew, full=full, tokens=tokens)

    def _may_wait(self, changed: int, waiting: Waiting) -> bool:
        """Whether the intent of what changed then may be one of those that were too many to read."""
        oldest = waiting.oldest_filed_at
        return not waiting.exact and oldest is not None and changed + self._grace > oldest


def _unasked(points: Sequence[SeenPoint], view: View) -> list[SeenPoint]:
    """Those that the row does not ask for, by what the walk over points reads of them."""
    return [point for point in points if not (view.live and point.fingerprint == view.mark and _is_in_place(point))]


def _is_in_place(point: SeenPoint) -> bool:
    ordinal, count = point.payload.get("ordinal"), point.payload.get("count")
    is_one = isinstance(ordinal, int) and isinstance(count, int) and 0 <= ordinal < count
    return is_one and point.id == point_id(point.item, cast("int", ordinal))


def _first_of(points: Sequence[SeenPoint]) -> str | None:
    return min((point.id for point in points if item_of(point) is not None), default=None)


def _finding(item: ItemId, kind: Drift, view: View, seen: Sequence[SeenPoint]) -> Finding:
    is_readable = view.damage is None and not (view.live and view.row is not None and not is_whole(view.row))
    # A row that is not searchable may be damaged without any point to repair.
    is_repairable = is_readable and (kind is not Drift.DAMAGED or bool(seen))
    return Finding(
        item, kind, is_repairable=is_repairable, is_counted=all(item_of(point) is not None for point in seen)
    )


def _empty_places(seen: Sequence[SeenPoint], digest: str) -> list[str]:
    """Ids of the chunks that are missing, as far as the others say how many there are."""
    counts = [count for point in seen if isinstance(count := point.payload.get("count"), int)]
    known = {point.id for point in seen}
    places = (point_id(digest, ordinal) for ordinal in range(min(_MOST_PLACES, max(counts, default=1))))
    return [place for place in places if place not in known]


def _identity(view: View) -> tuple[object, ...]:
    expires_at = None if view.row is None else view.row.expires_at
    return view.write_id, view.version, expires_at, view.letter
