"""What the end of a reconciliation tells others, whoever ran it: a log line, metrics, and an error when it found drift."""

from __future__ import annotations

import logging

from scylla_store.monitoring import Metrics, tagged
from scylla_store.reconcile.rounds import ReconcileReport

log = logging.getLogger(__name__)


def announce(report: ReconcileReport, metrics: Metrics | None, *, threshold: int) -> None:
    """Reports it to the metrics, if there are any, and logs it: as an error when it found more differences than `threshold`."""
    if metrics is not None:
        metrics.reconciled(report)
    if report.drift <= threshold:
        log.info("Reconciliation %s compared %d rows and %d points.", report.id, report.scanned, report.points)
        return
    found = {kind: count for kind, count in report.kinds().items() if count}
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.items())
    with tagged(task="reconcile", reason="drift", **found):
        log.error("Reconciliation %s found drift: %s; %d repairs are filed.", report.id, kinds, report.repaired)
