"""`python -m tests.campaign`: all faults and pairs, one line each; what is finished is not run again.

python -m tests.campaign --operations 20000 --results campaign.jsonl --markdown docs/proof
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.acceptance.processes import ROOT
from tests.campaign.disk import NAME
from tests.campaign.disk import run as disk
from tests.campaign.faults import Fault, faults, pairs
from tests.campaign.pages import line, write_pages
from tests.campaign.run import Result, Run, forget, is_right, reconcile, warm_up
from tests.campaign.site import installed

_MANY = 5_000
"""Operations of each fault, from which on the nodes' thorough compilers pay."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=20_000, help="of each fault, before, during and after it")
    parser.add_argument("--rate", type=float, default=5.0, help="operations a second of each of the three writers")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds of writes that are not counted, at the start")
    parser.add_argument(
        "--results", type=Path, default=Path("campaign-results.jsonl"), help="appended to; resumed from"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        help="the fault of this name, or all whose name contains it; may be repeated",
    )
    parser.add_argument("--together", type=int, default=4, help="faults that share one reconciliation at their end")
    parser.add_argument("--again", action="store_true", help="also what is finished")
    parser.add_argument("--list", action="store_true", help="names the faults, and does nothing")
    parser.add_argument("--keep", action="store_true", help="keeps the folder with logs and records")
    parser.add_argument("--markdown", type=Path, help="folder for faults.md and visible.md, from all results")
    parser.add_argument("--note", default="", help="what the page is to say of the machine")
    options = parser.parse_args()
    # Ended by a signal, it takes with it what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    every = [*faults(), Fault(NAME, _nothing, _nothing), *pairs()]
    chosen = _chosen(options.only, every) if options.only else every
    if options.list:
        print("\n".join(fault.name for fault in chosen))
        return 0
    finished = (
        set()
        if options.again
        else {result["fault"] for result in read(options.results) if _is_finished(result, options.operations)}
    )
    left = [fault for fault in chosen if fault.name not in finished]
    wrong = _run(left, options) if left else 0
    if options.markdown:
        write_pages(options.markdown, read(options.results), every, options.note)
    return 1 if wrong else 0


def _chosen(only: list[str], every: list[Fault]) -> list[Fault]:
    """In the order of `only`. A whole name means one fault, a part of names all that contain it."""
    names = {one.name for one in every}
    found = [fault for name in only for fault in every if (fault.name == name if name in names else name in fault.name)]
    return list({fault.name: fault for fault in found}.values())


def _nothing(_: object) -> None:
    """The disk is filled elsewhere."""


def read(path: Path) -> list[dict[str, Any]]:
    """The last result of each fault."""
    lines = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
    return list({result["fault"]: result for result in lines}.values())


def _is_finished(result: dict[str, Any], operations: int) -> bool:
    """Whether it had so many operations and was judged after a reconciliation as well, which a killed run was not."""
    return bool(result["operations"] >= operations and result["reconciled"])


def _run(left: list[Fault], options: argparse.Namespace) -> int:
    folder = Path(tempfile.mkdtemp(prefix="scylla-store-campaign-"))
    print(f"{len(left)} faults, {options.operations} operations each; logs and records are in {folder}", flush=True)
    try:
        return _on_disk(left, folder, options) + _on_site(
            [fault for fault in left if fault.name != NAME], folder, options
        )
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _on_disk(left: list[Fault], folder: Path, options: argparse.Namespace) -> int:
    """The one that needs an embedded store and no server."""
    return sum(
        _tell(
            disk(folder / "disk", operations=options.operations, rate=3 * options.rate, commit=commit()), fault, options
        )
        for fault in left
        if fault.name == NAME
    )


def _on_site(left: list[Fault], folder: Path, options: argparse.Namespace) -> int:
    """All others, on one installation; a few of them share a reconciliation."""
    if not left:
        return 0
    wrong = 0
    with installed(folder / "site", quick=options.operations < _MANY) as site:
        warm_up(site, options.warm)
        for start in range(0, len(left), options.together):
            some, runs = left[start : start + options.together], []
            for fault in some:
                root = f"r{time.time_ns() // 10**6}"
                runs.append(Run(site, fault, root, operations=options.operations, rate=options.rate, commit=commit()))
                _keep(runs[-1].run(), options)
            reconcile(site, runs)
            forget(site)
            wrong += sum(_tell(run.result, fault, options) for run, fault in zip(runs, some, strict=True))
    return wrong


def _keep(result: Result, options: argparse.Namespace) -> None:
    """Also before it is reconciled: the last line of a fault counts."""
    with options.results.open("a") as results:
        results.write(result.as_line + "\n")
    print(line(json.loads(result.as_line)), flush=True)


def _tell(result: Result, fault: Fault, options: argparse.Namespace) -> int:
    _keep(result, options)
    found = is_right(result, fault)
    for what in found:
        print(f"    {what}", flush=True)
    return bool(found)


def commit() -> str:
    """The version that is tested."""
    shown = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
