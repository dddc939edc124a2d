"""What is reported to other systems: StatsD metrics and Sentry events. Both do nothing unless the settings name a server."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scylla_store.clock import SECOND
from scylla_store.settings.options import MonitoringSettings

if TYPE_CHECKING:
    from statsd import StatsClient

    from scylla_store.outlook import Outlook
    from scylla_store.reconcile import ReconcileReport
    from scylla_store.summary import DrainSummary

log = logging.getLogger(__name__)

_PAUSE = 60.0
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def start_sentry(settings: MonitoringSettings) -> bool:
    """Starts the SDK when a DSN is set and the application has not started it; returns whether it did.

    Events carry no local variables and no arguments of tasks and commands, because those may hold content of documents.
    """
    if settings.sentry_dsn is None:
        return False
    import sentry_sdk

    if sentry_sdk.is_initialized():
        return False
    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=_without_arguments,
    )
    return True


def _without_arguments(event: Any, hint: Any) -> Any:
    """The event without the command line, which the SDK adds: a document or a password may stand there."""
    event.get("extra", {}).pop("sys.argv", None)
    return event


@contextmanager
def tagged(**tags: str | int | None) -> Iterator[None]:
    """Tags the Sentry events of what is logged inside as an error. Nothing happens where Sentry was not started.

    The event itself is made of the log record, by the SDK: so an operator reads the same sentence in both, once.
    """
    sdk = sys.modules.get("sentry_sdk")
    if sdk is None or not sdk.is_initialized():
        yield
        return
    with sdk.new_scope() as scope:
        for name, value in tags.items():
            if value is not None:
                scope.set_tag(f"scylla_store.{name}", str(value))
        yield


class Metrics:
    """Counters, gauges and timers by StatsD over UDP: a server that is away costs nothing and loses its metrics.

    `metrics.METRICS` has their names, types and meanings.
    """

    def __init__(self, settings: MonitoringSettings) -> None:
        self._settings = settings
        self._client: StatsClient | None = None
        self._try_after = 0.0
        self._closed = False

    def count(self, name: str, amount: int = 1) -> None:
        """Adds to a counter; nothing is sent for 0."""
        client = self._connected()
        if client is not None and amount:
            client.incr(sanitised(name), amount)

    def gauge(self, name: str, value: float) -> None:
        """Sets a gauge."""
        client = self._connected()
        if client is not None:
            client.gauge(sanitised(name), value)

    def timing(self, name: str, seconds: float) -> None:
        """Reports a duration; StatsD has it in milliseconds."""
        client = self._connected()
        if client is not None:
            client.timing(sanitised(name), seconds * 1000)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Reports how long what is inside took, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timing(name, time.perf_counter() - started)

    def drained(self, summary: DrainSummary, outlook: Outlook) -> None:
        """What a drain saw."""
        self.gauge("outbox.pending", summary.pending)
        self.gauge("outbox.due", summary.due)
        self.gauge("outbox.retrying", summary.retrying)
        oldest = 0.0 if summary.oldest_filed_at is None else (summary.at - summary.oldest_filed_at) / SECOND
        self.gauge("outbox.oldest_seconds", max(0.0, oldest))
        if summary.backlog is not None:
            self.gauge("queue.backlog", summary.backlog)
        self.count("drain.dispatched", summary.dispatched)
        self.count("drain.broker_emptied", int(summary.broker_emptied))
        self.gauge("workers.alive", outlook.workers)
        self.gauge("workers.troubled", max((trouble.processes for trouble in outlook.troubles), default=0))
        if outlook.letters is not None:
            self.gauge("letters.dead", sum(outlook.letters.dead.values()))

    def reconciled(self, report: ReconcileReport) -> None:
        """What a reconciliation found, by kind."""
        for kind, count in report.kinds().items():
            self.gauge(f"reconcile.{kind}", count)
        self.gauge("reconcile.drift", report.drift)
        self.count("reconcile.repaired", report.repaired)
        self.count("reconcile.scanned", report.scanned)
        self.timing("reconcile.run", report.seconds)

    def close(self) -> None:
        """Closes the socket, and sends nothing any more; twice is fine."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> StatsClient | None:
        """The client; None when there is none. Its constructor looks the host up and may raise, so it is tried once a minute."""
        if self._settings.statsd_host is None or self._closed:
            return None
        if self._client is None and time.monotonic() >= self._try_after:
            from statsd import StatsClient

            try:
                prefix = sanitised(self._settings.statsd_prefix)
                host, port = self._settings.statsd_host, self._settings.statsd_port
                self._client = StatsClient(host, port, prefix, ipv6=":" in host)
            except OSError as exc:
                self._try_after = time.monotonic() + _PAUSE
                log.warning("Metrics are off for %s s, StatsD cannot be reached: %s", _PAUSE, exc)
        return self._client


def sanitised(name: str) -> str:
    """A metric name without what StatsD takes as syntax."""
    return _UNSAFE.sub("_", name).strip(".")
