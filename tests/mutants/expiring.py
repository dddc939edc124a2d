"""Mistakes in TTLs and in searches of several queries: rows.py, ttls.py, reads.py, search.py, inquiry.py."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_TTLS = "tests/unit/test_ttls.py"
_EXPIRY = "tests/unit/test_expiry.py"
_BOUNDARY = "tests/contract/database/test_expiry.py -k sqlite"
_MANY = "tests/unit/test_search_many.py"
_MOMENT = "schedules look at what is left in the end, not at a microsecond"
_SETTINGS = "schedules have the default settings"
_NO_SEARCH = "schedules write and sync; they search nothing"

EXPIRING: tuple[Mutant, ...] = (
    mutant(
        "ttl: seen in the microsecond of its expiry",
        "What expires at a time is there until that time, that included.",
        "rows.py",
        "(self.expires_at is None or now < self.expires_at)\n",
        "(self.expires_at is None or now <= self.expires_at)\n",
        _BOUNDARY,
        unseen=_MOMENT,
    ),
    mutant(
        "ttl: the shortest prefix holds",
        "Prefixes are looked through from the first label on.",
        "ttls.py",
        "self._depths = sorted({len(prefix) for prefix in self._seconds}, reverse=True)\n",
        "self._depths = sorted({len(prefix) for prefix in self._seconds})\n",
        _TTLS,
        unseen=_SETTINGS,
    ),
    mutant(
        "ttl: no TTL takes the default",
        "None means that nothing was said.",
        "ttls.py",
        "        if ttl is not DEFAULT_TTL:\n",
        "        if ttl is not DEFAULT_TTL and ttl is not None:\n",
        _TTLS,
        unseen=_SETTINGS,
    ),
    mutant(
        "ttl: what is loaded takes the default",
        "A load writes through the path of puts, which knows the defaults.",
        "writes.py",
        "        change = self.check_put(replace(put, ttl=None))\n",
        "        change = self.check_put(put)\n",
        _TTLS,
        unseen=_SETTINGS,
    ),
    mutant(
        "ttl: a refresh revives what expired since it was read",
        "The reader has seen it, so it is there.",
        "reads.py",
        "for item, row in seen.items() if row.is_visible(now)}\n",
        "for item, row in seen.items()}\n",
        _EXPIRY,
        unseen=_MOMENT,
    ),
    mutant(
        "ttl: each refresh grants more than the one before",
        "The whole time of an item is that from its write to its expiry.",
        "reads.py",
        "        granted = now + row.head.expires_at - row.version\n",
        "        granted = now + row.expires_at - row.version\n",
        _EXPIRY,
        unseen="schedules do not say how much time there was to be",
    ),
    mutant(
        "ttl: a refresh has the time at which it is written",
        "The last one that is written is the last one that was asked for.",
        "reads.py",
        "granted), began, keep",
        "granted), self._clock.version(row.version + 1), keep",
        _EXPIRY,
        unseen=_MOMENT,
    ),
    mutant(
        "search: a search grants time to what it passes over",
        "All that was found was found.",
        "search.py",
        "            pages = [one.best()[terms.offset :] for one in inquiries]\n            if began is not None:\n"
        "                pages = self._refreshed(pages, began)\n",
        "            pages = [one.best() for one in inquiries]\n            if began is not None:\n"
        "                pages = self._refreshed(pages, began)\n            pages = [page[terms.offset :] for page in pages]\n",
        _MANY,
        unseen=_NO_SEARCH,
    ),
    mutant(
        "search: vectors come in the order of the texts",
        "A vector for each query, so the texts' come first.",
        "search.py",
        "        return [embedded[question] if isinstance(question, str) else question for question in questions]\n",
        "        return [*embedded.values(), *(question for question in questions if not isinstance(question, str))]\n",
        _MANY,
        unseen=_NO_SEARCH,
    ),
    mutant(
        "search: all queries go on while one wants more",
        "A round is for all of them.",
        "search.py",
        "        while going := [one for one in inquiries if one.goes_on()]:\n",
        "        while any([one.goes_on() for one in inquiries]):\n            going = inquiries\n",
        _MANY,
        unseen=_NO_SEARCH,
    ),
    mutant(
        "search: without documents nothing is looked at",
        "Who wants no values needs no filter on them.",
        "hits.py",
        "        return self.with_value or (self.where is not None and self.where.looks_at_value)\n",
        "        return self.with_value\n",
        _MANY,
        unseen=_NO_SEARCH,
    ),
)
