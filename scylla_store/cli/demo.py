"""The command that shows the store at work, and checks everything it says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from scylla_store.cli.invocation import Invocation, common_options


@click.command()
@click.option("--keep", is_flag=True, help="Keep the folder, to look around in it.")
@click.option("--documents", type=click.IntRange(200), default=None, help="Only so many documents; all by default.")
@common_options
@click.pass_obj
def demo(call: Invocation, keep: bool, documents: int | None) -> None:
    """Show it on Python's own documentation: embedded, offline, in a folder of its own, in less than a minute.

    Everything that it says is checked while it runs; the exit code is 0 only if all of it was true. Settings are not
    read.
    """
    from scylla_store.cli.tour import Tour

    folder = Path(tempfile.mkdtemp(prefix="scylla-store-demo-"))
    try:
        figures = Tour(folder, call.output, documents).run(keep)
    finally:
        if not keep:
            shutil.rmtree(folder)
    if call.as_json:
        call.output.answer(figures, [])
