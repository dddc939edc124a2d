"""`python -m tests.mutants`: makes each mistake of the catalogue in a copy of the source, and shows what catches it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import report
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.runner import Verdict, examine, examine_unchanged

_AT_ONCE = 2


def main(arguments: Sequence[str]) -> int:
    """Returns 1 when a mutant is not caught, or the unchanged tree fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="mutants whose name holds this")
    parser.add_argument("--seconds", type=float, default=40.0, help="of processor time for schedules, each time")
    parser.add_argument("--quick", action="store_true", help="run no tests on what a schedule has caught")
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    given = parser.parse_args(arguments)
    chosen = [one for one in MUTANTS if not given.only or any(part in one.name for part in given.only)]
    suites = list(dict.fromkeys(suite for one in chosen for suite in one.tests))
    unchanged = examine_unchanged(suites, given.seconds)
    print(f"unchanged: {unchanged[0].detail} | {unchanged[1].detail}", flush=True)
    if unchanged[0].by or unchanged[1].by:
        print(f"The tree fails as it is: {unchanged[0].by or unchanged[1].by}")
        return 1
    command = f"python -m tests.mutants --seconds {given.seconds:g}{' --quick' if given.quick else ''}"

    def write(verdicts: Sequence[Verdict]) -> None:
        if given.markdown:
            given.markdown.write_text(report.markdown(command, unchanged, verdicts))

    verdicts = _examined(chosen, given.seconds, write, quick=given.quick)
    missed = [verdict.mutant.name for verdict in verdicts if not verdict.is_caught]
    print(f"{len(verdicts)} mutants, {len(missed)} not caught: {', '.join(missed) or 'none'}")
    return int(bool(missed))


def _examined(
    mutants: Sequence[Mutant], seconds: float, write: Callable[[Sequence[Verdict]], None], *, quick: bool
) -> list[Verdict]:
    """Writes what it has after each of them, so that a run that is stopped leaves something."""
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for verdict in pool.map(lambda one: examine(one, seconds, quick=quick), mutants):
            print(report.line(verdict), flush=True)
            verdicts.append(verdict)
            write(verdicts)
    return verdicts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
