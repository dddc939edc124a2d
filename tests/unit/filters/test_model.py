"""The evaluator and a naive model, which know nothing of each other, agree."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from scylla_store.filters import parse_filter
from tests.unit.filters import model
from tests.unit.filters.strategies import cases
from tests.unit.filters.table import Line, lines, subjects_of

_EXAMPLES = int(os.environ.get("SCYLLA_STORE_TEST_FILTERS", "300"))
"""Each is 12 filters over 12 documents."""


@given(case=cases(12, 12))
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@example(case=([{"a": {"b": "[*]"}}], [{"a[*]": "b"}]))
def test_the_evaluator_says_what_the_model_says(case: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    values, asked = case
    for one in asked:
        where = parse_filter(one)
        assert where is not None
        for subject in subjects_of(values):
            assert model.matches(one, subject) == where.matches(subject), (one, subject)


LINES = lines()


@pytest.mark.parametrize("line", LINES, ids=[line.text for line in LINES])
def test_the_model_says_what_the_page_says(line: Line) -> None:
    assert line.expected == model.matches(line.filter, line.subject)
