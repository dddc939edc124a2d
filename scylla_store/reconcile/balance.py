"""Which points no row accounted for, without remembering a single one."""

from __future__ import annotations

from collections.abc import Sequence

from scylla_store.identity import SLICES, item_slice
from scylla_store.index.base import SeenPoint
from scylla_store.reconcile.rounds import POINTS, Round

Place = tuple[object, ...]


class Balance:
    """For each slice the sum of the hashes of its points, less those of the points that belong to sound rows.

    Where it is 0, the points that were met are just those of the rows (another set has the same sum by a chance of 1 in
    2^61), and no row needs to be looked for. It lives in the memory of one process: who goes on with somebody else's round
    has none, and looks for the rows of all points.
    """

    def __init__(self, walk: Round) -> None:
        self._sums = [0] * SLICES
        self._open: set[int] = set()
        self._place: Place = _place(walk)

    @classmethod
    def of(cls, walk: Round, known: Balance | None) -> Balance | None:
        """That of a round which begins or goes on where the known one was left; else None."""
        if known is not None and known._place == _place(walk):
            return known
        return cls(walk) if walk.phase == POINTS and not walk.counts["points"] and not walk.slice else None

    def leave(self, walk: Round) -> None:
        """A step is done: it is right for a round at this place."""
        self._place = _place(walk)

    def met(self, point: SeenPoint, slices: range | None) -> None:
        """A point that says whose it is, among those of these slices. One that says so in another slice leaves all of these open."""
        number = item_slice(point.item)
        if slices is None:
            return  # these are looked at in any case
        if point.payload.get("slice") == number:
            self._sums[number] += hash(point.id)
        else:
            self._open.update(range(slices.start, min(slices.stop, SLICES)))

    def matched(self, digest: str, points: Sequence[SeenPoint]) -> None:
        """All points of an item, which are what its row asks for."""
        self._sums[item_slice(digest)] -= sum(hash(point.id) for point in points)

    def next_open(self, number: int) -> int:
        """The first slice from this one on that may have points without a row; `SLICES`, those in none, always may."""
        return next((one for one in range(number, SLICES) if self._sums[one] or one in self._open), SLICES)


def _place(walk: Round) -> Place:
    return walk.id, walk.phase, walk.slice, walk.after, walk.position, walk.counts["points"], walk.counts["scanned"]
