"""Mistakes in conditional writes: conditional.py."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, mutant

_TESTS = "tests/unit/test_conditional.py"
_TOLD = "what a writer is told of a write that was not applied is judged in the tests"

CONTENDING: tuple[Mutant, ...] = (
    mutant(
        "no serial read after a lost answer",
        "A read with the consistency of writes sees every write that has happened.",
        "conditional.py",
        "            cells = self._database.read([item], serial=True).get(item)\n",
        "            cells = self._database.read([item]).get(item)\n",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "the intent is written after the conditional write",
        "Only what was applied is to be indexed, so nothing has to be taken back.",
        "conditional.py",
        """        self._file(attempt)
        answer = self._send(attempt)
        if answer is False:
            self._forget(attempt)
            return None
""",
        """        answer = self._send(attempt)
        if answer is False:
            return None
        self._file(attempt)
""",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "not applied leaves its intent",
        "A worker acknowledges what is not there.",
        "conditional.py",
        "        if answer is False:\n            self._forget(attempt)\n            return None\n",
        "        if answer is False:\n            return None\n",
        _TESTS,
        unseen="it does no harm: a worker settles each of them with a serial read, half a minute later",
    ),
    mutant(
        "the intent of a lost answer is taken back",
        "A serial read that does not show a write proves that it never comes.",
        "conditional.py",
        "            if answer is not None:\n                self._forget(attempt)\n",
        "            self._forget(attempt)\n",
        _TESTS,
        unseen="the next attempt rules it out, unless its writer is killed just then: none of 1,100 schedules shows it",
    ),
    mutant(
        "the version is compared and not the head",
        "When the version has grown, the write was applied.",
        "conditional.py",
        "        if found.write_id == attempt.write_id:\n",
        "        if found.row is not None and found.row.version > (0 if attempt.before.row is None else attempt.before.row.version):\n",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "no margin after a plain write",
        "The head is compared, so time does not matter.",
        "conditional.py",
        "        left = self._guard.until_past(row.version)\n",
        "        left = 0\n",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "the margin has no difference of nodes",
        "When the database's clock is past the head, its next time is later.",
        "skew.py",
        "        return max(0, version + difference + 1 - self.now())\n",
        "        return max(0, version + 1 - self.now())\n",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "applied is believed without looking",
        "The database says so.",
        "conditional.py",
        "        if found.write_id in (None, attempt.before.write_id):\n",
        "        if answer is None and found.write_id in (None, attempt.before.write_id):\n",
        _TESTS,
        unseen="with the margin nothing is hidden behind a later time; a test has a clock that is further off",
    ),
    mutant(
        "a lost answer is tried again when another write is there",
        "What was written is not there, so it was not applied.",
        "conditional.py",
        "        if found.write_id in (None, attempt.before.write_id):\n",
        "        if answer is None or found.write_id in (None, attempt.before.write_id):\n",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "a late conditional write is not filed again",
        "Its intent was written before it.",
        "conditional.py",
        "        self._file_again_if_late(attempt)\n        outcome",
        "        outcome",
        _TESTS,
        kind="contended",
    ),
    mutant(
        "an attempt that was not there is forgotten",
        "The serial read has settled it; what comes later is for the next attempt.",
        "conditional.py",
        "            lost[attempt.write_id] = attempt\n",
        "            pass\n",
        _TESTS,
        kind="contended",
    ),
    Mutant(
        "a worker settles nothing",
        "A conditional write that is not there after the margin has not happened.",
        (
            Edit(
                "scylla_store/sync.py",
                "        unsettled = [job for job in jobs if planning.needs_serial(job.refs, job.view.row)]\n",
                "        unsettled: list[Job] = []\n",
            ),
        ),
        (_TESTS,),
        kind="contended",
    ),
    mutant(
        "what has expired counts as there",
        "The row is there until it is cleaned up.",
        "conditional.py",
        "        return self.row if self.row is not None and self.row.is_visible(now) else None\n",
        "        return self.row if self.row is not None and not self.row.head.deleted else None\n",
        _TESTS,
        unseen="what a reader may see is judged in the tests",
    ),
    mutant(
        "what may still come counts as not applied",
        "It was looked for with a serial read, and is not there.",
        "conditional.py",
        "        if lost and not outcome:\n            raise OutcomeUnknown(_OPEN)\n",
        "",
        _TESTS,
        unseen=_TOLD,
    ),
    mutant(
        "a later error hides an attempt that may still come",
        "The last error says best what went wrong.",
        "conditional.py",
        '            if lost:\n                raise OutcomeUnknown(f"{_OPEN} ({exc})") from exc\n            raise\n',
        "            raise\n",
        _TESTS,
        unseen=_TOLD,
    ),
    mutant(
        "absent by a plain read",
        "A read with the consistency of writes sees every write that has happened.",
        "conditional.py",
        "        if before.seen(self._clock.now()) is None and decide(None) is None:\n            return self._read(item, serial=True)\n",
        "",
        _TESTS,
        unseen="a writer of a schedule that finds nothing goes on to the next deed",
    ),
)
