"""Runs schedules and tests over a copy of the tree, changed or not. The real tree is never touched."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
_COPIED = ("scylla_store", "tasks", "tests", "config", "docs", "tox.ini", "setup.cfg", "setup.py", "README.md")
_LONGEST_TEST = 600.0
_FAILED_SCHEDULE = re.compile(r"^seed (\d+e?): ", re.MULTILINE)
_SEED = re.compile(r"(\d+)e?$")
_TALLY = re.compile(r"^\d+ schedules.*$", re.MULTILINE)
_SECONDS = re.compile(r"(\d+) s of processor")
_FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_SKIPPED_ALL = re.compile(r"^\d+ (?:skipped|deselected)", re.MULTILINE)


class Broken(Exception):
    """A run ended in a way that says nothing about the code: an import that fails, no test that ran."""


@dataclass(frozen=True)
class Finding:
    """What one run of schedules or tests said.

    Attributes:
        by: a seed, or the test that failed; None when all passed.
        seconds: of processor time for schedules, of the clock for tests.
    """

    by: str | None
    seconds: float
    detail: str = ""


@dataclass
class Verdict:
    """What became of one mutant. `schedules` is None when none were run."""

    mutant: Mutant
    schedules: Finding | None = None
    tests: list[Finding] = field(default_factory=list)

    @property
    def test(self) -> Finding | None:
        """The first test that failed."""
        return next((found for found in self.tests if found.by), None)

    @property
    def is_caught(self) -> bool:
        return bool((self.schedules and self.schedules.by) or self.test)


def examine(mutant: Mutant, seconds: float, *, quick: bool) -> Verdict:
    """Applies a mutant to a copy and runs what it names.

    Args:
        seconds: of processor time that schedules may take.
        quick: whether no tests are run when a schedule has caught it.
    """
    with _copied() as root:
        mutant.apply(root)
        verdict = Verdict(mutant)
        if not mutant.unseen:
            verdict.schedules = schedules(root, seconds, mutant.kind)
            _check_without(verdict.schedules, mutant.kind)
        for arguments in () if quick and verdict.is_caught else mutant.tests:
            verdict.tests.append(tests(root, [arguments]))
            if verdict.test:
                break
        return verdict


def _check_without(found: Finding, kind: str) -> None:
    """What a schedule shows must be gone without the mistake; raises Broken."""
    seed = _SEED.search(found.by or "")
    if seed is None:
        return
    with _copied() as root:
        if schedules(root, 0.0, kind, int(seed.group(1))).by:
            raise Broken(f"Schedule {found.by} fails in the unchanged tree too")


def examine_unchanged(suites: Sequence[str], seconds: float) -> tuple[Finding, Finding]:
    """The same over the tree as it is: nothing may fail, or no mutant says anything."""
    with _copied() as root:
        found = _python(root, ["-c", "import scylla_store; print(scylla_store.__file__)"], 60.0)
        if not found.stdout.startswith(str(root)):
            raise Broken(f"{found.stdout} is imported instead of the copy in {root}: {found.stderr}")
        whole = [suite for suite in suites if " -k " not in suite]
        groups = [group for group in (whole, *([suite] for suite in suites if suite not in whole)) if group]
        runs = [tests(root, group) for group in groups]
        failed = next((found.by for found in runs if found.by), None)
        seconds_of_tests, details = sum(found.seconds for found in runs), [found.detail for found in runs]
        return schedules(root, seconds), Finding(failed, seconds_of_tests, "; ".join(details))


def schedules(root: Path, seconds: float, kind: str = "", first: int = 0) -> Finding:
    """Schedules from a seed on until one fails or the time is over."""
    words = ["-m", "tests.simulation", "100000000", str(first), "stop", "--seconds", str(seconds)]
    arguments = [*words, "--shrink", "0", "--fast"]
    arguments += ["--kind", kind] if kind else []
    started = time.monotonic()
    try:
        found = _python(root, arguments, 10 * seconds + 120.0)
    except subprocess.TimeoutExpired:
        return Finding("a schedule that never ends", time.monotonic() - started)
    failed, tally = _FAILED_SCHEDULE.search(found.stdout), _TALLY.findall(found.stdout)
    if not tally:
        raise Broken(found.stdout[-500:] + found.stderr[-1500:])
    return Finding(
        f"{kind} {failed.group(1)}".strip() if failed else None, float(_SECONDS.findall(tally[-1])[0]), tally[-1]
    )


def tests(root: Path, suites: Sequence[str]) -> Finding:
    """The suites, until the first test that fails."""
    started = time.monotonic()
    arguments = [word for suite in suites for word in shlex.split(suite)]
    words = ["-m", "pytest", "-x", "-q", "-rfE", "-p", "no:cacheprovider", "--no-header", *arguments]
    try:
        found = _python(root, words, _LONGEST_TEST)
    except subprocess.TimeoutExpired:
        return Finding(f"{suites[0]}: never ends", time.monotonic() - started)
    took = time.monotonic() - started
    if found.returncode == 2 and "KeyboardInterrupt" in found.stdout:
        return Finding(f"{suites[0]}: a kill that a test simulates is not survived", took)
    if found.returncode == 1:
        failed = _FAILED_TEST.search(found.stdout)
        return Finding(failed.group(1) if failed else suites[0], took)
    if found.returncode or _SKIPPED_ALL.search(found.stdout):
        raise Broken(found.stdout[-1500:] + found.stderr[-500:])
    return Finding(None, took, found.stdout.strip().splitlines()[-1])


@contextmanager
def _copied() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mutant-")).resolve()
    try:
        for name in _COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _python(root: Path, arguments: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Runs Python in the copy, which hides whatever is installed. Its children end with it when the time is over."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=seconds
    )
