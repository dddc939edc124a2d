"""The question to the index lets through whatever matches; what it lets through in vain is little."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from scylla_store.conditions import ALWAYS, NEVER, Every, No, OneOf, Some, Within, every, no, some
from scylla_store.errors import ValidationError
from scylla_store.filters import Filter, Subject, condition_of, parse_filter
from scylla_store.filters.facts import FACTS, TOKENS, UNSAID, are_sound, facts_of, made_otherwise
from scylla_store.filters.ranks import rank_of
from scylla_store.filters.tokens import MOST, MOST_OF_PATH, tokens_of
from scylla_store.filters.translation import bounds_of
from scylla_store.index.matching import holds
from tests.unit.filters.strategies import NUMBERS, STRINGS, cases
from tests.unit.filters.table import Line, lines, subjects_of

RANGES = ("a", "b.a", r"a\.b", "c[0]")
_EXAMPLES = int(os.environ.get("SCYLLA_STORE_TEST_FILTERS", "300"))
"""Each is 12 filters over 12 documents."""

IN_VAIN = [
    '{"a": [1, 2]} {"a": [2, 1]}',
    '{"a": [1, 2]} {"a": [1, 2, 3]}',
    '{"a": {"b": 1, "c": 2}} {"a": {"b": 1, "c": 2, "d": 3}}',
    '{"a": {"$gt": 9007199254740992}} {"a": 9007199254740992.0}',
    '{"a": {"$gt": "b"}} {"a": "b"}',
    '{"a": {"$gt": "\\uffff"}} {"a": "\\uffff"}',
    '{"a[1]": "x"} {"a": ["x"]}',
]


def parsed(asked: dict[str, Any]) -> Filter:
    """The filter."""
    where = parse_filter(asked)
    assert where is not None
    return where


def payload(subject: Subject, ranges: tuple[str, ...] = RANGES) -> dict[str, Any]:
    """What a point says of a document."""
    facts = facts_of(subject.value, subject.key, ranges)
    return {**facts, "version": subject.version, "created_at": subject.created_at}


def test_what_the_index_lets_through_in_vain_is_known() -> None:
    # Given the rows of the page that can be searched for, with their path as a range field
    rows = [line for line in lines() if not ("[*]" in line.text and "$gt" in line.text)]
    # When the index alone answers
    answers = {
        line.text: holds(condition_of(parsed(line.filter), ("a",)), payload(line.subject, ("a",))) for line in rows
    }
    # Then nothing is lost, and this is what has to be looked at in vain
    assert [line.text for line in rows if line.expected and not answers[line.text]] == []
    assert [line.text for line in rows if answers[line.text] and not line.expected] == IN_VAIN


@pytest.mark.parametrize("line", [line for line in lines() if not ("[*]" in line.text and "$gt" in line.text)], ids=str)
def test_both_bounds_of_what_the_page_shows_are_right(line: Line) -> None:
    upper, lower = bounds_of(parsed(line.filter), ("a",))
    said = payload(line.subject, ("a",))

    assert holds(upper, said) or not line.expected
    assert line.expected or not holds(lower, said)


def test_a_lower_bound_is_no_more_than_what_is_sure() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"a[0]": {"$exists": True}}, {"a": []}),
        ({"a[1]": {"$exists": True}}, {"a": [1]}),
        ({"a[1].b": 1}, {"a": [{"b": 1}]}),
        ({"a[1]": {"$contains": 1}}, {"a": [[1]]}),
        ({"a": {"$startsWith": "a\0"}}, {"a": "a"}),
        ({"a": {"$startsWith": "x" * 23 + "y"}}, {"a": "x" * 23}),
        ({"a": {"$startsWith": "x"}}, {"a": 1}),
        ({"b": {"$startsWith": "x"}}, {"b": "a"}),
        ({"a": {"$gt": "x" * 24}}, {"a": "x" * 23}),
        ({"a": {"$lte": "a"}}, {"a": "a\0"}),
        ({"a": {"$lte": 2**53}}, {"a": 2**53 + 1}),
        ({"a": {"$gte": 10**400}}, {"a": 10**399}),
        ({"b": [1, 2]}, {"b": [2, 1]}),
        ({"b": {"$contains": {"c": 1}}}, {"b": [{"c": 1, "d": 1}]}),
        ({"$key": {"$gt": "x"}}, {}),
    ]
    for asked, value in cases:
        subject = Subject("k", value, 0, 0)
        assert not parsed(asked).matches(subject), asked
        assert not holds(bounds_of(parsed(asked), ("a",)).lower, payload(subject, ("a",))), asked
        assert holds(condition_of(parsed({"$not": asked}), ("a",)), payload(subject, ("a",))), asked


def test_ranks_sort_as_what_they_are_made_of() -> None:
    for values in (sorted(STRINGS), sorted(NUMBERS)):
        ranks = [rank_of(value) for value in values]
        assert ranks == sorted(ranks)  # type: ignore[type-var]
    assert [rank_of(value) for value in (None, True, [], {})] == [None] * 4
    assert rank_of(-0.0) == rank_of(0)
    assert rank_of(1) == rank_of(1.0) != rank_of("1")
    assert all(0 <= part < 2**48 for value in (*STRINGS, *NUMBERS) for part in rank_of(value) or ())


def test_a_range_of_a_field_that_is_not_declared_says_what_to_do() -> None:
    for asked in ({"year": {"$gt": 5}}, {"$not": {"$or": [{"a": 1}, {"year": {"$gt": 5}}]}}):
        with pytest.raises(
            ValidationError, match=r"by \$gt only the paths that index.range_fields names: add 'year', .* any path"
        ):
            condition_of(parsed(asked), ("a",))
    with pytest.raises(ValidationError, match=r"a path with \[\*\] cannot be among them; list compares any path"):
        condition_of(parsed({"year[*]": {"$lte": 5}}), ("a",))
    for asked in ({"year": {"$startsWith": "2"}}, {"$key": {"$gt": "k"}}, {"$version": {"$lt": 5}}, {"year": 5}):
        condition_of(parsed(asked), ())


def test_a_path_with_very_many_values_matches_whatever_is_asked_of_it() -> None:
    # Given one that has as many values as it may, and one with one more
    several, many = (
        Subject("k", {"a": list(range(count)), "b": 1}, 0, 0) for count in (MOST_OF_PATH, MOST_OF_PATH + 1)
    )

    def is_let_through(subject: Subject, asked: dict[str, Any]) -> bool:
        return holds(condition_of(parsed(asked), ()), payload(subject, ()))

    for subject in (several, many):
        assert is_let_through(subject, {"a[*]": 0})
        assert is_let_through(subject, {"a": {"$contains": MOST_OF_PATH - 1}})
        assert not is_let_through(subject, {"b": 2})
        assert not is_let_through(subject, {"a[*]": {"$exists": False}})
    assert not is_let_through(several, {"a[*]": "x"})
    assert is_let_through(many, {"a[*]": "x"})
    assert is_let_through(many, {"a[*]": {"$ne": "x"}})
    assert is_let_through(many, {"a": [1, 2]})


@pytest.mark.parametrize(
    "value", [{str(number): 1 for number in range(MOST)}, {f"n{number}": list(range(60)) for number in range(9)}]
)
def test_a_document_that_says_too_much_is_let_through_by_everything(value: dict[str, Any]) -> None:
    said = payload(Subject("k", value, 0, 0), ())

    assert tokens_of(value, "k") is None
    assert said[TOKENS] == [UNSAID]
    for asked in ({"a": 1}, {"a": {"$ne": 1}}, {"$key": "other"}, {"$not": {}}):
        assert holds(condition_of(parsed(asked), ()), said)


def test_points_of_another_way_to_say_it_are_known() -> None:
    where, subject = made_otherwise(RANGES), Subject("k", {"a": 1}, 0, 0)

    assert not holds(where, payload(subject))
    assert not holds(where, facts_of(None, "k", RANGES))
    assert holds(where, payload(subject, ()))
    assert holds(where, payload(subject, RANGES[::-1]))
    assert holds(where, {"version": 0, "created_at": 0})


def test_tokens_tell_apart_what_json_tells_apart() -> None:
    documents: list[dict[str, Any]] = [
        {}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": "True"}, {"a": None}, {"a": "None"}, {"a": []}, {"a": "[]"}, {"a": {}},
        {"a": [1]}, {"a": [[1]]}, {"a": {"b": 1}}, {"a.b": 1}, {"a": {"*": 1}}, {"a*": 1}, {"a": {"1:b": 1}}, {"a1:b": 1},
        {"a": 2**53 + 1}, {"a": 2**53}, {"a": ""}, {"": 1}, {"a": '"'}, {"a": "1?"}, {"a=1": 1}, {"a": 1, "b": 1},
    ]  # fmt: skip
    told = {tuple(tokens_of(document, "k") or ()) for document in documents}

    assert len(told) == len(documents)
    assert tokens_of({"a": 1, "b": -0.0}, "k") == tokens_of({"b": 0, "a": 1.0}, "k")
    assert tokens_of({}, "k") != tokens_of({}, "l")


def test_facts_that_other_hands_changed_are_not_sound() -> None:
    said = facts_of({"a": 1, "tags": ["x", "y"]}, "k", ("a",))
    changes: list[dict[str, Any]] = [
        {TOKENS: said[TOKENS][1:]}, {TOKENS: None}, {TOKENS: 5}, {TOKENS: [*said[TOKENS], "x"]}, {FACTS: "unsaid"},
        {"rank_0_1": said["rank_0_1"] + 1}, {"rank_0_0": None}, {"facts_digest": None}, {"facts_digest": ""},
    ]  # fmt: skip

    assert are_sound(said, ("a",))
    assert are_sound(facts_of(None, "k", ("a",)), ("a",))
    assert [change for change in changes if are_sound({**said, **change}, ("a",))] == []


def test_conditions_that_say_nothing_are_left_out() -> None:
    one, two = OneOf("f", ("a",)), Within("n", above=1)

    assert [every(), every(one), every(one, ALWAYS), every(one, NEVER)] == [ALWAYS, one, one, NEVER]
    assert [some(), some(one), some(one, NEVER), some(one, ALWAYS)] == [NEVER, one, one, ALWAYS]
    assert [no(ALWAYS), no(NEVER), no(one), no(no(one))] == [NEVER, ALWAYS, No(one), one]
    assert [every(one, two), some(one, two)] == [Every((one, two)), Some((one, two))]


@given(case=cases(12, 12, RANGES))
@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_matches_lies_between_the_bounds(case: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    values, asked = case
    subjects = subjects_of(values)
    payloads = [payload(subject) for subject in subjects]
    for one in asked:
        where = parsed(one)
        upper, lower = bounds_of(where, RANGES)
        for subject, said in zip(subjects, payloads, strict=True):
            is_match = where.matches(subject)
            assert holds(upper, said) or not is_match, (one, subject)
            assert is_match or not holds(lower, said), (one, subject)
