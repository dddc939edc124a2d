"""Every mutant fits the source as it is. When one does not, adapt it in tests/mutants to what its line is now."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import DoesNotApply, Edit, Mutant

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_changes_the_source_in_one_place_and_it_stays_python(mutant: Mutant, tmp_path: Path) -> None:
    # Given a copy of what it changes
    for file in mutant.files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((_ROOT / file).read_text())

    # When it is applied
    mutant.apply(tmp_path)

    # Then each file is another one and can be read
    for file in mutant.files:
        changed = ast.dump(ast.parse((tmp_path / file).read_text()))
        assert changed != ast.dump(ast.parse((_ROOT / file).read_text()))


def test_a_mutant_whose_line_has_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("a = 1\na = 1\n")

    for old, count in (("a = 1", 2), ("a = 2", 0)):
        with pytest.raises(DoesNotApply, match=f"holds {count} times, not once"):
            Edit("source.py", old, "a = 3").applied(tmp_path)


def test_mutants_have_names_of_their_own_a_reason_and_tests_that_exist() -> None:
    names = Counter(mutant.name for mutant in MUTANTS)
    tests = {test.split(" -k ")[0] for mutant in MUTANTS for test in mutant.tests}

    assert set(names.values()) == {1}
    assert [] == [mutant.name for mutant in MUTANTS if not (mutant.why and mutant.tests)]
    assert [] == sorted(test for test in tests if not (_ROOT / test).exists())
