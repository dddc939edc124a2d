"""Mistakes with what is not ours alone: points that other hands wrote, letters that an operator gave up, locks, other processes."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_PLANTED = "tests/unit/reconcile/test_planted.py"
_LETTERS = "tests/unit/test_dead_letters.py"
_OTHERS = "no other hands write points in a schedule"
_ALONE = "a schedule runs in one process"

FOREIGN: tuple[Mutant, ...] = (
    mutant(
        "ids of digits are texts",
        "Ids of points are UUIDs, and these are texts.",
        "index/ids.py",
        "    return int(identifier) if identifier.isdecimal() else identifier\n",
        "    return identifier\n",
        f"{_PLANTED} -k number",
        unseen=_OTHERS,
    ),
    mutant(
        "a point is plain when it has a fingerprint",
        "Whoever wrote the fingerprint wrote the rest as well.",
        "index/base.py",
        "bool(self.fingerprint) and tuple(map(type, stored)) == (str, int, str)",
        "bool(self.fingerprint)",
        _PLANTED,
        unseen=_OTHERS,
    ),
    mutant(
        "of a list the first number counts",
        "Of texts the first one counts as well.",
        "index/payloads.py",
        "    return max((number for number in numbers if number is not None), default=None)\n",
        "    return next((number for number in numbers if number is not None), None)\n",
        "tests/contract/index/test_other_forms.py -k edge",
        unseen=_OTHERS,
    ),
    mutant(
        "a repair does not look for vectors",
        "What a point says of itself was compared already.",
        "sync.py",
        "            seen = as_without_text(self._index, seen, {job.digest for job in jobs if job.is_repair})\n",
        "",
        f"{_PLANTED} -k vector",
        unseen="no point of a schedule loses its vector",
    ),
    mutant(
        "a replay wins over a later discard",
        "Somebody asked for it.",
        "sync.py",
        "        return letter is None or not letter.discarded\n",
        "        return True\n",
        _LETTERS,
        kind="poisoned",
    ),
    mutant(
        "nobody hears of a fork",
        "A child begins with what its parent had.",
        "forks.py",
        "    _followed.add(something)\n",
        "    pass\n",
        "tests/unit/test_forks.py",
        unseen=_ALONE,
    ),
    mutant(
        "a lock that is shared",
        "All that want it take the same lock.",
        "file_locks.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "tests/unit/moving/test_files.py",
        "tests/contract/index/test_edge.py",
        unseen=_ALONE,
    ),
    mutant(
        "CQL: a named value is written at this machine's time",
        "The last writer wins.",
        "database/cql/registry.py",
        "        time = max(self._clock(), (stored or 0) + 1)\n",
        "        time = self._clock()\n",
        "tests/unit/database/test_cql_state.py",
        unseen="the stub keeps named values without times",
    ),
)
