"""Mistakes in what is written: writes.py, reads.py, and the conditions that databases and indexes keep."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, mutant

_WRITES = "tests/unit/test_writes.py"
_WRITING = "tests/contract/index/test_writing.py"
_OUTBOX = "tests/contract/database/test_outbox.py -k 'memory or sqlite'"

WRITING: tuple[Mutant, ...] = (
    mutant(
        "the stored version is not looked at",
        "The clock is checked, so now is later than whatever is stored.",
        "writes.py",
        "        version = self._clock.version(floor)\n",
        "        version = self._clock.version()\n",
        _WRITES,
    ),
    mutant(
        "the intent is only a task",
        "The task is sent right after, so the row of the outbox looks like double work.",
        "writes.py",
        "            intents=intents,\n            ttl=DELETED_TTL",
        "            intents=(),\n            ttl=DELETED_TTL",
        _WRITES,
        _OUTBOX,
    ),
    mutant(
        "a late write is not filed again",
        "The write is stored with its intent; how long that took seems not to matter.",
        "writes.py",
        "        if self._clock.now() - started > self._patience:\n",
        "        if False:\n",
        _WRITES,
        kind="early",
    ),
    mutant(
        "a late write whose answer was lost is looked for at once",
        "It is late already.",
        "writes.py",
        "        dues = [now if error is None else now + self._margin for error in errors]\n",
        "        dues = [now for _ in errors]\n",
        _WRITES,
        unseen="so slow a write, whose batch is cut, and a worker before the batch log: one schedule in 60,000",
    ),
    mutant(
        "patience is the whole margin",
        "The margin is what the worker waits, so it is what the writer may take; clocks differ, though.",
        "writes.py",
        "        self._patience = self._margin - min(2 * self._skew, self._margin // 2)\n",
        "        self._patience = self._margin\n",
        _WRITES,
        kind="early",
    ),
    mutant(
        "no intent of expiry",
        "Whoever reads compares expires_at, so nothing has to happen when it is over.",
        "writes.py",
        "        return write, new_intent(item, head.write_id, version, Kind.EXPIRY, now=version, due=due, shard=shard)\n",
        "        return (write,)\n",
        _WRITES,
        "tests/unit/test_sync.py",
        kind="expiring",
    ),
    mutant(
        "expiry due without the skew of clocks",
        "The item has expired when it has expired.",
        "writes.py",
        "        due = past_for_all(head.expires_at, self._skew)\n",
        "        due = head.expires_at\n",
        _WRITES,
        "tests/unit/test_sync.py",
        kind="expiring",
    ),
    mutant(
        "a refresh files no new expiry",
        "The put has filed one already.",
        "reads.py",
        "            new_intent(row.id, write, row.version, Kind.EXPIRY, now=now, due=past_for_all(granted, self._skew)),\n",
        "",
        "tests/unit/test_reads.py",
        "tests/unit/test_sync.py",
        kind="expiring",
    ),
    mutant(
        "a refresh of another write counts",
        "The cell belongs to the row, so it is the row's.",
        "rows.py",
        "        if write_id == head.write_id:\n            expires_at = granted\n",
        "        expires_at = granted\n",
        "tests/contract/database/test_items.py -k 'memory or sqlite'",
        "tests/unit/test_sync.py",
        kind="expiring",
    ),
    mutant(
        "large documents: the intent after the item",
        "First what matters, then the note about it.",
        "database/cql/items.py",
        """        self._send(plan.intents, failures)
        self._send([item for item in plan.items if failures[item.positions[0]] is None], failures)
""",
        """        self._send(plan.items, failures)
        self._send(plan.intents, failures)
""",
        "tests/unit/database/test_cql_batches.py",
        unseen="the order is that of the CQL database; the schedules have a writing of their own, which does it right",
    ),
    mutant(
        "acked up to a version",
        "What is older than the state in the index is done, so one range delete clears it all.",
        "database/memory/outbox.py",
        """        at = self._clock()
        with self._lock:
            for key in keys:
""",
        """        at = self._clock()
        with self._lock:
            stored = [row.intent for rows in self._partitions.values() for row in rows.values() if row.intent]
            done = [intent for intent in stored if intent.key in keys]
            older = [
                intent.key
                for intent in stored
                for one in done
                if intent.item == one.item and (intent.version or 0) <= (one.version or 0)
            ]
            for key in [*keys, *older]:
""",
        _OUTBOX,
        "tests/unit/test_sync.py",
    ),
    mutant(
        "bookkeeping wins over an ack",
        "An update is an upsert, and the later one wins.",
        "database/memory/outbox.py",
        "                if at > self._removed.get(book.key, -1):\n",
        "                if True:\n",
        "tests/unit/database/test_memory_cells.py",
        _OUTBOX,
    ),
    mutant(
        "an ack loses to an insert that comes late",
        "An insert writes a row; that one of the same key was there before cannot be known.",
        "database/memory/outbox.py",
        "                if intent.key not in self._removed:\n",
        "                if True:\n",
        "tests/unit/database/test_memory_cells.py",
        _OUTBOX,
    ),
    mutant(
        "deletes without the fingerprint",
        "Deletes by id are what every index has.",
        "index/memory.py",
        "                if identifier in self._payloads and is_unchanged(self._payloads[identifier], fingerprint):\n"
        "                    del",
        "                if identifier in self._payloads:\n                    del",
        f"{_WRITING} -k memory",
    ),
    mutant(
        "Qdrant: deletes without the fingerprint",
        "Deletes by id are what every index has.",
        "index/filters.py",
        'return self.every(self.has_id(identifiers), self.equals("fingerprint", fingerprint))',
        "return self.every(self.has_id(identifiers))",
        f"{_WRITING} -k edge",
        unseen="the filters are Qdrant's; the index in memory keeps its conditions itself (see the mutant before)",
    ),
    mutant(
        "Qdrant: upserts without condition",
        "The row was just read, so what is written is the newest.",
        "index/filters.py",
        "        return self.every(but=[self._sound(above=at_most)])\n",
        "        return self.every(but=[self._sound(above=2**62)])\n",
        f"{_WRITING} -k edge",
        unseen="the filters are Qdrant's; the index in memory keeps its conditions itself",
    ),
    mutant(
        "vectors of a point that has changed",
        "A vector is read by the id of its point.",
        "index/memory.py",
        "                if identifier in self._vectors and is_unchanged(self._payloads[identifier], fingerprint)\n",
        "                if identifier in self._vectors\n",
        "tests/contract/index/test_reading.py -k memory",
        kind="tiny",
    ),
    mutant(
        "equal times: the earlier cell stays",
        "A cell is replaced by a later one.",
        "database/memory/cells.py",
        "        if stored is None or cell.rank > stored.rank:\n",
        "        if stored is None or cell.at > stored.at:\n",
        "tests/unit/database/test_memory_cells.py",
        kind="duel",
    ),
    Mutant(
        "an expired row is overwritten by its clean-up",
        "A deleted head is written as a put is: above what is stored.",
        (
            Edit(
                "scylla_store/sync.py",
                "            for error in writing.commit(mutations):\n",
                "            mutations = [replace(one, version=writing.floor(one.id)) for one in mutations]\n"
                "            for error in writing.commit(mutations):\n",
            ),
        ),
        ("tests/unit/test_sync.py",),
        kind="expiring",
    ),
)
