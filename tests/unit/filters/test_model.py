"""The evaluator and a naive model, which know nothing of each other, agree."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scylla_store.filters import Subject, parse_filter
from tests.unit.filters import model
from tests.unit.filters.strategies import DOCUMENTS, KEYS, filters
from tests.unit.filters.table import MOMENT, Line, lines

_EXAMPLES = int(os.environ.get("SCYLLA_STORE_TEST_FILTERS", "300"))
"""Each is 6 filters over 12 documents."""

SUBJECTS = st.builds(Subject, st.sampled_from(KEYS), DOCUMENTS, st.sampled_from([MOMENT, MOMENT - 1]), st.just(MOMENT))


@given(subjects=st.lists(SUBJECTS, min_size=12, max_size=12), asked=st.lists(filters(), min_size=6, max_size=6))
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@example(subjects=[Subject("tea", {"a": {"b": "[*]"}}, 0, 0)], asked=[{"a[*]": "b"}])
def test_the_evaluator_says_what_the_model_says(subjects: list[Subject], asked: list[dict[str, Any]]) -> None:
    for one in asked:
        where = parse_filter(one)
        assert where is not None
        for subject in subjects:
            assert model.matches(one, subject) == where.matches(subject), (one, subject)


LINES = lines()


@pytest.mark.parametrize("line", LINES, ids=[line.text for line in LINES])
def test_the_model_says_what_the_page_says(line: Line) -> None:
    assert line.expected == model.matches(line.filter, line.subject)
