"""The programs of docs/howto/conditional-writes.md print what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.howto import blocks, lay_out, run

PRINTED = {
    "counter.py": ["True {'visits': 40}"],
    "jobs.py": ["True False", "False True True", "ann False"],
    "notes.py": ["Somebody else has saved it. Tea at five True", "True", "The note was deleted."],
}


def test_the_page_has_these_programs() -> None:
    assert list(PRINTED) == [block.path for block in blocks("conditional-writes.md")]


@pytest.mark.parametrize("program", PRINTED)
def test_a_program_of_the_page_does_what_it_says(program: str, tmp_path: Path) -> None:
    lay_out(tmp_path, blocks("conditional-writes.md"))

    printed = run(tmp_path, "-W", "error", program)

    # What the executor says when it is closed in the middle of its work comes after it.
    expected = PRINTED[program]
    assert expected == printed.splitlines()[: len(expected)]
