"""The table of what caught which mutant."""

from __future__ import annotations

from collections.abc import Sequence

from tests.mutants.runner import Finding, Verdict
from tests.simulation.report import version


def line(verdict: Verdict) -> str:
    """One mutant for a terminal."""
    seen = _of_schedules(verdict.schedules)
    return f"{verdict.mutant.name}: {'caught' if verdict.is_caught else 'NOT CAUGHT'} | {seen} | {_tests_of(verdict)}"


def _tests_of(verdict: Verdict) -> str:
    return _of_test(verdict.test) if verdict.tests else "not run"


def markdown(command: str, unchanged: tuple[Finding, Finding], verdicts: Sequence[Verdict]) -> str:
    """The page docs/proof/mutants.md."""
    caught = sum(verdict.is_caught for verdict in verdicts)
    by_schedules = sum(bool(verdict.schedules and verdict.schedules.by) for verdict in verdicts)
    alone = [verdict for verdict in verdicts if verdict.schedules is None]
    missed = [verdict for verdict in verdicts if verdict.schedules is not None and not verdict.schedules.by]
    return "\n".join(
        [
            "# Mutants",
            "",
            f"`{command}` at commit {version()}. Each line is one mistake that somebody could make in the protocol, made in a",
            "copy of the source. Schedules (`tests/simulation`, from seed 0 on) and the named tests run over the copy.",
            "",
            f"- {len(verdicts)} mutants, {caught} caught, {len(verdicts) - caught} not; {by_schedules} by a schedule.",
            f"- The unchanged tree: {unchanged[0].detail}; tests: {unchanged[1].detail}.",
            "- Seeds with an `e` have all faults and a repair at the end. `python -m tests.simulation replay SEED` in a tree",
            "  with the mistake shows the schedule.",
            "",
            "| mutant | why somebody would | in | schedule: seed, after | test, after |",
            "| --- | --- | --- | --- | --- |",
            *map(_row, verdicts),
            "",
            "## Not for schedules",
            "These are guards that no schedule can need, for the reason given; a test holds each of them.",
            "",
            *(f"- **{verdict.mutant.name}**: {verdict.mutant.unseen}." for verdict in alone),
            *_missed(missed),
            "",
        ]
    )


def _missed(verdicts: Sequence[Verdict]) -> list[str]:
    if not verdicts:
        return []
    return [
        "",
        "## Found by no schedule in the time",
        "A schedule could show these, or the check is missing; a test holds each of them.",
        "",
        *(f"- {verdict.mutant.name}" for verdict in verdicts),
    ]


def _row(verdict: Verdict) -> str:
    mutant = verdict.mutant
    files = ", ".join(file.removeprefix("scylla_store/") for file in mutant.files)
    cells = (mutant.name, mutant.why, files, _of_schedules(verdict.schedules), _tests_of(verdict))
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _of_schedules(found: Finding | None) -> str:
    if found is None:
        return "not tried"
    return f"{found.by}, {found.seconds:.0f} s" if found.by else f"none in {found.seconds:.0f} s"


def _of_test(found: Finding | None) -> str:
    if found is None or found.by is None:
        return "none"
    path, _, test = found.by.partition("::")
    return f"{path.removeprefix('tests/')} {test.removeprefix('test_')}, {found.seconds:.0f} s"
