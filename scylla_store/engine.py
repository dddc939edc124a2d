"""What the in-process executor runs, where no workers and no beat do it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scylla_store.drain import Scope
from scylla_store.heartbeats import EVERY
from scylla_store.intents import Ref
from scylla_store.outlook import observe

if TYPE_CHECKING:
    from scylla_store.wiring import Parts

_PIECE = 0.2
"""Seconds of a reconciliation between two tasks."""


class Engine:
    """Indexes, drains, and reconciles between two tasks; all in the executor's one thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reconcile_at = time.monotonic() + parts.settings.reconcile.interval
        self._look_at = 0.0
        self._was_pending = False

    def open(self) -> None:
        self._parts.open_index()
        if self._parts.rebuild.is_on():
            self._reconcile_at = 0.0

    def work(self, refs: Sequence[Ref]) -> None:
        self._parts.heart.count(self._parts.worker.work(refs).acked)

    def catch_up(self, scope: Scope) -> None:
        summary = self._parts.drain.run(scope if self._parts.is_embedded else Scope.DUE)
        if summary is not None and (summary.pending or self._was_pending) and time.monotonic() >= self._look_at:
            # Written down only while there is something to do: an idle store writes nothing to its disk.
            self._parts.heart.beat()
            observe(self._parts.database, summary)
            self._look_at, self._was_pending = time.monotonic() + EVERY, bool(summary.pending)
        is_due = self._parts.reconciles_by_itself and time.monotonic() >= self._reconcile_at
        if is_due and not self._parts.dispatcher.backlog():
            report = self._parts.reconciler.go_on(_PIECE)
            if report is not None:
                settings = self._parts.settings.reconcile
                # What cannot be read now cannot be read in a moment either
                is_soon = self._parts.rebuild.is_on() and not report.is_partial
                pause = settings.grace if is_soon else settings.interval
                self._reconcile_at = time.monotonic() + pause

    def data_version(self) -> int:
        version: Callable[[], int] | None = getattr(self._parts.database, "data_version", None)
        return 0 if version is None else version()
