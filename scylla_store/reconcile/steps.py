"""The steps of a round: each reads some points or rows, looks again at what differs, and counts what differs for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from scylla_store.clock import SECOND, Clock
from scylla_store.database.base import Database, Position
from scylla_store.errors import TombstoneLimit
from scylla_store.identity import SLICES, ItemId, item_digest
from scylla_store.index.base import Index, SeenPoint
from scylla_store.points import item_of
from scylla_store.reconcile.ahead import Ahead
from scylla_store.reconcile.balance import Balance
from scylla_store.reconcile.compare import Drift
from scylla_store.reconcile.looks import Looks, Seen, Suspect
from scylla_store.reconcile.pace import Pace
from scylla_store.reconcile.rounds import END, LETTERS, NAMESPACES, ORPHANS, POINTS, ROWS, Round
from scylla_store.registry import REGISTER_AGAIN, Registry
from scylla_store.rows import Cells

_POINTS = 1000
_MOST_SLICES = 512
_BEYOND = 2**64
"""The last slices are read without an end (no number in an index is as large), so that one that no slice has is met too."""

_ROWS = 500
_SUSPECTS = 500

_PAGES_AHEAD = 2
"""While one page of points is decoded here, the server looks for another."""

_Page = tuple[list[SeenPoint], "str | None"]


class Steps:
    """Takes one round on, step by step. While a page is compared, the points of the next two are read, and the rows after those.

    Phase 1, the points, slice by slice: those that do not say whose they are. Phase 2, rows -> points: all differences of
    items that have a row. Phase 3, points -> rows: points of items that have none, in the slices whose points are not just
    those that the rows had (see `Balance`); and points that phase 2 did not see, because they lack tokens. Phase 4: namespaces without items leave the list. Phase 5: dead letters that were
    discarded are counted. Each item is counted in one phase only: in the third when it has no row, in the second when it has one.
    """

    def __init__(
        self, walk: Round, pace: Pace, database: Database, index: Index, registry: Registry, looks: Looks, clock: Clock,
        balance: Balance | None, *, reads_ahead: bool,
    ) -> None:  # fmt: skip
        self._walk = walk
        self._pace = pace
        self._pages = Ahead(_PAGES_AHEAD if reads_ahead else 0)
        self._scans = Ahead(1 if reads_ahead else 0)
        self._database = database
        self._index = index
        self._registry = registry
        self._looks = looks
        self._clock = clock
        self._balance = balance

    def take(self) -> None:
        """One step, at the pace; the round says then where it is, and which repairs are due."""
        before = self._done()
        phases: dict[str, Callable[[], None]] = {
            POINTS: self._points, ROWS: self._rows, ORPHANS: self._orphans,
            NAMESPACES: self._namespaces, LETTERS: self._letters,
        }  # fmt: skip
        phases[self._walk.phase]()
        if self._balance is not None:
            self._balance.leave(self._walk)
        self._pace.keep(self._done() - before)

    def close(self) -> None:
        """Ends the reading ahead."""
        self._scans.close()
        self._pages.close()

    def _done(self) -> int:
        return sum(self._walk.counts[what] for what in ("scanned", "points", "met_again", "letters"))

    # -- points, and points -> rows

    def _points(self) -> None:
        """Some slices, or a part of large ones; after the last one the points that are in none."""
        for slices, found in self._pages_of_points(ROWS):
            self._walk.counts["points"] += len(found)
            for point in found:
                if item_of(point) is None:
                    self._walk.found(Drift.DAMAGED, point.id)
                elif self._balance is not None:
                    self._balance.met(point, slices)

    def _orphans(self) -> None:
        """The same, of the slices that may have points without a row."""
        met: dict[ItemId, list[SeenPoint]] = {}
        for _, found in self._pages_of_points(NAMESPACES):
            self._walk.counts["met_again"] += len(found)
            for point in found:
                item = item_of(point)
                if item is not None:
                    met.setdefault(item, []).append(point)
        self._judge(self._looks.unasked(met, full=self._walk.full))

    def _pages_of_points(self, following: str) -> Iterator[tuple[range | None, list[SeenPoint]]]:
        """The next pages of points with their slices, as many as one step has; after the last one comes the following phase."""
        walk, phase, seen = self._walk, self._walk.phase, 0
        walk.slice = self._next(walk.slice) if walk.after is None else walk.slice
        while seen < self._pace.step and walk.phase == phase:
            slices = _slices(walk.slice, walk.width)
            found, after = self._pages.take(self._read_points, walk.slice, walk.width, walk.after)
            _pass(walk, len(found), after, following)
            if walk.phase == phase:
                walk.slice = self._next(walk.slice) if walk.after is None else walk.slice
                self._pages.start(self._read_points, walk.slice, walk.width, walk.after)
            if walk.after is None and walk.slice + walk.width < SLICES:  # unless the width changes, that follows
                self._pages.start(self._read_points, self._next(walk.slice + walk.width), walk.width, None)
            seen += len(found)
            yield slices, found

    def _next(self, number: int) -> int:
        """The next slice to walk, this one or a later one."""
        balance = self._balance
        return number if balance is None or self._walk.phase != ORPHANS else balance.next_open(number)

    def _read_points(self, first: int, width: int, after: str | None) -> _Page:
        return self._index.slices(_slices(first, width), after=after, limit=min(self._pace.step, _POINTS))

    # -- rows -> points

    def _rows(self) -> None:
        """Some pages of rows, each with the points of its items."""
        walk, suspects, compared = self._walk, list[Suspect](), 0
        while compared < self._pace.step and len(suspects) < _SUSPECTS:
            try:
                page = self._pages.take(self._read_rows, walk.position)
            except TombstoneLimit as exc:
                walk.skip(exc)
                continue
            if not page:
                walk.phase, walk.position, walk.slice, walk.width, walk.after = ORPHANS, None, 0, 1, None
                break
            walk.position = page[-1].row.id
            self._pages.start(self._read_rows, walk.position)
            if not walk.dry_run:
                self._registry.register({seen.row.id.namespace for seen in page})
            some, dead = self._looks.first(page, full=walk.full)
            suspects += some
            self._account(page, some)
            walk.counts["dead"] += dead
            compared += len(page)
        walk.counts["scanned"] += compared
        self._judge(suspects)

    def _account(self, page: Sequence[Seen], suspects: Sequence[Suspect]) -> None:
        """Takes the points of sound rows out of the balance."""
        if self._balance is not None:
            differing = {suspect.item for suspect in suspects}
            for seen in page:
                if seen.row.id not in differing:
                    self._balance.matched(seen.digest, seen.points)

    def _read_rows(self, after: Position | None) -> list[Seen]:
        """A page of rows with their points; in the thread that reads ahead, if there is one."""
        rows = self._scans.take(self._scan, after)
        if rows:
            self._scans.start(self._scan, rows[-1].id)
            self._pages.start(self._read_rows, rows[-1].id)
        return self._looks.seen(rows, full=self._walk.full)

    def _scan(self, after: Position | None) -> list[Cells]:
        return self._database.scan(after=after, limit=min(self._pace.step, _ROWS))

    # -- the list of namespaces

    def _namespaces(self) -> None:
        """Takes those off the list that nobody listed lately and that are empty: at the time that was seen."""
        walk = self._walk
        after = None if walk.position is None else walk.position[0]
        found = self._database.namespaces((), after=after, limit=_ROWS)
        old = self._clock() - 3 * REGISTER_AGAIN * SECOND
        for registration in found:
            if registration.seen_at < old and not walk.dry_run and self._is_empty(registration.namespace):
                self._database.unregister(registration)
        if len(found) < _ROWS:
            walk.phase, walk.position, walk.after = LETTERS, None, None
        else:
            walk.position = (found[-1].namespace, None)

    def _is_empty(self, namespace: tuple[str, ...]) -> bool:
        try:
            return not self._database.keys(namespace, after=None, limit=1)
        except TombstoneLimit:
            return False

    # -- the dead letters

    def _letters(self) -> None:
        """Counts those that were given up, a page in a step."""
        walk, most = self._walk, min(self._pace.step, _ROWS)
        found = self._database.letters(after=walk.after, limit=most)
        walk.counts["letters"] += len(found)
        walk.counts["discarded"] += sum(letter.discarded for letter in found)
        walk.phase, walk.after = (LETTERS, found[-1].id) if len(found) == most else (END, None)

    # -- what differs

    def _judge(self, suspects: Sequence[Suspect]) -> None:
        walk = self._walk
        verdict = self._looks.again(suspects, full=walk.full, since=walk.started_at)
        walk.counts["in_flight"] += verdict.waiting + verdict.young
        walk.counts["young"] += verdict.young
        for finding in verdict.findings:
            if finding.is_counted:
                walk.found(finding.kind, item_digest(finding.item))
        if not walk.dry_run:
            walk.filing = [finding.item for finding in verdict.findings if finding.is_repairable]
            walk.counts["repaired"] += len(walk.filing)


def _slices(first: int, width: int) -> range | None:
    """The slices to read at once; None: the points that are in none."""
    if first >= SLICES:
        return None
    return range(first, first + width if first + width < SLICES else _BEYOND)


def _pass(walk: Round, found: int, after: str | None, following: str) -> None:
    """Moves the round behind a page of points; behind the last one into the phase that follows."""
    first, walk.after = walk.after is None, after
    if after is None:
        is_over = walk.slice >= SLICES
        walk.phase = following if is_over else walk.phase
        walk.slice = SLICES if is_over else min(SLICES, walk.slice + walk.width)
        walk.width = _width(walk.width, found if first else _POINTS)


def _width(width: int, found: int) -> int:
    """How many slices to read at once, by how many points that many had."""
    return min(_MOST_SLICES, 2 * width) if found < _POINTS // 4 else max(1, width // 2) if found >= _POINTS else width
