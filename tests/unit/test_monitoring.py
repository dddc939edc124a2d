"""Metrics reach a real UDP socket, events a real HTTP server; without settings nothing is sent or imported."""

from __future__ import annotations

import ast
import gzip
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from scylla_store.clock import SECOND
from scylla_store.contrib.celery.tasks import Tasks
from scylla_store.errors import EmbedderUnavailable
from scylla_store.metrics import METRICS, metrics_page
from scylla_store.monitoring import Metrics, sanitised, start_sentry
from scylla_store.outlook import LetterCount, Outlook, Trouble
from scylla_store.reconcile.rounds import Round
from scylla_store.settings.options import BreakerSettings, MonitoringSettings, Settings
from scylla_store.summary import DrainSummary
from scylla_store.testing import FailingEmbedder, TestingStore
from tests.unit.core import SETTINGS, Core
from tests.unit.reconcile.test_reconciler import indexed, item, remove

ROOT = Path(__file__).parents[2]


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(5)
        yield udp


@pytest.fixture
def metrics(receiver: socket.socket) -> Iterator[Metrics]:
    made = Metrics(
        MonitoringSettings(statsd_host="127.0.0.1", statsd_port=receiver.getsockname()[1], statsd_prefix="shop:1")
    )
    yield made
    made.close()


def test_counters_gauges_and_timers_arrive_under_the_prefix(metrics: Metrics, receiver: socket.socket) -> None:
    # When one of each is reported
    metrics.count("sync.acked", 3)
    metrics.gauge("outbox.pending", 7)
    metrics.timing("sync.run", 0.5)
    # Then they arrive in StatsD's words
    assert [receiver.recv(1000).decode() for _ in range(3)] == [
        "shop_1.sync.acked:3|c",
        "shop_1.outbox.pending:7|g",
        "shop_1.sync.run:500.000000|ms",
    ]


def test_a_drain_reports_what_waits_and_for_how_long_what_is_dead_and_who_works(
    metrics: Metrics, receiver: socket.socket
) -> None:
    summary = DrainSummary(
        at=9_000_000, pending=5, retrying=2, oldest_filed_at=6_000_000, exact=True, dispatched=4, backlog=1, due=3,
        broker_emptied=True,
    )  # fmt: skip
    troubles = [Trouble("index", 2, "away", "host/1"), Trouble("embedder", 1, "away", "host/1")]
    outlook = Outlook(letters=LetterCount({"BadVector": 6, "DocumentFailed": 1}), workers=8, troubles=troubles)
    metrics.drained(summary, outlook)
    assert {receiver.recv(1000).decode() for _ in range(10)} == {
        "shop_1.outbox.pending:5|g",
        "shop_1.outbox.due:3|g",
        "shop_1.outbox.retrying:2|g",
        "shop_1.outbox.oldest_seconds:3.0|g",
        "shop_1.queue.backlog:1|g",
        "shop_1.drain.dispatched:4|c",
        "shop_1.drain.broker_emptied:1|c",
        "shop_1.letters.dead:7|g",
        "shop_1.workers.alive:8|g",
        "shop_1.workers.troubled:2|g",
    }


def test_a_reconciliation_reports_what_it_found_by_kind(metrics: Metrics, receiver: socket.socket) -> None:
    walk = Round.new(by="beat", full=False, dry_run=False, now=0)
    walk.counts.update({"scanned": 100, "missing": 2, "stale": 1, "repaired": 3})
    metrics.reconciled(walk.report(2 * SECOND))
    received = {receiver.recv(1000).decode() for _ in range(12)}
    assert received >= {
        "shop_1.reconcile.missing:2|g",
        "shop_1.reconcile.orphan:0|g",
        "shop_1.reconcile.drift:3|g",
        "shop_1.reconcile.scanned:100|c",
        "shop_1.reconcile.repaired:3|c",
        "shop_1.reconcile.run:2000.000000|ms",
    }


def _by_task(core: Core) -> None:
    stores = SimpleNamespace(get=lambda: SimpleNamespace(parts=core.parts), metrics=core.parts.metrics)
    Tasks(stores, core.settings).reconcile()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reconcile", "told"),
    [
        (lambda core: core.parts.reconciler.run(), ["2"]),
        (lambda core: core.parts.reconciler.run(dry_run=True), []),
        (_by_task, ["2"]),
        (lambda core: core.parts.reconciler.go_on(60.0), ["2"]),
    ],
)
def test_drift_is_a_metric_once_whoever_found_it(
    reconcile: Callable[[Core], object], told: list[str], receiver: socket.socket
) -> None:
    monitoring = MonitoringSettings(statsd_host="127.0.0.1", statsd_port=receiver.getsockname()[1])
    core = indexed(3, replace(SETTINGS, monitoring=monitoring))
    remove(core, item(0), 0)
    remove(core, item(1), 0)

    reconcile(core)
    core.parts.metrics.close()

    receiver.setblocking(False)
    received: list[str] = []
    with suppress(BlockingIOError):  # on one machine what was sent is there
        while True:
            received.append(receiver.recv(1000).decode())
    found = [text for text in received if text.startswith("scylla_store.reconcile.drift:")]
    assert [text.partition(":")[2].partition("|")[0] for text in found] == told


def test_what_is_inside_is_timed_also_when_it_fails(metrics: Metrics, receiver: socket.socket) -> None:
    with pytest.raises(RuntimeError), metrics.timed("search.run"):
        raise RuntimeError
    assert re.fullmatch(r"shop_1\.search\.run:[\d.]+\|ms", receiver.recv(1000).decode())


def test_after_closing_nothing_is_sent_and_no_socket_opened(metrics: Metrics, receiver: socket.socket) -> None:
    metrics.close()
    metrics.count("late")
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(1000)


def test_a_search_is_timed_and_a_failed_one_counted(receiver: socket.socket, tmp_path: Path) -> None:
    # Given a store that sends metrics, and whose embedder is away
    monitoring = MonitoringSettings(statsd_host="127.0.0.1", statsd_port=receiver.getsockname()[1])
    settings = Settings(monitoring=monitoring, breaker=BreakerSettings(failures=1))
    embedder = FailingEmbedder(error=EmbedderUnavailable("away"))
    with TestingStore(tmp_path, settings=settings, embedder=embedder) as store:
        # When somebody searches twice
        for _ in range(2):
            with pytest.raises(EmbedderUnavailable):
                store.search((), "tea")
        received = [receiver.recv(1000).decode().partition(":")[0] for _ in range(6)]
    # Then both are seen, and the circuit
    assert received == [
        "scylla_store.breaker.embedder.opened",
        "scylla_store.search.run",
        "scylla_store.search.failed",
        "scylla_store.breaker.embedder.refused",
        "scylla_store.search.run",
        "scylla_store.search.failed",
    ]


_KINDS = {"count": "counter", "gauge": "gauge", "timing": "timer", "timed": "timer"}


def _sent() -> set[tuple[str, str]]:
    """Names and types of the metrics that the code sends; what a name is made of at run time stands as *."""
    found = set()
    for path in (ROOT / "scylla_store").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                kind, name = _KINDS.get(node.func.attr), _pattern(node.args[0])
                if kind is not None and "." in name:
                    found.add((name, kind))
    return found


def _pattern(name: ast.expr) -> str:
    if isinstance(name, ast.JoinedStr):
        return "".join(_pattern(part) if isinstance(part, ast.Constant) else "*" for part in name.values)
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""


def test_every_metric_that_is_sent_is_documented_and_the_other_way_round() -> None:
    sent, known = _sent(), {(metric.name, metric.kind) for metric in METRICS}

    assert {one for one in sent if not any(_is(one, other) for other in known)} == set()
    assert {other for other in known if not any(_is(one, other) for one in sent)} == set()


def _is(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return fnmatch(other[0], one[0]) and one[1] == other[1]


def test_the_reference_page_is_made_of_the_metrics() -> None:
    assert metrics_page() == (ROOT / "docs" / "reference" / "metrics.md").read_text()


def test_a_count_of_nothing_is_not_sent(metrics: Metrics, receiver: socket.socket) -> None:
    metrics.count("sync.dead", 0)
    metrics.count("sync.acked", 1)
    assert receiver.recv(1000) == b"shop_1.sync.acked:1|c"


def test_metrics_arrive_at_an_address_of_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        try:
            udp.bind(("::1", 0))
        except OSError as exc:
            pytest.skip(f"this machine has no IPv6: {exc}")
        udp.settimeout(5)
        sender = Metrics(MonitoringSettings(statsd_host="::1", statsd_port=udp.getsockname()[1], statsd_prefix="shop"))
        sender.count("sync.acked", 2)
        sender.close()
        assert udp.recv(1000) == b"shop.sync.acked:2|c"


def test_an_unknown_host_is_said_once_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    lost = Metrics(MonitoringSettings(statsd_host="no-such-host.invalid"))
    lost.count("a")
    lost.gauge("b", 1)
    lost.close()
    lost.close()
    assert len([record for record in caplog.records if "StatsD cannot be reached" in record.message]) == 1


@pytest.mark.parametrize(("name", "safe"), [("a:b|c@d", "a_b_c_d"), ("späte ä", "sp_te_"), (".a.b.", "a.b")])
def test_names_lose_what_statsd_takes_as_syntax(name: str, safe: str) -> None:
    assert safe == sanitised(name)


def test_without_a_host_nothing_is_imported() -> None:
    code = (
        "import sys; from scylla_store.monitoring import *; from scylla_store.settings.options import MonitoringSettings as S;"
        "m = Metrics(S()); m.count('a'); m.close(); start_sentry(S());"
        "assert not {'statsd', 'sentry_sdk'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Sentry(BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_sentry_receives_errors_without_local_variables() -> None:
    import sentry_sdk

    # Given a server that takes Sentry's events
    server = HTTPServer(("127.0.0.1", 0), _Sentry)
    server.bodies = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        # When the SDK is started, twice, and an error is logged while a variable holds content
        settings = MonitoringSettings(sentry_dsn=f"http://key@127.0.0.1:{server.server_port}/1")
        assert start_sentry(settings) is True
        assert start_sentry(settings) is False
        try:
            content = "the text of a document".upper()
            raise RuntimeError("planted")
        except RuntimeError:
            logging.getLogger("scylla_store.test").exception("Something failed, %d characters", len(content))
        sentry_sdk.flush(5)
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
        server.shutdown()
        thread.join()
        server.server_close()
    # Then it arrived, without the content
    received = b"".join(server.bodies)  # type: ignore[attr-defined]
    assert b"Something failed" in received
    assert b"THE TEXT OF A DOCUMENT" not in received


def test_without_a_dsn_sentry_is_not_started() -> None:
    assert start_sentry(MonitoringSettings()) is False
