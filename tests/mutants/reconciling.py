"""Mistakes in the reconciliation: reconcile/."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_TESTS = "tests/unit/reconcile/test_reconciler.py"
_BALANCE = "tests/unit/reconcile/test_balance.py"
_LATE = "it only adds work or noise: repairs are intents of the sync protocol, which does no harm to what is right"

RECONCILING: tuple[Mutant, ...] = (
    mutant(
        "reconcile: the lease is ignored",
        "Beat runs once, and an operator knows what he does.",
        "reconcile/reconciler.py",
        "        if not self._database.lease(LEASE, self._owner, LEASE_TIME):\n            return False\n",
        "        self._database.lease(LEASE, self._owner, LEASE_TIME)\n",
        _TESTS,
        unseen=_LATE,
    ),
    mutant(
        "reconcile: the grace is ignored",
        "What differs twice differs.",
        "reconcile/looks.py",
        "            elif may_wait or (is_dated and changed + self._grace > now):\n",
        "            elif may_wait or (is_dated and changed > now):\n",
        _TESTS,
        unseen=_LATE,
    ),
    mutant(
        "reconcile: what waits in the outbox is not asked",
        "What is young is within the grace.",
        "reconcile/looks.py",
        "        left = [suspect for suspect in suspects if suspect.item not in waiting.items]\n",
        "        left = list(suspects)\n",
        _TESTS,
        unseen=_LATE,
    ),
    mutant(
        "reconcile: no second look at what changed",
        "A difference is a difference.",
        "reconcile/looks.py",
        "            if _identity(view) != suspect.identity or (may_wait and is_later):\n",
        "            if may_wait and is_later:\n",
        _TESTS,
        unseen=_LATE,
    ),
    mutant(
        "reconcile: the position is stored without what is to be filed",
        "Repairs are filed right after.",
        "reconcile/reconciler.py",
        """            self._store(walk)
            self._file(walk)
""",
        """            filing, walk.filing = walk.filing, []
            self._store(walk)
            walk.filing = filing
            self._file(walk)
""",
        _TESTS,
        unseen="after every schedule a whole reconciliation follows, which files it again",
    ),
    mutant(
        "reconcile: what was noted is not filed after a kill",
        "The step was done when its position is stored.",
        "reconcile/reconciler.py",
        '        walk.counts["resumed"] += by != "beat"\n        self._file(walk)\n',
        '        walk.counts["resumed"] += by != "beat"\n        walk.filing = []\n',
        _TESTS,
        unseen="as before: a whole reconciliation follows",
    ),
    mutant(
        "reconcile: orphans are not looked for",
        "Every document is compared, so every point is.",
        "reconcile/steps.py",
        "        self._judge(self._looks.unasked(met, full=self._walk.full))\n",
        "        self._judge([])\n",
        _TESTS,
    ),
    mutant(
        "reconcile: who goes on with another's round thinks that it has met all points",
        "What is not in the balance is balanced.",
        "reconcile/balance.py",
        '        return cls(walk) if walk.phase == POINTS and not walk.counts["points"] and not walk.slice else None\n',
        "        return cls(walk)\n",
        _BALANCE,
        unseen="the reconciliations of schedules are not cut between processes",
    ),
    mutant(
        "reconcile: a point counts in the slice of its item, wherever it says that it is",
        "A point is in the slice of its item.",
        "reconcile/balance.py",
        '        if point.payload.get("slice") == number:\n            self._sums',
        "        if True:\n            self._sums",
        _BALANCE,
        unseen="nobody in a schedule writes points with another slice",
    ),
    mutant(
        "reconcile: orphans are judged by the first look at their rows",
        "There was no row a moment ago.",
        "reconcile/looks.py",
        "        cells = self._database.read([suspect.item for suspect in suspects])\n        seen",
        "        cells: dict[ItemId, Cells] = {}\n        seen",
        _TESTS,
        unseen="repairs read the row themselves; what is wrong is the report",
    ),
    mutant(
        "reconcile: points that are newer than their row are right",
        "Newer is better.",
        "reconcile/compare.py",
        "    if any(point.version > view.version for point in seen) and row is not None:\n        return Drift.NEWER\n",
        "    if any(point.version > view.version for point in seen) and row is not None:\n        return None\n",
        _TESTS,
    ),
    mutant(
        "reconcile: points of deleted items are right",
        "A deleted row has no points.",
        "reconcile/compare.py",
        "        return Drift.ORPHAN if seen else None\n    if row.is_visible(now):\n",
        "        return None\n    if row.is_visible(now):\n",
        _TESTS,
    ),
    mutant(
        "reconcile: chunks are not counted",
        "What is there is of the right write.",
        "reconcile/compare.py",
        "    if any(_count(point) != len(seen) for point in seen) or sorted(map(_ordinal, seen)) != list(range(len(seen))):\n        return Drift.INCOMPLETE\n",
        "",
        _TESTS,
    ),
    mutant(
        "reconcile: an expired row is drift when it has expired here",
        "What is expired here is expired.",
        "reconcile/compare.py",
        "    is_over = row.expires_at is not None and past_for_all(row.expires_at, skew) <= now\n",
        "    is_over = row.expires_at is not None and row.expires_at <= now\n",
        _TESTS,
        unseen=_LATE,
    ),
    mutant(
        "reconcile: a dry run files repairs",
        "Repairs are what it is for.",
        "reconcile/steps.py",
        "        if not walk.dry_run:\n            walk.filing =",
        "        if True:\n            walk.filing =",
        _TESTS,
        unseen="a dry run notes repairs and never files them: only its count is wrong",
    ),
)
