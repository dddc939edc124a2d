"""A schedule that fails is made small and can be had again: tried with a mistake that is planted in the real code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scylla_store.jobs import View
from tests.simulation.__main__ import main
from tests.simulation.choices import Script
from tests.simulation.shrink import Run, explain, replay, run, shrink

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The first schedule that fails when a worker does not see that its row has changed meanwhile."""
    monkeypatch.setattr(View, "differs", lambda self, other: False)
    runs = (run(seed, everything=False) for seed in range(2000))
    return next(found for found in runs if found.error is not None)


def test_a_schedule_that_fails_is_shrunk_and_fails_in_the_same_place(failed: Run) -> None:
    # Given a mistake in the code, and the schedule that found it
    # When it is shrunk
    small = shrink(failed, seconds=60)

    # Then it shows the same with far less
    assert failed.place == small.place
    assert str(small.error).startswith(("a: index", "b: index"))
    assert small.script.decisions < failed.script.decisions / 2
    assert small.switches < failed.switches


def test_a_shrunk_schedule_is_replayed_exactly_from_its_token(
    failed: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a shrunk schedule, as one word
    token = shrink(failed, seconds=60).script.token()

    # When it is replayed, twice here and once from the command line
    first, second = (replay(Script.of(token), is_traced=True) for _ in range(2))
    code = main(["replay", token])

    # Then it fails in the same place, by the same steps
    assert failed.place == first.place
    assert first.trace == second.trace
    assert str(first.error) == str(second.error)
    assert code == 1
    assert capsys.readouterr().out.splitlines()[: len(first.trace)] == first.trace

    # And without the mistake it passes
    monkeypatch.undo()
    assert replay(Script.of(token)).error is None


def test_a_failure_is_reported_with_its_steps_and_the_command_that_replays_it(failed: Run) -> None:
    report = explain(failed.script.seed, seconds=60)

    assert f"seed {failed.script.seed}, shrunk from {failed} to " in report
    assert "index.upsert" in report
    assert report.splitlines()[-1].startswith(f"python -m tests.simulation replay {failed.script.seed}.")


def test_what_a_schedule_chose_replays_it_without_its_seed_deciding() -> None:
    # Given schedules with and without all faults
    for seed, everything in ((2, False), (5, False), (3, True), (11, True)):
        drawn = run(seed, everything=everything, is_traced=True)

        # When their choices are given
        again = replay(Script.of(drawn.script.token()), is_traced=True)

        # Then the same happens, and the choices are the same
        assert drawn.trace == again.trace
        assert drawn.script == again.script


def test_the_figures_of_many_schedules_are_written_as_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "interleavings.md"

    code = main(["8", "0", "--markdown", str(page)])

    written = page.read_text()
    assert code == 0
    assert "8 schedules, 0 failed" in capsys.readouterr().out
    assert "| after a reconciliation: all faults | 2 | 0 |" in written
    assert " states, " in written


def test_several_processes_find_what_one_does() -> None:
    command = [sys.executable, "-m", "tests.simulation", "12", "0"]

    one, two = (subprocess.check_output([*command, "--jobs", jobs], text=True, cwd=_ROOT) for jobs in ("1", "2"))

    assert _without_time(one) == _without_time(two)
    assert " states" in _without_time(two)


def _without_time(said: str) -> str:
    return said.splitlines()[-1].split(" s of processor")[0].rsplit(",", 1)[0]
