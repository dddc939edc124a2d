"""Mistakes in the sync protocol: sync.py, planning.py, jobs.py."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant, mutant

_SYNC = "tests/unit/test_sync.py"
_PLANNING = "tests/unit/test_planning.py"

SYNCING: tuple[Mutant, ...] = (
    mutant(
        "ack before verify",
        "The points are written, so the work looks done; the last read looks like a mere check.",
        "sync.py",
        """            steady, again = self._verify(todo, run)
""",
        """            self._acknowledge(sent, set(), run)
            steady, again = self._verify(todo, run)
""",
        _SYNC,
    ),
    mutant(
        "no verify",
        "It saves a read per batch, and mostly nothing has changed.",
        "sync.py",
        "        again = [job for job in jobs if job.view.differs(views[job.item])]\n",
        "        again: list[Job] = []\n",
        _SYNC,
    ),
    mutant(
        "versions compared, not write ids",
        "The version orders everything; that two writers draw one microsecond seems too rare to matter.",
        "jobs.py",
        "return self.write_id, self.live, expires_at,",
        "return self.version, self.live, expires_at,",
        _SYNC,
        "tests/unit/test_planning.py",
        kind="duel",
    ),
    mutant(
        "liveness not verified",
        "The same write id seems to say that nothing has changed; but expiry changes no write id.",
        "jobs.py",
        "return self.write_id, self.live, expires_at, self.anchor_only, self.damage is None",
        "return self.write_id, self.anchor_only, self.damage is None",
        _SYNC,
        kind="expiring",
    ),
    mutant(
        "verify by the old clock",
        "One clock reading for the whole pass looks consistent.",
        "sync.py",
        "        now = max(run.t0, self._clock())\n        views = self._views(jobs, run, now)\n",
        "        now = run.t0\n        views = self._views(jobs, run, now)\n",
        _SYNC,
        kind="expiring",
    ),
    mutant(
        "clock read after the row",
        "The youth of an intent is judged where it is needed, with the time it is then.",
        "sync.py",
        "planning.is_young(job.refs, job.view.row, t0=run.t0, margin=self._margin)",
        "planning.is_young(job.refs, job.view.row, t0=self._clock(), margin=self._margin)",
        _SYNC,
        kind="early",
    ),
    mutant(
        "points read before the row",
        "Points and row can be read at once, which saves a round trip.",
        "sync.py",
        """        jobs = self._aim(self._look(self._load(jobs, run), run), run)
""",
        """        early = self._index.points_of([job.digest for job in jobs])
        jobs = self._look(self._load(jobs, run), run)
        for job in jobs:
            job.seen = early.get(job.digest, [])
        jobs = self._aim(jobs, run)
""",
        _SYNC,
        kind="early",
    ),
    mutant(
        "no young rule",
        "An intent without its row looks like a write that failed.",
        "planning.py",
        "return any(_is_ahead(ref.intent, row) and _is_recent(ref.intent, t0, margin) for ref in refs)",
        "return False",
        _SYNC,
        _PLANNING,
        kind="early",
    ),
    mutant(
        "young rule by the newest intent only",
        "The newest write decides what the item will be.",
        "planning.py",
        "return any(_is_ahead(ref.intent, row) and _is_recent(ref.intent, t0, margin) for ref in refs)",
        "newest = max(refs, key=lambda ref: ref.intent.version or 0)\n"
        "    return _is_ahead(newest.intent, row) and _is_recent(newest.intent, t0, margin)",
        _PLANNING,
        kind="early",
    ),
    mutant(
        "young rule blind to ties",
        "A write of the row's version seems to be there already.",
        "planning.py",
        "row is None or intent.version > row.version or (intent.version == row.version and not _is_write_of(intent, row))",
        "row is None or intent.version > row.version",
        _PLANNING,
        kind="duel",
    ),
    mutant(
        "no second look at the row",
        "Points that are newer than the row look like garbage that has to go.",
        "planning.py",
        "return any(point.fingerprint != fingerprint and point.version >= version for point in seen)",
        "return False",
        _PLANNING,
        _SYNC,
    ),
    mutant(
        "second look only when points are newer",
        "At the same version nothing is newer.",
        "planning.py",
        "return any(point.fingerprint != fingerprint and point.version >= version for point in seen)",
        "return any(point.fingerprint != fingerprint and point.version > version for point in seen)",
        _PLANNING,
        kind="duel",
    ),
    mutant(
        "indexed when the versions agree",
        "Versions are what is compared everywhere else.",
        "planning.py",
        "all(point.id in wanted and _is_right(point, wanted[point.id]) for point in seen)",
        'all(point.id in wanted and wanted[point.id].payload["version"] == point.version for point in seen)',
        _PLANNING,
        _SYNC,
        kind="duel",
    ),
    mutant(
        "indexed when all chunks are there",
        "What the document needs is there; what is more than that is not looked for.",
        "planning.py",
        "return len(seen) == len(wanted) and all(point.id in wanted and _is_right(point, wanted[point.id]) for point in seen)",
        "return sum(point.id in wanted and _is_right(point, wanted[point.id]) for point in seen) == len(wanted)",
        _PLANNING,
        _SYNC,
    ),
    mutant(
        "indexed when the first chunk is right",
        "Chunks are written together, so the first one seems to speak for all.",
        "planning.py",
        "return len(seen) == len(wanted) and all(point.id in wanted and _is_right(point, wanted[point.id]) for point in seen)",
        """if not target:
        return not seen
    return any(point.id == target[0].id and _is_right(point, target[0]) for point in seen)""",
        _PLANNING,
        _SYNC,
    ),
    mutant(
        "surplus chunks stay",
        "A shorter text overwrites the first chunks, and the others are forgotten.",
        "planning.py",
        "surplus=[(point.id, point.fingerprint) for point in kept.values() if point.id not in wanted],",
        "surplus=[],",
        _SYNC,
        _PLANNING,
    ),
    mutant(
        "newer points are not deleted",
        "What is newer than the row looks like somebody else's, who will see to it.",
        "planning.py",
        "        if not live or point.version > version or _would_keep_its_vector(point, anchors.get(point.id))\n",
        "        if not live or _would_keep_its_vector(point, anchors.get(point.id))\n",
        _PLANNING,
        _SYNC,
    ),
    Mutant(
        "points of deleted items stay",
        "Search reads the rows anyhow, so nobody sees them.",
        (
            Edit(
                "scylla_store/planning.py",
                "        if not live or point.version > version or",
                "        if point.version > version or",
            ),
            Edit("scylla_store/planning.py", "if point.id not in wanted],", "if live and point.id not in wanted],"),
        ),
        (_PLANNING, _SYNC),
    ),
    mutant(
        "an anchor overwrites a point in place",
        "An upsert replaces the whole point, as the documentation of Qdrant says.",
        "planning.py",
        '    return anchor is not None and not _is_right(point, anchor) and point.payload.get("text_hash") != ""\n',
        "    return False\n",
        _PLANNING,
        unseen="the old vector stays only in Qdrant, while its optimizer moves the point; the index in memory has no optimizer",
    ),
    mutant(
        "upsert without condition",
        "The row was just read, so what is written is the newest.",
        "sync.py",
        "            self._index.upsert(together, at_most=bound)\n",
        "            self._index.upsert(together, at_most=2**62)\n",
        _SYNC,
    ),
    mutant(
        "upsert refuses the same version",
        "Strictly older looks like the right condition.",
        "sync.py",
        "            self._index.upsert(together, at_most=bound)\n",
        "            self._index.upsert(together, at_most=bound - 1)\n",
        _SYNC,
    ),
    mutant(
        "a batch is bound by its newest version",
        "One request with one condition, for all items of the batch.",
        "sync.py",
        "bound = min(job.view.version for job in jobs)",
        "bound = max(job.view.version for job in jobs)",
        _SYNC,
        kind="pair",
    ),
    mutant(
        "giving up files nothing",
        "The intents are still in the outbox, so the item comes back on its own.",
        "sync.py",
        "        self._settle(jobs, run)\n        return run.outcome\n",
        "        return run.outcome\n",
        _SYNC,
        kind="duel",
    ),
    mutant(
        "a run that fails files nothing",
        "As before: nothing was acknowledged, so the drain comes back.",
        "sync.py",
        """            self._settle(jobs, run)
            raise
""",
        """            raise
""",
        _SYNC,
    ),
    mutant(
        "filed again under the same id",
        "It is the same work, so it may have the same id.",
        "sync.py",
        "        self._database.outbox.file([again])\n        job.unverified = None\n",
        "        self._database.outbox.file([replace(again, key=job.refs[0].intent.key)])\n        job.unverified = None\n",
        _SYNC,
        kind="duel",
    ),
    mutant(
        "an expiry is acknowledged early",
        "The item was brought to the index, so all its intents are done.",
        "sync.py",
        "    return ref.intent.kind is Kind.EXPIRY and ref.intent.key.due > t0\n",
        "    return False\n",
        _SYNC,
        kind="expiring",
    ),
    mutant(
        "clean-up as soon as it has expired",
        "What is expired here is expired.",
        "sync.py",
        "            and past_for_all(row.expires_at, self._skew) <= t0\n",
        "            and row.expires_at <= t0\n",
        _SYNC,
        kind="expiring",
    ),
    mutant(
        "clean-up with a version of its own",
        "A delete is a write, and takes the time as its version.",
        "sync.py",
        "            _deleted(row)\n            for row in (job.view.row for job in jobs)\n",
        "            replace(_deleted(row), version=t0)\n            for row in (job.view.row for job in jobs)\n",
        _SYNC,
        kind="expiring",
    ),
    mutant(
        "no end after the time limit",
        "The deadline is for the broker; what has begun may be finished.",
        "sync.py",
        "        if not jobs or self._clock() <= run.deadline:\n            return False\n",
        "        if jobs or self._clock() <= run.deadline:\n            return False\n",
        _SYNC,
        "tests/unit/test_embedding_in_time.py",
    ),
    mutant(
        "an old letter stays",
        "The next replay or the operator takes it away.",
        "sync.py",
        "            self._database.exhume(letters)\n",
        "            pass\n",
        "tests/unit/test_worker.py",
        kind="poisoned",
    ),
    mutant(
        "acknowledged with its anchor",
        "An anchor is in the index, so the dead document is done; the letter is written right after.",
        "sync.py",
        "        self._acknowledge([job for job in jobs if run.dead is None or not job.view.live], anchored, run)\n",
        "        self._acknowledge(jobs, anchored, run)\n",
        "tests/unit/test_worker.py",
        kind="poisoned",
    ),
    mutant(
        "vectors taken by point, not by text",
        "A chunk keeps its place, so its point has the vector already.",
        "embedding.py",
        """            if point.payload.get("model") == self._recipe.model and str(point.payload.get("text_hash")) in wanted
        }
        if not known:
            return {}
        texts = {ident: text for (ident, _), text in known.items()}
""",
        """            if point.payload.get("model") == self._recipe.model and point.payload.get("text_hash") != ""
        }
        if not known:
            return {}
        texts = {draft.id: draft.text_hash for job in jobs for draft in job.plan.upserts}
        known = {key: text for key, text in known.items() if key[0] in texts}
""",
        "tests/unit/test_embedding_once.py",
        _SYNC,
        kind="tiny",
    ),
)
