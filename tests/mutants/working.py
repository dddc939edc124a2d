"""Mistakes in what surrounds the protocol: attempts, delays, dead letters."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_WORKER = "tests/unit/test_worker.py"

WORKING: tuple[Mutant, ...] = (
    mutant(
        "attempts are counted after the step",
        "An attempt is one when it has failed.",
        "worker.py",
        "        if counted:\n"
        "            self._database.outbox.update([self._attempting(ref, entries[ref.intent.key]) for ref in counted])\n",
        "",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "an outage costs an attempt",
        "It was tried, and it failed.",
        "worker.py",
        "        own = [replace(ref, attempts=max(0, ref.attempts - 1) if ref.again else ref.attempts) for ref in refs]\n",
        "        own = list(refs)\n",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "waiting costs an attempt",
        "It was tried, and it was not done.",
        "worker.py",
        "        counted = [replace(ref, attempts=ref.attempts - 1) for ref in left if ref.again]\n",
        "        counted = [ref for ref in left if ref.again]\n",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "a redelivered task is worked as it is",
        "The broker delivers again what a restart interrupted.",
        "worker.py",
        "        if redelivered and len(refs) > 1 and dispatcher is not None:\n",
        "        if False:\n",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "acknowledged before the letter is written",
        "The document is done either way.",
        "worker.py",
        "        self._database.bury(letter)\n        after",
        "        self._database.outbox.ack([ref.intent.key for ref in refs])\n"
        "        self._database.bury(letter)\n"
        "        after",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "a letter is not taken back",
        "The row was read right before.",
        "worker.py",
        "            self._database.exhume([(item, letter.timestamp)])\n",
        "            pass\n",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "a newer write is buried with the one that failed",
        "The item failed, so the item is dead.",
        "worker.py",
        "            if write_id_of(cells) != failed.write_id:\n                self._begin_anew(refs, cells, report)\n            elif",
        "            if",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "an earlier letter shadows a later one",
        "Now is later than before.",
        "worker.py",
        "            timestamp=max(now, _timestamp_of_letter(cells) + 1),\n",
        "            timestamp=now,\n",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "a wrong clock works on",
        "Only writers choose versions.",
        "worker.py",
        "            self._check_clock()\n            refs = self._count_attempts(refs, redelivered, report)\n",
        "            refs = self._count_attempts(refs, redelivered, report)\n",
        _WORKER,
        unseen="no clock of a schedule is further off than the promise allows",
    ),
    mutant(
        "a permanent failure is tried for ever",
        "Perhaps it helps the next time.",
        "worker.py",
        "            if failed.failure.is_permanent or attempts >= self._settings.max_attempts:\n",
        "            if False:\n",
        _WORKER,
        kind="poisoned",
    ),
    mutant(
        "one bad document fails its batch",
        "A batch fails as a whole; it comes again.",
        "sync.py",
        "            if len(jobs) == 1:\n",
        "            if len(jobs) >= 1:\n",
        "tests/unit/test_sync.py",
        kind="poisoned",
    ),
)
