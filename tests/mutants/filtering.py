"""Mistakes in filters: filters/, and what search and list make of them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_TABLE = "tests/unit/filters/test_table.py"
_BOUNDS = "tests/unit/filters/test_translation.py"
_LISTING = "tests/unit/filters/test_listing.py"
_SEARCHING = "tests/unit/filters/test_searching.py"
_PURE = "schedules write and sync; they filter nothing"

FILTERING: tuple[Mutant, ...] = (
    mutant(
        "filters: a boolean equals a number",
        "Python says that True == 1, so the value itself looks like a good key.",
        "filters/equality.py",
        '        return ("constant", str(value))\n',
        '        return ("number", value) if kind is bool else ("constant", str(value))\n',
        _TABLE,
        unseen=_PURE,
    ),
    mutant(
        "filters: numbers are compared as floats",
        "JSON has only one kind of number.",
        "filters/equality.py",
        '        return ("number", value)\n',
        '        return ("number", float(value))\n',
        _TABLE,
        unseen=_PURE,
    ),
    mutant(
        "filters: a boolean is in a range of numbers",
        "isinstance looks like the right way to ask for a number.",
        "filters/evaluation.py",
        "    return lambda value: type(value) in kinds and holds(value, bound)\n",
        "    return lambda value: isinstance(value, kinds) and holds(value, bound)\n",
        _TABLE,
        unseen=_PURE,
    ),
    mutant(
        "filters: the negation of an upper bound",
        "What does not match is the opposite of what matches.",
        "filters/translation.py",
        "            return Bounds(no(part.lower), no(part.upper))\n",
        "            return Bounds(no(part.upper), no(part.lower))\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: a position is taken for exact",
        "The element is there, so its token is.",
        "filters/translation.py",
        "_has(*told) if told and not _has_positions(field) else NEVER",
        "_has(*told) if told else NEVER",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: an array that equals is known by its elements",
        "All of its values are there, so it is.",
        "filters/translation.py",
        "    return Bounds(some(*upper), _has(*told) if told and not _has_positions(field) else NEVER)\n",
        "    lower = some(*upper) if not told else _has(*told)\n"
        "    return Bounds(some(*upper), NEVER if _has_positions(field) else lower)\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: ranks of large numbers are exact",
        "A rank is the number.",
        "filters/ranks.py",
        "    is_exact = not isinstance(bound, str) and abs(bound) < _EXACT\n",
        "    is_exact = not isinstance(bound, str)\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: ranks of strings are exact",
        "Two strings of one rank are the same string.",
        "filters/ranks.py",
        "    return wide, strict\n",
        "    return (strict, strict) if is_strict else (wide, wide)\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: negative numbers sort by their bits",
        "The bits of a float sort as the float does.",
        "filters/ranks.py",
        "    bits ^= (1 << 64) - 1 if bits >> 63 else 1 << 63\n",
        "    bits ^= 1 << 63\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: a prefix that ends in a zero is exact",
        "A prefix is shorter than a rank, so the rank tells it.",
        "filters/ranks.py",
        '    is_exact = len(whole) <= _PREFIX and not prefix.endswith("\\0")\n',
        "    is_exact = len(whole) <= _PREFIX\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: a token of 1.0 is another one than that of 1",
        "The text of a value is its JSON.",
        "filters/tokens.py",
        "        return str(int(value)) if value.is_integer() else repr(value)\n",
        "        return repr(value)\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: a path with very many values says so to nobody",
        "Its values are not asked for.",
        "filters/tokens.py",
        "        yield many(path)\n",
        "        yield exists(path)\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: names are written side by side",
        "A dot between two names is enough.",
        "filters/tokens.py",
        '    return f"{len(step)}:{step}"\n',
        '    return f".{step}"\n',
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "filters: a document that says too much is found by nothing",
        "It has no tokens, so none can match.",
        "filters/translation.py",
        "    return some(_has(UNSAID), bounds_of(where, ranges).upper)\n",
        "    return bounds_of(where, ranges).upper\n",
        _BOUNDS,
        unseen=_PURE,
    ),
    mutant(
        "search: the index is taken at its word",
        "It was asked with the filter, so what it found matches.",
        "hits.py",
        "    if asked.where is not None:\n",
        "    if asked.where is not None and not asked.with_value:\n",
        _SEARCHING,
        unseen=_PURE,
    ),
    mutant(
        "search: points of an older way are left out",
        "They are repaired soon.",
        "coverage.py",
        "        return condition if self._is_whole() else some(self._rest, condition)\n",
        "        return condition\n",
        _SEARCHING,
        unseen=_PURE,
    ),
    mutant(
        "search: it gives up without a word",
        "What it found is right.",
        "inquiry.py",
        "        self.is_partial = self._looked_at >= self._most\n        return not self.is_partial\n",
        "        return self._looked_at < self._most\n",
        _SEARCHING,
        unseen=_PURE,
    ),
    mutant(
        "list: the next page goes on after the last match",
        "A cursor is made of the last item of its page.",
        "reads.py",
        "            last = item\n"
        "            found = None if row is None else Item.of(row) if where is None else matching(row, where)\n"
        "            if found is not None:\n",
        "            found = None if row is None else Item.of(row) if where is None else matching(row, where)\n"
        "            if found is not None:\n                last = item\n",
        _LISTING,
        unseen=_PURE,
    ),
    mutant(
        "list: a cursor goes on with another filter",
        "A cursor is a place, and places have no filter.",
        "reads.py",
        '        call = ["list", list(namespace), *([] if where is None else [where.digest])]\n',
        '        call = ["list", list(namespace)]\n',
        _LISTING,
        unseen=_PURE,
    ),
)
