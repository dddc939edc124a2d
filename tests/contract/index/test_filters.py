"""Filters in queries: the index and the exact evaluator agree, on every index."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from scylla_store.conditions import ALWAYS, NEVER, Condition, OneOf, Within, every, no, some
from scylla_store.filters import Filter, Subject, condition_of, parse_filter
from scylla_store.filters.facts import facts_of
from scylla_store.index.base import Index, Point, Question
from tests.contract.index.points import NOW, RANGES, keys, point, wipe
from tests.unit.filters.strategies import cases
from tests.unit.filters.table import MOMENT, lines, subjects_of

_PAIRS = int(os.environ.get("SCYLLA_STORE_TEST_FILTER_PAIRS", "20000"))
"""Documents times filters that are tried on each index."""

_DOCUMENTS, _FILTERS = 25, 25


def points(subjects: list[Subject]) -> list[Point]:
    """A point of each document."""
    return [
        point(one.key, version=one.version, created_at=one.created_at, **facts_of(one.value, one.key, RANGES))
        for one in subjects
    ]


def parsed(asked: dict[str, Any]) -> Filter:
    """The filter."""
    where = parse_filter(asked)
    assert where is not None
    return where


@given(case=cases(_DOCUMENTS, _FILTERS, RANGES))
@settings(
    max_examples=max(1, _PAIRS // (_DOCUMENTS * _FILTERS)), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_the_index_and_the_evaluator_agree(
    shared_index: Index, case: tuple[list[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    # Given documents at random
    values, asked = case
    subjects = subjects_of(values)
    wipe(shared_index)
    shared_index.upsert(points(subjects), at_most=MOMENT)
    known = {subject.key: subject for subject in subjects}
    for one in asked:
        # When the index lets through what may match, and that is looked at
        where = parsed(one)
        let_through = keys(shared_index, where=condition_of(where, RANGES))
        found = {key for key in let_through if where.matches(known[key])}
        # Then it is what matches
        assert found == {subject.key for subject in subjects if where.matches(subject)}, one


def test_the_page_is_right_on_every_index(index: Index) -> None:
    for number, line in enumerate(lines()):
        if "$key" in line.filter or ("[*]" in line.text and "$gt" in line.text):
            continue
        subject = line.subject._replace(key=f"k{number}")
        index.upsert(points([subject]), at_most=MOMENT)
        where = parsed(line.filter)
        is_found = subject.key in keys(index, where=condition_of(where, RANGES), limit=1000)
        assert is_found or not line.expected, line.text
        assert line.expected == (is_found and where.matches(subject)), line.text


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (ALWAYS, {"a", "b", "c"}),
        (NEVER, set()),
        (OneOf("tokens", ("x",)), {"a", "b"}),
        (OneOf("tokens", ("y", "z")), {"b"}),
        (no(OneOf("tokens", ("x",))), {"c"}),
        (Within("rank_0_0", above=4), {"a", "b"}),
        (Within("rank_0_0", above=5, below=7), {"b"}),
        (Within("rank_0_0", below=6), {"a"}),
        (Within("rank_0_0", above=2**48 - 2), set()),
        (no(Within("rank_0_0", above=5)), {"a", "c"}),
        (every(OneOf("tokens", ("x",)), no(Within("rank_0_0", above=5))), {"a"}),
        (some(OneOf("tokens", ("y",)), no(OneOf("facts", ("f",)))), {"b", "c"}),
        (no(some(OneOf("tokens", ("y",)), Within("rank_0_0", below=6))), {"c"}),
        (no(every(OneOf("tokens", ("x",)), Within("rank_0_0", below=6))), {"b", "c"}),
    ],
    ids=str,
)
def test_a_condition_says_what_it_says(index: Index, where: Condition, expected: set[str]) -> None:
    index.upsert(
        [
            point("a", facts="f", tokens=["x"], rank_0_0=5),
            point("b", facts="f", tokens=["x", "y"], rank_0_0=6),
            point("c", tokens=[]),
        ],
        at_most=NOW,
    )

    assert set(keys(index, where=where)) == expected


def test_numbers_of_48_bits_are_told_apart(index: Index) -> None:
    largest = 2**48 - 1
    index.upsert([point(str(one), rank_0_0=largest - one) for one in range(3)], at_most=NOW)

    assert set(keys(index, where=Within("rank_0_0", above=largest - 1))) == {"0"}
    assert set(keys(index, where=Within("rank_0_0", largest - 2, largest))) == {"1"}
    assert set(keys(index, where=Within("rank_0_0", below=largest - 1))) == {"2"}


def test_a_match_brings_no_tokens(index: Index) -> None:
    index.upsert([point("a", tokens=["x"], facts="f")], at_most=NOW)

    [[found]] = index.query([Question([1.0, 0.0, 0.0, 0.0], None, NOW, 1)])

    expected = point("a", facts="f").payload
    assert found.payload == expected
