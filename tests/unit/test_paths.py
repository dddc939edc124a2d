"""The grammar of paths."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scylla_store.errors import ValidationError
from scylla_store.paths import ANY, Step, parse, render


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("title", ("title",)),
        ("author.name", ("author", "name")),
        ("sections[*].text", ("sections", ANY, "text")),
        ("sections[12].text", ("sections", 12, "text")),
        ("rows[0][*]", ("rows", 0, ANY)),
        (r"a\.b", ("a.b",)),
        (r"x\[0\]", ("x[0]",)),
        (r"back\\slash", ("back\\slash",)),
        ("with space.*", ("with space", "*")),
        ("\n", ("\n",)),
        ("$", ()),
        (r"\$", ("$",)),
        ("$.a", ("$", "a")),
    ],
)
def test_a_path_is_names_and_positions(path: str, steps: tuple[Step, ...]) -> None:
    assert parse(path) == steps


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "a path cannot be empty"),
        (".a", "'.a' is wrong at character 1: a name is missing"),
        ("a.", "'a.' is wrong at character 3: a name is missing"),
        ("a..b", "'a..b' is wrong at character 3: a name is missing"),
        ("[0]", "'[0]' is wrong at character 1: a name is missing"),
        ("a[", "'a[' is wrong at character 2: expected '.name', '[2]' or '[*]'"),
        ("a[x]", "'a[x]' is wrong at character 2: expected '.name', '[2]' or '[*]'"),
        ("a[-1]", "'a[-1]' is wrong at character 2: expected '.name', '[2]' or '[*]'"),
        ("a[0]b", "'a[0]b' is wrong at character 5: expected '.name', '[2]' or '[*]'"),
        ("a]", "'a]' is wrong at character 2: expected '.name', '[2]' or '[*]'"),
        ("a.[0]", "'a.[0]' is wrong at character 3: a name is missing"),
        ("a\\", "'a\\\\' is wrong at character 2: expected '.name', '[2]' or '[*]'"),
    ],
)
def test_a_wrong_path_is_refused_with_the_place(path: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(path)

    assert str(caught.value) == reason


NAMES = some.text(min_size=1) | some.sampled_from(["$", "*", "[0]", "a.b", "\\", ".", "[", "]"])


@settings(deadline=None)
@given(NAMES, some.lists(NAMES | some.integers(0, 999_999_999) | some.just(ANY), max_size=5))
def test_any_steps_come_back_from_their_path(first: str, others: list[Step]) -> None:
    steps = (first, *others)

    assert parse(render(steps)) == steps


def test_the_whole_document_comes_back_from_its_path() -> None:
    assert parse(render(())) == ()
