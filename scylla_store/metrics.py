"""Every metric, once: its name, type and meaning. docs/reference/metrics.md is made from this.

python -m scylla_store.metrics > docs/reference/metrics.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A metric: what it is called behind the prefix, what StatsD does with it, who sends it, what it says."""

    name: str
    kind: Literal["counter", "gauge", "timer"]
    sender: str
    meaning: str


_DRAIN = "the drain's worker"
_WORKER = "each worker process"
_ANY = "each process"
_RECONCILE = "whoever reconciles"

METRICS = (
    Metric("outbox.pending", "gauge", _DRAIN, "writes that wait for the index; at least so many above 10,000"),
    Metric("outbox.due", "gauge", _DRAIN, "those that the next drain may send to workers"),
    Metric("outbox.retrying", "gauge", _DRAIN, "those that failed before"),
    Metric("outbox.oldest_seconds", "gauge", _DRAIN, "age of the oldest of them"),
    Metric("queue.backlog", "gauge", _DRAIN, "sync tasks that wait in the broker"),
    Metric("letters.dead", "gauge", _DRAIN, "dead letters that nobody has given up"),
    Metric("workers.alive", "gauge", _DRAIN, "worker processes that gave a sign of life within 20 s"),
    Metric("workers.troubled", "gauge", _DRAIN, "those that do not work: a circuit is open, their clock is refused"),
    Metric("drain.dispatched", "counter", _DRAIN, "writes that a drain sent to workers again"),
    Metric("drain.broker_emptied", "counter", _DRAIN, "drains that found that the broker had lost its data (Redis)"),
    Metric("drain.failed", "counter", _DRAIN, "drains that could not finish; the next one goes on"),
    Metric("drain.run", "timer", _DRAIN, "duration of a drain"),
    Metric("sync.acked", "counter", _WORKER, "writes brought to the index (or off it)"),
    Metric("sync.embedded", "counter", _WORKER, "texts embedded"),
    Metric("sync.failed", "counter", _WORKER, "writes that a task will try again"),
    Metric("sync.dead", "counter", _WORKER, "writes that became dead letters"),
    Metric("sync.run", "timer", _WORKER, "duration of a sync task"),
    Metric("breaker.index.opened", "counter", _ANY, "circuits of the index that opened"),
    Metric("breaker.index.closed", "counter", _ANY, "those that closed, because the index answers again"),
    Metric(
        "breaker.index.refused",
        "counter",
        _ANY,
        "requests to the index that were not made, because its circuit was open",
    ),
    Metric("breaker.embedder.opened", "counter", _ANY, "circuits of the embedder that opened"),
    Metric("breaker.embedder.closed", "counter", _ANY, "those that closed, because the embedder answers again"),
    Metric(
        "breaker.embedder.refused",
        "counter",
        _ANY,
        "calls of the embedder that were not made, because its circuit was open",
    ),
    Metric("search.run", "timer", _ANY, "duration of a search (of `search_many`: of all its queries together), failed ones included"),
    Metric("search.failed", "counter", _ANY, "searches that raised a TransientError"),
    Metric("find.run", "timer", _ANY, "duration of a find, failed ones included"),
    Metric("find.failed", "counter", _ANY, "finds that raised a TransientError"),
    Metric("reconcile.scanned", "counter", _RECONCILE, "rows that a reconciliation compared"),
    Metric("reconcile.drift", "gauge", _RECONCILE, "differences that the last reconciliation found, of all kinds"),
    *(
        Metric(f"reconcile.{kind}", "gauge", _RECONCILE, f"those of the kind {kind.replace('_', ' ')}")
        for kind in ("missing", "stale", "orphan", "wrong_model", "incomplete", "expired", "damaged", "newer")
    ),
    Metric("reconcile.repaired", "counter", _RECONCILE, "intents of repair that were filed"),
    Metric("reconcile.failed", "counter", "the reconciliation's worker", "pieces of a reconciliation that stopped; the next one goes on"),
    Metric("reconcile.run", "timer", _RECONCILE, "duration of a whole reconciliation, pauses included"),
)

_HEAD = """# Metrics

This page is made by `python -m scylla_store.metrics`.

StatsD by UDP, off unless `monitoring.statsd_host` is set; every name begins with `monitoring.statsd_prefix` (`scylla_store`). A StatsD server that is away costs nothing.
Counters add up over all processes. Gauges come from one process, the one that drained last, so that the last one wins. Timers are in milliseconds; the receiver makes
percentiles of them.

| name | type | sent by | meaning |
| --- | --- | --- | --- |
"""


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    return _HEAD + "".join(
        f"| `{metric.name}` | {metric.kind} | {metric.sender} | {metric.meaning} |\n" for metric in METRICS
    )


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
