"""Mistakes in what a caller is told: reads, conditional writes, updates, batches and all. The state machine catches each of them."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, mutant

_MACHINE = "tests/unit/test_model.py"
_CALLS = "schedules put, delete, write on conditions and sync; this is what other calls answer"

STORING: tuple[Mutant, ...] = (
    mutant(
        "get_many: what has expired is there",
        "Expired rows are cleaned up.",
        "reads.py",
        "            if row is not None and row.is_visible(now):\n                rows[item] = row\n",
        "            if row is not None and not row.head.deleted:\n                rows[item] = row\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "list: an item is there for the microsecond of its end",
        "It expires at that time, so until then it is there.",
        "rows.py",
        "self.expires_at is None or now < self.expires_at)",
        "self.expires_at is None or now <= self.expires_at)",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "list: the next page begins a namespace anew",
        "A page ends with a namespace more often than not.",
        "reads.py",
        "            yield from self._walk_namespace(started, key, page)\n",
        "            yield from self._walk_namespace(started, None, page)\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "list_namespaces: no suffix is the whole namespace",
        "The last n labels are [-n:].",
        "patterns.py",
        "        return self._is(namespace[max(0, len(namespace) - len(self.labels)) :])\n",
        "        return self._is(namespace[-len(self.labels) :])\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "put: what has expired existed",
        "There is a row, and it does not say deleted.",
        "writes.py",
        "        existed = before is not None and before.is_visible(version)\n",
        "        existed = before is not None and not before.head.deleted\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "put: a namespace is noted before it is listed",
        "The lock is held already, so it is noted at once.",
        "registry.py",
        "        self._database.register(new, now=self._clock())\n"
        "        with self._lock:\n"
        "            self._listed.update(dict.fromkeys(new, True))",
        "        with self._lock:\n"
        "            self._listed.update(dict.fromkeys(new, True))\n"
        "        self._database.register(new, now=self._clock())",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "conditional: every write is a creation",
        "A conditional write makes a head of its own.",
        "conditional.py",
        "            created_at=now if seen is None else seen.head.created_at,\n",
        "            created_at=now,\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "conditional: any later version will do",
        "What has a later version was written by somebody who knew this one.",
        "outcomes.py",
        "    return lambda row: row is not None and row.version == expected_version\n",
        "    return lambda row: row is not None and row.version >= expected_version\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "update: it forgets what was granted",
        "The head says when the item expires.",
        "updates.py",
        "            return replace(checked, until=row.expires_at) if ttl is KEEP else checked\n",
        "            return replace(checked, until=row.head.expires_at) if ttl is KEEP else checked\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    Mutant(
        "batch: writes come first",
        "They are checked first, too.",
        (
            Edit(
                "scylla_store/batch.py",
                "    results: list[Any] = [None] * len(chosen)\n",
                "    results: list[Any] = [None] * len(chosen)\n    if writes:\n        _write(store, writes, results)\n",
            ),
            Edit(
                "scylla_store/batch.py",
                "    if writes:\n        _write(store, writes, results)\n    return results\n",
                "    return results\n",
            ),
        ),
        (_MACHINE,),
        _CALLS,
    ),
    mutant(
        "pipeline: what is left is stored after an exception too",
        "A context manager ends in the same way each time.",
        "pipeline.py",
        "        if kind is not None:\n            return\n        self.flush()\n        if any(self.errors):\n",
        "        self.flush()\n        if kind is None and any(self.errors):\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "delete_namespace: only what lies below",
        "A prefix is what namespaces begin with.",
        "walks.py",
        "    for namespace in itertools.chain([first] if first else [], reader.all_namespaces(prefix, first or None)):\n",
        "    for namespace in itertools.chain([first] if after else [], reader.all_namespaces(prefix, first or None)):\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "find: equal ones are taken for shown",
        "The next page begins behind the last number.",
        "ordered_walk.py",
        "            start, after = last + step, None\n",
        "            start, after = last + 2 * step, None\n",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "dead letters: all of them are tried again",
        "All means all.",
        "dead_letters.py",
        "(letter for letter in letters if named or not letter.discarded)",
        "(letter for letter in letters)",
        _MACHINE,
        unseen=_CALLS,
    ),
    mutant(
        "load: documents are as old as their load",
        "created_at is when the item was written.",
        "writes.py",
        "            created_at=created_at if change.created_at is None else change.created_at,\n",
        "            created_at=created_at,\n",
        _MACHINE,
        unseen=_CALLS,
    ),
)
