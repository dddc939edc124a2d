"""Health of a store, as an operator sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scylla_store import EmbedderUnavailable
from scylla_store.clock import SECOND
from scylla_store.database.base import ClockReading
from scylla_store.drain import dispatch_lifetime
from scylla_store.errors import ClockSkew, IndexUnavailable
from scylla_store.health import Examination, Health
from scylla_store.settings.options import BreakerSettings, CelerySettings, Settings
from scylla_store.summary import DrainFailure, load_summary, store_failure
from scylla_store.testing import FailingEmbedder, NonsenseEmbedder, TestingStore
from tests.unit.core import SETTINGS, Core, raises


def test_an_embedded_store_is_healthy_and_has_a_line_for_each_dependency(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as store:
        health = store.health()

    assert {name: line.state for name, line in health.items()} == {
        "database": "ok", "index": "ok", "broker": "ok", "embedder": "ok",
    }  # fmt: skip
    assert all(line.latency is not None and line.latency >= 0 for line in health.values())


@pytest.mark.parametrize(
    ("embedder", "reason"),
    [
        (FailingEmbedder(error=RuntimeError("no CUDA")), "RuntimeError: no CUDA"),
        (FailingEmbedder(error=EmbedderUnavailable("the service is away")), "the service is away"),
        (NonsenseEmbedder("nan"), "not finite"),
    ],
)
def test_an_embedder_that_fails_is_down_with_its_reason_and_no_other_line_is(
    tmp_path: Path, embedder: FailingEmbedder | NonsenseEmbedder, reason: str
) -> None:
    with TestingStore(tmp_path, embedder=embedder) as store:
        health = store.health()

    assert reason in str(health["embedder"].reason)
    assert [name for name, line in health.items() if line.state == "down"] == ["embedder"]


def test_an_index_that_another_store_owns_is_down_and_says_where_to_search(tmp_path: Path) -> None:
    with TestingStore(tmp_path) as owner, TestingStore(tmp_path) as other:
        owner.put(("docs",), "k", {"text": "words"}, wait=0)

        health = other.health()

    assert health["database"].state == "ok"
    assert health["index"].state == "down"
    assert "index.url" in str(health["index"].reason)


def cluster(**options: Any) -> Core:
    """A core whose documents are indexed by workers."""
    celery = CelerySettings(broker_url="redis://localhost:1/0", drain_interval=10.0)
    return Core(settings=replace(SETTINGS, celery=celery, **options))


def line(core: Core, name: str) -> Health:
    return Examination(core.parts).lines()[name]


def test_a_drain_that_is_late_is_seen_within_half_a_minute_and_says_what_to_look_at() -> None:
    core = cluster()
    assert line(core, "drain").state == "degraded"
    assert "no drain ran yet" in str(line(core, "drain").reason)
    # When a drain runs
    core.parts.drain.run()
    core.clock.advance(20)
    # Then it is well, also when the next one is a little late
    assert line(core, "drain").state == "ok"
    # And when two have failed to come, it is not
    core.clock.advance(8)
    assert line(core, "drain").state == "degraded"
    assert "the last drain was 28 s ago, and it should run every 10 s; is 'scylla-store beat' running" in str(
        line(core, "drain").reason
    )


def test_a_broker_that_lost_its_data_is_shown_until_all_of_it_was_sent_again() -> None:
    # Given drains that find the broker as it was
    core = cluster()
    core.dispatcher.mark = lambda: "one"  # type: ignore[attr-defined]
    core.parts.drain.run()
    assert line(core, "drain").state == "ok"
    # When one finds another mark
    core.dispatcher.mark = lambda: "other"  # type: ignore[attr-defined]
    core.parts.drain.run()
    core.clock.advance(7)
    # Then the line says so
    assert line(core, "drain").state == "degraded"
    lifetime = dispatch_lifetime(core.settings)
    assert line(core, "drain").reason == (
        f"the broker lost its data 7 s ago; what was in flight is sent again within {lifetime:g} s of that"
    )
    # And no more when everything was
    core.clock.advance(lifetime)
    core.parts.drain.run()
    assert line(core, "drain").state == "ok"


def test_a_drain_is_seen_also_where_workers_index_into_a_folder(tmp_path: Path) -> None:
    # Given a broker, and no server for the index
    settings = Settings(celery=CelerySettings(broker_url="memory://"))
    with TestingStore(tmp_path, settings=settings) as store:
        assert "no drain ran yet" in str(store.health()["drain"].reason)
        # When a drain has run
        store.parts.drain.run()
        # Then health and status know of it
        assert store.health()["drain"].state == "ok"
        assert load_summary(store.parts.database) is not None


def test_a_drain_that_fails_says_why_and_where() -> None:
    core = cluster()
    core.parts.drain.run()
    core.clock.advance(60)
    store_failure(core.database, DrainFailure(core.clock() - SECOND, "host7/123", "the clock is an hour off"))

    assert "it failed on host7/123: the clock is an hour off" in str(line(core, "drain").reason)

    # But not when that was before the last one that went well
    core.parts.drain.run()
    core.clock.advance(60)
    assert "host7" not in str(line(core, "drain").reason)


def test_nodes_of_the_database_that_are_down_or_have_a_wrong_clock_are_named() -> None:
    core = cluster()
    core.database.clock = lambda: ClockReading(core.clock(), {"10.0.0.3": 2 * SECOND})  # type: ignore[method-assign]
    core.database.unreachable_nodes = lambda: ["10.0.0.2"]  # type: ignore[attr-defined]

    found = line(core, "database")

    assert found.state == "degraded"
    assert found.reason == (
        "this process cannot reach 10.0.0.2; the other nodes do its work; clocks of nodes are off: 10.0.0.3 by +2.0 s"
    )


def test_workers_are_seen_by_their_signs_of_life() -> None:
    core = cluster()
    assert "no worker gave a sign of life within 20 s" in str(line(core, "workers").reason)

    core.parts.heart.beat()
    assert line(core, "workers").state == "ok"

    core.clock.advance(20)
    assert line(core, "workers").state == "degraded"


def test_a_worker_whose_circuit_is_open_is_named_with_the_reason() -> None:
    core = cluster(breaker=BreakerSettings(failures=1))
    core.index.count = lambda **_: raises(IndexUnavailable("connection refused"))  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(IndexUnavailable):
        core.parts.index.count(prefix=None, now=0)
    core.parts.heart.beat()

    workers, index = line(core, "workers"), line(core, "index")

    assert workers.state == "degraded"
    assert "1 of 1 worker processes do not work" in str(workers.reason)
    assert "index: its circuit is open: IndexUnavailable: connection refused" in str(workers.reason)
    # And the line of this process's own circuit tells that the index is there again
    assert index.state == "degraded"
    assert "it answers, but this process's circuit is open and tries it in 10.0 s" in str(index.reason)


def test_an_embedder_that_is_back_before_its_circuit_is_closed_is_degraded(tmp_path: Path) -> None:
    embedder = FailingEmbedder(error=EmbedderUnavailable("away"), times=5)
    with TestingStore(tmp_path, embedder=embedder) as store:
        for _ in range(5):
            with pytest.raises(EmbedderUnavailable):
                store.search((), "tea")
        health = store.health()

    assert health["embedder"].state == "degraded"
    assert "circuit is open" in str(health["embedder"].reason)


def test_a_worker_whose_clock_is_refused_is_alive_and_troubled() -> None:
    # Given a worker an hour ahead of the database
    core = cluster()
    core.database.clock = lambda: ClockReading(core.clock() - 3600 * SECOND, {})  # type: ignore[method-assign]
    with pytest.raises(ClockSkew):
        core.parts.guard.check()
    core.parts.heart.beat()
    # When somebody with a right clock looks
    core.clock.advance(-3600)
    core.database.clock = lambda: ClockReading(core.clock(), {})  # type: ignore[method-assign]
    workers = Examination(core.elsewhere).lines()["workers"]
    # Then it is alive, and it is said what is wrong with it
    assert "1 of 1 worker processes do not work" in str(workers.reason)
    assert "clock: This machine's clock is +3600.0 s from the database's" in str(workers.reason)


def test_an_index_that_does_not_answer_is_down_with_its_reason() -> None:
    core = cluster()
    core.index.ping = lambda: raises(IndexUnavailable("connection refused"))  # type: ignore[method-assign, func-returns-value, return-value]

    assert (line(core, "index").state, line(core, "index").reason) == ("down", "connection refused")


def test_an_index_that_is_being_rebuilt_is_degraded() -> None:
    core = cluster()
    core.database.set_state("index.rebuild", json.dumps({"since": core.clock(), "compared_at": None}).encode())

    assert line(core, "index").state == "degraded"
    assert "is being rebuilt" in str(line(core, "index").reason)
