"""What the tasks do. Plain methods: Celery's part of them is the request that they are given."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from typing import Any

from scylla_store.contrib.celery.dispatcher import describe, message_lifetime
from scylla_store.contrib.celery.names import DRAIN_OUTBOX, SYNC_ITEMS
from scylla_store.contrib.celery.processes import ProcessStore
from scylla_store.drain import dispatch_lifetime
from scylla_store.errors import TransientError
from scylla_store.forks import follow
from scylla_store.heartbeats import process_name
from scylla_store.intents import from_wire, to_wire
from scylla_store.monitoring import tagged
from scylla_store.outlook import observe
from scylla_store.settings.options import Settings
from scylla_store.summary import DrainFailure, store_failure
from scylla_store.wiring import Parts
from scylla_store.worker import WorkReport

log = logging.getLogger(__name__)

_LONGEST_COUNTDOWN = 15.0
"""Seconds. A worker holds a task with a countdown in memory, so long waits belong to the outbox."""


class Tasks:
    """The bodies of the tasks, over the store of the process that runs them."""

    def __init__(self, stores: ProcessStore, settings: Settings) -> None:
        self._stores = stores
        self._settings = settings
        self._draining = threading.Lock()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._draining = threading.Lock()

    def sync_items(self, task: Any, message: dict[str, Any]) -> dict[str, Any]:
        """Brings the refs of the message to the index, and what failed for now once more in a moment.

        Returns:
            How many refs were acked (indexed), waiting (left to the outbox) and dead, and how many texts were embedded;
            with short retries, those of the earlier runs included.
        """
        refs = from_wire(message)
        if refs is None:
            return self._leave_to_newer(task, message)
        countdown = self._countdown(task)
        store = self._stores.get()
        started = time.perf_counter()
        with tagged(task=SYNC_ITEMS):
            report = store.parts.worker.work(
                refs,
                redelivered=bool((task.request.delivery_info or {}).get("redelivered")),
                dispatcher=store.parts.dispatcher,
                postpone=0.0 if countdown is None else countdown + dispatch_lifetime(self._settings),
            )
        store.parts.heart.count(report.acked)
        self._measure(report, time.perf_counter() - started)
        result = _summed(report, message.get("before"))
        if report.retry and countdown is not None:
            # The outbox's next attempt lies behind this one, so that the two never meet.
            again = {
                **to_wire(report.retry),
                "before": {**result, "waiting": max(0, result["waiting"] - len(report.retry))},
            }
            raise self._retried(task, again, countdown, describe(report.retry))
        return {**result, "error": report.error} if report.error else result

    def drain_outbox(self) -> dict[str, Any] | None:
        """Dispatches what is due; None when another drain is at it, or when it could not finish (the next one goes on)."""
        if not self._draining.acquire(blocking=False):
            return None
        parts = self._stores.store.parts
        try:
            self._stores.get()
            with tagged(task=DRAIN_OUTBOX), parts.metrics.timed("drain.run"):
                summary = parts.drain.run()
            if summary is None:
                return None
            parts.metrics.drained(summary, observe(parts.database, summary))
        except TransientError as exc:
            log.warning("The drain did not finish, the next one goes on: %s", exc)
            self._note_failure(parts, exc)
            return None
        finally:
            self._draining.release()
        return {"pending": summary.pending, "dispatched": summary.dispatched, "backlog": summary.backlog}

    def reconcile(self) -> dict[str, Any] | None:
        """Goes on with the reconciliation; its counts when it has ended, None before that and when it had to wait."""
        store = self._stores.get()
        try:
            store.parts.open_index()
            report = store.parts.reconciler.go_on(self._settings.reconcile.run_time)
        except TransientError as exc:
            log.warning("The reconciliation stopped, the next one goes on: %s", exc)
            self._stores.metrics.count("reconcile.failed")
            return None
        return None if report is None else report.as_dict()

    def _note_failure(self, parts: Parts, exc: TransientError) -> None:
        """For `health`, as far as the database takes it."""
        parts.metrics.count("drain.failed")
        failure = DrainFailure(parts.clock.now() - parts.guard.skew, process_name(), str(exc))
        with suppress(TransientError):
            store_failure(parts.database, failure)

    def _countdown(self, task: Any) -> float | None:
        """Seconds until a short retry of this run, with jitter; None when it was the last one, or eager: nobody waits there."""
        settings, retries = self._settings.celery, task.request.retries or 0
        if retries >= settings.retries or task.request.is_eager:
            return None
        return float(min(_LONGEST_COUNTDOWN, settings.retry_backoff * 2**retries) * (0.5 + random.random() / 2))

    def _leave_to_newer(self, task: Any, message: dict[str, Any]) -> dict[str, Any]:
        """A newer version of the library wrote it: back to the queue for a newer worker, in the end to the outbox."""
        countdown = self._countdown(task)
        log.warning("Task %s has format %s, which a newer worker understands.", task.request.id, message.get("format"))
        if countdown is not None:
            raise self._retried(task, message, countdown, f"(format {message.get('format')})")
        return {"acked": 0, "waiting": len(message.get("refs", ())), "dead": 0, "embedded": 0}

    def _retried(self, task: Any, message: dict[str, Any], countdown: float, shown: str) -> Exception:
        retry: Exception = task.retry(
            args=[message],
            kwargs={},
            countdown=countdown,
            max_retries=self._settings.celery.retries,
            expires=countdown + message_lifetime(self._settings),
            argsrepr=shown,
            kwargsrepr="{}",
            throw=False,
        )
        return retry

    def _measure(self, report: WorkReport, seconds: float) -> None:
        metrics = self._stores.metrics
        metrics.count("sync.acked", report.acked)
        metrics.count("sync.failed", len(report.retry))
        metrics.count("sync.dead", report.dead)
        metrics.count("sync.embedded", report.embedded)
        metrics.timing("sync.run", seconds)


def _summed(report: WorkReport, before: dict[str, int] | None) -> dict[str, Any]:
    own = {"acked": report.acked, "waiting": report.waiting, "dead": report.dead, "embedded": report.embedded}
    return {name: count + (before or {}).get(name, 0) for name, count in own.items()}
