"""Measures ours and the raw parts in turns: `python -m tests.bench [--quick] [--only NAME] [--json FILE]`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from tests.bench import (
    contending,
    embedded,
    every_fault,
    faults,
    growth,
    indexing,
    listing,
    many,
    outbox,
    reading,
    reconciling,
    searching,
    table,
    writing,
)
from tests.bench.installation import Servers, machine
from tests.bench.measure import Row
from tests.servers import Missing

Measure = Callable[[Servers, bool], list[Row]]

BENCHES: dict[str, Measure] = {
    "put": writing.put,
    "get": reading.get,
    "put_many": writing.put_many,
    "get_many": reading.get_many,
    "sync": indexing.sync,
    "outbox": outbox.outbox,
    "reconcile": reconciling.reconcile,
    "search": searching.search,
    "many": many.many,
    "compare_and_set": contending.compare_and_set,
    "list_namespaces": listing.list_namespaces,
    "embedded": embedded.embedded,
    "growth": growth.growth,
    "faults": faults.faults,
}
LONG: dict[str, Measure] = {"every_fault": every_fault.every_fault}
"""Only when it is named: half an hour, and three Cassandra nodes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for; the exit code says nothing of the figures."""
    options = _parser().parse_args(arguments)
    console = Console()
    rows: list[Row] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ended by a signal, it takes with it what it started
    command = ["python", "-m", "tests.bench", *(sys.argv[1:] if arguments is None else arguments)]
    with machine() as servers:
        for name in options.only or BENCHES:
            rows += _measured(name, servers, options.quick, console)
            table.store(rows, command, options.json)
    table.show(rows, console)
    if options.markdown:
        options.markdown.write_text(table.markdown(rows), encoding="utf-8")
    return 0


def _measured(name: str, servers: Servers, quick: bool, console: Console) -> list[Row]:
    began = time.monotonic()
    try:
        rows = {**BENCHES, **LONG}[name](servers, quick)
    except Missing as missing:
        console.print(f"{name}: left out, {missing}")
        return []
    console.print(f"{name}: {time.monotonic() - began:.0f} s")
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes: about a minute")
    parser.add_argument(
        "--only", action="append", choices=[*BENCHES, *LONG], metavar="NAME", help=", ".join([*BENCHES, *LONG])
    )
    parser.add_argument("--json", type=Path, default=Path("bench-results.json"), help="where the figures are kept")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
