"""Mistakes in `find`: orders, places and pages."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_FINDING = "tests/unit/test_find.py"
_WALKING = "tests/unit/test_ordered_walk.py"
_PURE = "schedules write and sync; they find nothing"

FINDING: tuple[Mutant, ...] = (
    mutant(
        "find: the equals of a page's last item are taken for all there are",
        "The index was asked in an order, so a page ends where it ends.",
        "ordered_walk.py",
        "            last = _last(points, field) if len(points) == size else None\n",
        "            last = _last(points, field) if len(points) > size else None\n",
        _WALKING,
        unseen=_PURE,
    ),
    mutant(
        "find: the next page begins behind the last number",
        "What has the number of the last item was on its page.",
        "ordered_walk.py",
        "        start = None if after is None or after.numbers is None else after.numbers[depth]\n",
        "        start = None if after is None or after.numbers is None else after.numbers[depth] + (-1 if self.order.descending else 1)\n",
        _WALKING,
        unseen=_PURE,
    ),
    mutant(
        "find: what is equal comes as the index has it",
        "It was asked in an order.",
        "ordered_walk.py",
        "        return sorted(beyond, key=self._key)\n",
        "        return beyond\n",
        _WALKING,
        unseen=_PURE,
    ),
    mutant(
        "find: a document without the field is left out",
        "The index leaves it out of the order.",
        "ordered_walk.py",
        "        if self.order.of_documents and len(found) < limit:\n",
        "        if not self.order.of_documents and len(found) < limit:\n",
        _WALKING,
        unseen=_PURE,
    ),
    mutant(
        "find: the index is taken at its word",
        "It was asked with the filter, so what it found matches.",
        "finding.py",
        "        return Item.of(row) if where is None else matching(row, where)\n",
        "        return Item.of(row)\n",
        _FINDING,
        unseen=_PURE,
    ),
    mutant(
        "find: the next page goes on after the last match",
        "A cursor is made of the last item of its page.",
        "finding.py",
        "                place = one.place\n                if item is not None:\n                    items[one.item] = item\n",
        "                if item is not None:\n                    place, items[one.item] = one.place, item\n",
        _FINDING,
        unseen=_PURE,
    ),
    mutant(
        "find: a cursor goes on in another order",
        "A cursor is a place.",
        "finding.py",
        'call = ["find", list(namespace), order.name, ',
        'call = ["find", list(namespace), ',
        _FINDING,
        unseen=_PURE,
    ),
    mutant(
        "find: points of an older way have their places",
        "A rank is a rank.",
        "finding.py",
        "self._coverage.narrowed(Within(order.fields[0], above=-1))",
        "Within(order.fields[0], above=-1)",
        _FINDING,
        unseen=_PURE,
    ),
)
