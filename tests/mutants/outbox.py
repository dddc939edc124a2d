"""Mistakes in the outbox's life: drain.py and database/slots.py."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_DRAIN = "tests/unit/test_drain.py"
_SLOTS = "tests/unit/database/test_slots.py"
_OUTBOX = "tests/contract/database/test_outbox.py -k 'memory or sqlite'"

OUTBOX: tuple[Mutant, ...] = (
    mutant(
        "the drain's lease is ignored",
        "Beat runs once, so a drain is alone.",
        "drain.py",
        "        if not self._database.lease(LEASE, self._owner, max(60.0, 3 * self._settings.celery.drain_interval)):\n"
        "            return None\n",
        "        self._database.lease(LEASE, self._owner, max(60.0, 3 * self._settings.celery.drain_interval))\n",
        _DRAIN,
        unseen="several drains at once do no harm; the lease saves their work, and no promise rests on it",
    ),
    mutant(
        "a push is stored after its task is sent",
        "A task that is sent first is done first.",
        "drain.py",
        "            return [self._pushed(entry) for group in outgoing.take(groups) for entry in group]\n",
        "            pushed = [self._pushed(entry) for group in outgoing.take(groups) for entry in group]\n"
        "            outgoing.send()\n"
        "            return pushed\n",
        _DRAIN,
        kind="poisoned",
    ),
    mutant(
        "a suspect does not go alone",
        "Batches are faster.",
        "drain.py",
        "        suspects = [[entry] for entry in entries if is_suspect(entry)]\n"
        "        others = [entry for entry in entries if not is_suspect(entry)]\n",
        "        suspects: list[list[Entry]] = []\n        others = list(entries)\n",
        _DRAIN,
        kind="poisoned",
    ),
    mutant(
        "a dispatch is pushed by one run only",
        "A task runs for so long at most; that it waits before that is forgotten.",
        "drain.py",
        "    return 2 * settings.sync.time_limit\n",
        "    return settings.sync.time_limit\n",
        _DRAIN,
        unseen="it costs double work, and widens the exception that the promise makes: no schedule may show that one",
    ),
    mutant(
        "the drain dispatches above the limit of the queue",
        "What is due is due.",
        "drain.py",
        "return backlog, max(0, self._settings.sync.max_queue - (backlog or 0))",
        "return backlog, self._settings.sync.max_queue",
        _DRAIN,
        unseen="a long queue loses nothing, it is only slow",
    ),
    mutant(
        "an expiry is dispatched as soon as it is new",
        "A drain that is alone takes all that nobody has dispatched yet.",
        "drain.py",
        "    if entry.intent.kind is Kind.EXPIRY and entry.intent.key.due > now:\n        return False\n",
        "",
        _DRAIN,
        unseen="the worker leaves it waiting, so that it is work for nothing",
    ),
    mutant(
        "the watermark passes a straggler",
        "A slot that was read was done.",
        "database/slots.py",
        "        elif straggler is None:\n            self._tables.note([Straggler(slot, earliest, now)])\n",
        "        elif straggler is None:\n            pass\n",
        _SLOTS,
        _OUTBOX,
    ),
    mutant(
        "the watermark is raised before the straggler is noted",
        "Both are written anyhow.",
        "database/slots.py",
        "                self._settle(slot, earliest, straggler, now)\n                passed = max(passed, slot + 1)\n",
        "                passed = max(passed, slot + 1)\n"
        "                self._tables.raise_watermark(passed)\n"
        "                self._settle(slot, earliest, straggler, now)\n",
        _SLOTS,
        kind="large",
    ),
    mutant(
        "the watermark is not behind now",
        "What was due has been read.",
        "database/slots.py",
        "BEHIND = 60 * SECOND\n",
        "BEHIND = 0\n",
        _SLOTS,
        kind="early",
    ),
    mutant(
        "a slot that was read in part is passed",
        "What was offered was offered.",
        "database/slots.py",
        "            if not whole:\n                break\n",
        "",
        _SLOTS,
        _OUTBOX,
    ),
    mutant(
        "a note is written at the writer's time",
        "Now is later than before; but the last note may come from a faster clock.",
        "database/slots.py",
        "        elif straggler.earliest != earliest:\n"
        "            self._tables.note([Straggler(slot, earliest, max(now, straggler.timestamp + 1))])\n",
        "        elif straggler.earliest != earliest:\n"
        "            self._tables.note([Straggler(slot, earliest, now)])\n",
        _SLOTS,
        kind="large",
    ),
    mutant(
        "a note is struck whatever it says by now",
        "The slot was empty when it was read.",
        "database/slots.py",
        "                self._tables.strike(straggler)\n",
        "                self._tables.strike(Straggler(slot, straggler.earliest, max(now, straggler.timestamp + 1)))\n",
        _SLOTS,
    ),
    mutant(
        "an earlier attempt does not bring its slot forward",
        "The next attempt is in the row.",
        "database/slots.py",
        "        if earliest:\n            self._bring_forward(earliest)\n",
        "",
        _SLOTS,
        _OUTBOX,
    ),
    mutant(
        "no slow pass",
        "Nothing can be behind the watermark.",
        "database/slots.py",
        "        partitions, cursor = self._tables.partitions(cursor, _MAX_PARTITIONS)\n",
        "        partitions, cursor = (), None\n",
        _SLOTS,
        kind="large",
    ),
    mutant(
        "a straggler is not read again",
        "It has its own task by now.",
        "database/slots.py",
        "            elif straggler.earliest <= now:\n                yield straggler.slot, straggler\n",
        "",
        _SLOTS,
        _OUTBOX,
    ),
)
