"""What reaches Sentry: one event for each thing that somebody has to look at, with tags and without content."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from click.testing import CliRunner

from scylla_store import ScyllaStore
from scylla_store.cli import main
from scylla_store.clock import SECOND
from scylla_store.contrib.celery import install
from scylla_store.contrib.celery.names import DRAIN_OUTBOX
from scylla_store.contrib.celery.tasks import Tasks
from scylla_store.database.base import ClockReading
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import ClockSkew, IndexUnavailable
from scylla_store.monitoring import start_sentry, tagged
from scylla_store.settings.options import (
    BreakerSettings,
    CelerySettings,
    EmbedderSettings,
    MonitoringSettings,
    Settings,
)
from scylla_store.testing import FailingEmbedder
from tests.unit.core import SETTINGS, Core, raises

CONTENT = "boiling water over the leaves of tea"
Events = Callable[[], list[dict[str, Any]]]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def monitoring() -> Iterator[MonitoringSettings]:
    """Settings whose DSN names a server of the test."""
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    server.bodies = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _Handler.server = server  # type: ignore[misc]
    yield MonitoringSettings(sentry_dsn=f"http://key@127.0.0.1:{server.server_port}/1")
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def events(monitoring: MonitoringSettings) -> Events:
    """Starts Sentry; returns what has arrived."""
    assert start_sentry(monitoring)
    return _arrived()


def _arrived() -> Events:
    """Returns what has arrived, and sees that none of it has content."""

    def received() -> list[dict[str, Any]]:
        sentry_sdk.flush(5)
        bodies: list[bytes] = _Handler.server.bodies  # type: ignore[attr-defined]
        assert CONTENT.encode() not in b"".join(bodies)
        documents = [json.loads(line) for body in bodies for line in body.splitlines() if line.startswith(b"{")]
        return [document for document in documents if "logentry" in document]

    return received


def tags(event: dict[str, Any]) -> dict[str, Any]:
    """Our tags, without their common beginning."""
    return {name.removeprefix("scylla_store."): value for name, value in event["tags"].items() if "scylla_" in name}


def test_a_dead_letter_is_one_event_with_reason_and_item_and_without_content(events: Events) -> None:
    embedder = FailingEmbedder(error=RuntimeError(f"cannot tokenize {CONTENT!r}"), inner=HashingEmbedder(8))
    core = Core(embedder=embedder, settings=replace(SETTINGS, sync=replace(SETTINGS.sync, max_attempts=1)))
    receipt = core.put(CONTENT)

    core.work(core.ref(receipt))

    (event,) = events()
    letter = core.database.letters(after=None, limit=1)[0]
    assert event["level"] == "error"
    assert tags(event) == {"reason": "RuntimeError", "item": letter.id, "attempts": "1"}


def test_a_circuit_that_opens_is_one_event_however_often_it_stays_open(events: Events) -> None:
    core = Core(settings=replace(SETTINGS, breaker=BreakerSettings(failures=2, reset=10.0)))
    for _ in range(20):
        with pytest.raises(IndexUnavailable), core.parts.index.breaker.calling():
            raises(IndexUnavailable("connection refused"))
        core.clock.advance(6)

    (event,) = events()
    assert tags(event) == {"dependency": "index", "reason": "IndexUnavailable"}
    assert "its circuit is open" in event["logentry"]["formatted"]


def test_a_refused_clock_is_one_event_until_it_was_right_again(events: Events) -> None:
    core = Core()
    right, wrong = core.database.clock, lambda: ClockReading(core.clock() - 3600 * SECOND, {})
    for _ in range(2):
        core.database.clock = wrong  # type: ignore[method-assign]
        core.clock.advance(61)
        for _ in range(10):
            with pytest.raises(ClockSkew):
                core.parts.guard.check()
        core.database.clock = right  # type: ignore[method-assign]
        core.parts.guard.check()

    found = events()
    assert [tags(event) for event in found] == [{"reason": "clock"}] * 2
    assert "+3600.0 s from the database's" in found[0]["logentry"]["formatted"]


def test_an_event_says_which_task_it_comes_from(events: Events) -> None:
    # Given a worker whose clock is wrong
    core = Core()
    core.database.clock = lambda: ClockReading(core.clock() - 3600 * SECOND, {})  # type: ignore[method-assign]
    # When it is to drain
    assert Tasks(_Stores(core), core.settings).drain_outbox() is None  # type: ignore[arg-type]
    # Then the event names the task
    (event,) = events()
    assert tags(event) == {"task": DRAIN_OUTBOX, "reason": "clock"}


class _Stores:
    """The store of a worker process."""

    def __init__(self, core: Core) -> None:
        self.store = self
        self.parts = core.parts

    def get(self) -> _Stores:
        return self


def test_a_command_that_finds_drift_says_so_without_its_arguments(
    monitoring: MonitoringSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a store whose index was lost
    settings = Settings(path=str(tmp_path), embedder=EmbedderSettings(name="hashing"))
    with ScyllaStore(settings) as store:
        store.put(("docs",), "k", {"text": CONTENT}, wait=30)
    shutil.rmtree(tmp_path / "index")
    monkeypatch.setattr("sys.argv", ["scylla-store", CONTENT])
    # When somebody reconciles it on the command line
    options = {
        "path": str(tmp_path),
        "embedder.name": "hashing",
        "reconcile.grace": "0.1",
        "monitoring.sentry_dsn": str(monitoring.sentry_dsn),
    }
    given = [f"--option={name}={value}" for name, value in options.items()]
    result = CliRunner().invoke(main, [*given, "reconcile"])
    # Then that is an event
    assert result.exit_code == 0, result.output
    (event,) = _arrived()()
    assert tags(event) == {"task": "reconcile", "reason": "drift", "missing": "1"}
    assert "sys.argv" not in event["extra"]


def test_tags_end_where_they_are_set(events: Events) -> None:
    with tagged(reason="inner", nothing=None):
        pass
    sentry_sdk.capture_message("later")
    sentry_sdk.flush(5)

    bodies = b"".join(_Handler.server.bodies)  # type: ignore[attr-defined]
    assert b"later" in bodies
    assert b"scylla_store.reason" not in bodies


@pytest.mark.parametrize(("with_dsn", "started"), [(True, True), (False, False)])
def test_an_app_of_ones_own_starts_it_with_its_worker_if_there_is_a_dsn(
    monitoring: MonitoringSettings, with_dsn: bool, started: bool
) -> None:
    from celery import Celery, signals

    app, other = Celery("shop", set_as_current=False), Celery("other", set_as_current=False)
    celery = CelerySettings(broker_url="memory://")
    install(app, Settings(celery=celery, monitoring=monitoring if with_dsn else MonitoringSettings()))
    assert not sentry_sdk.is_initialized()
    # Not with a worker of another app
    signals.celeryd_init.send(sender="host", instance=_Worker(other), conf=None, options=None)
    assert not sentry_sdk.is_initialized()

    signals.celeryd_init.send(sender="host", instance=_Worker(app), conf=None, options=None)

    assert sentry_sdk.is_initialized() is started


class _Worker:
    def __init__(self, app: Any) -> None:
        self.app = app
