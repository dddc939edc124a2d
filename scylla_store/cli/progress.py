"""Progress on stderr: a bar with rate and time left on a terminal, a line now and then elsewhere, nothing with --json."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import click

from scylla_store.cli.output import Output, stderr_console

_LINE_EVERY = 5.0


class Progress:
    """How far something is.

    Args:
        total: what `update` counts up to; None when it is not known.
        done: what was done before.
    """

    def __init__(self, output: Output, title: str, total: int | None, done: int = 0) -> None:
        self._title = title
        self._total = total
        self._first = done
        self._quiet = output.as_json
        self._bar: Any = None
        self._task: Any = None
        self._started = self._printed = time.monotonic()

    def __enter__(self) -> Progress:
        if self._quiet:
            return self
        console = stderr_console()
        if console.is_terminal:
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[documents]:,} documents, {task.fields[rate]:,.0f}/s"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task(
                self._title, total=self._total, completed=self._first, documents=0, rate=0.0
            )
            self._bar.start()
        return self

    def update(self, done: int, documents: int) -> None:
        """Says how far it is, and how many documents that were."""
        rate = documents / max(1e-6, time.monotonic() - self._started)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, documents=documents, rate=rate)
        elif not self._quiet and time.monotonic() - self._printed >= _LINE_EVERY:
            self._printed = time.monotonic()
            share = f"{100 * done / self._total:.0f}%, " if self._total else ""
            click.echo(f"{self._title}: {share}{documents:,} documents, {rate:,.0f}/s{self._left(done)}", err=True)

    def _left(self, done: int) -> str:
        fresh = done - self._first
        if not self._total or fresh <= 0:
            return ""
        seconds = (time.monotonic() - self._started) * (self._total - done) / fresh
        return f", {seconds:.0f} s left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
