"""Each row of the tables in docs/reference/filters.md."""

from __future__ import annotations

import pytest

from scylla_store.filters import parse_filter
from tests.unit.filters.table import Line, lines

LINES = lines()


@pytest.mark.parametrize("line", LINES, ids=[line.text for line in LINES])
def test_the_page_tells_the_truth(line: Line) -> None:
    where, negated = parse_filter(line.filter), parse_filter({"$not": line.filter})

    assert where is not None
    assert negated is not None
    assert line.expected == where.matches(line.subject)
    assert line.expected != negated.matches(line.subject)


def test_all_rows_are_read() -> None:
    assert len({str(line.filter) for line in LINES}) > 60
