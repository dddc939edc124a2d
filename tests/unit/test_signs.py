"""What the campaign takes for a sign of a fault: what an operator could tell from a good day, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.campaign.signs import Sign, first_of_each_channel, signs_of_log, signs_of_metric, signs_of_sample

GOOD_DAY = [
    "scylla_store.outbox.pending:7|g",
    "scylla_store.outbox.retrying:0|g",
    "scylla_store.outbox.oldest_seconds:3.1|g",
    "scylla_store.workers.alive:4|g",
    "scylla_store.workers.troubled:0|g",
    "scylla_store.letters.dead:0|g",
    "scylla_store.sync.acked:20|c",
]
NO_TROUBLE = {"state": "ok", "reason": None}


def sample(status: dict[str, object] | None = None, **health: object) -> str:
    """A line of the watcher, of a good day but for these."""
    good = {"retrying": 0, "dead": 0, "oldest_pending_seconds": 2.0, "age_seconds": 1.0, "workers": 4}
    lines = dict.fromkeys(("database", "index", "broker", "embedder", "workers", "drain"), NO_TROUBLE)
    return json.dumps({"status": {**good, **(status or {})}, "health": {**lines, **health}, "monotonic": 1.0})


def of_metrics(lines: list[str]) -> list[Sign]:
    return [sign for line in lines for sign in signs_of_metric(line)]


def seen(after: list[Sign], before: list[Sign]) -> set[str]:
    """Channels that show something that was not there before."""
    known = {f"{sign.channel} {sign.key}" for sign in before}
    return set(first_of_each_channel(after, known, 0.0))


def healthy() -> Iterator[Sign]:
    yield from of_metrics(GOOD_DAY)
    yield from signs_of_sample(sample(), "watched")
    yield from signs_of_log("2026-01-01 00:00:00,000 INFO Task scylla_store.drain_outbox succeeded", "worker1")


def test_a_run_without_a_fault_shows_no_sign_whatever_the_drain_sends() -> None:
    # Given a good day, and one on which the drain has something to send again, as it does when workers are behind
    before = list(healthy())
    after = [*healthy(), *of_metrics(["scylla_store.drain.dispatched:12|c", "scylla_store.drain.run:8.1|ms"])]
    # Then nobody could say that something is wrong
    assert seen(after, before) == set()


def test_a_broker_that_lost_its_data_is_seen_in_health_logs_and_metrics() -> None:
    before = list(healthy())
    reason = "the broker lost its data 2 s ago; what was in flight is sent again within 24 s of that"
    after = [
        *of_metrics(["scylla_store.drain.broker_emptied:1|c"]),
        *signs_of_sample(sample(drain={"state": "degraded", "reason": reason}), "watched"),
        *signs_of_log("2026-01-01 00:00:00,000 WARNING The broker has lost its data: tasks in flight", "worker1"),
    ]
    assert seen(after, before) == {"health", "logs", "metrics"}
