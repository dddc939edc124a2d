"""Commands for whoever runs it: setup, status, health, settings."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from scylla_store.cli.arguments import NumberRange
from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.cli.output import columns
from scylla_store.cli.program import UNAVAILABLE
from scylla_store.clock import to_datetime
from scylla_store.health import Health
from scylla_store.reconcile import ReconcileReport
from scylla_store.settings.catalogue import catalogue, value_of
from scylla_store.settings.masking import shown
from scylla_store.settings.options import Settings
from scylla_store.status import Status


@click.command()
@common_options
@click.pass_obj
def setup(call: Invocation) -> None:
    """Make the schema and the collection. Once, and after an upgrade; repeating it does no harm."""
    with call.store() as store:
        store.setup()
        settings = store.settings
    database = settings.database.keyspace if settings.database.contact_points else settings.path
    index = f"{settings.index.collection} at {settings.index.url}" if settings.index.url else settings.path
    call.output.answer(
        {"database": database, "index": index}, [f"The database ({database}) and the index ({index}) are ready."]
    )


@click.command()
@click.option("--exact", is_flag=True, help="Count now instead of showing what the last drain saw.")
@click.option(
    "--watch",
    type=NumberRange(0.1, 86_400),
    is_flag=False,
    flag_value=2.0,
    metavar="[SECONDS]",
    help="Show it again every so many seconds (2) until interrupted; with --json a line each.",
)
@common_options
@click.pass_obj
def status(call: Invocation, exact: bool, watch: float | None) -> None:
    """Show how far the index is behind the documents, how fast it catches up, and what stands in the way."""
    with call.store() as store:
        while True:
            seen = store.status(exact=exact)
            if watch is not None and not call.as_json and sys.stdout.isatty():
                click.clear()
            call.output.answer(asdict(seen), [*columns(list(_status_rows(seen))), *([""] if watch else [])])
            if watch is None:
                return
            sys.stdout.flush()
            time.sleep(watch)


def _status_rows(seen: Status) -> Iterator[tuple[str, str]]:
    more = "" if seen.exact else " or more"
    yield "pending", f"{seen.pending:,}{more}, {seen.due:,}{more} of them due"
    yield "retrying", f"{seen.retrying:,}{more}"
    yield "dead letters", f"{seen.dead:,} (and {seen.discarded:,} discarded)"
    for reason, count in sorted(seen.dead_by_reason.items(), key=lambda pair: -pair[1]):
        yield "", f"{count:,} {reason}"
    if seen.oldest_pending_seconds is not None:
        yield "oldest pending", duration(seen.oldest_pending_seconds)
    yield from _speed_rows(seen)
    if seen.queue is not None:
        yield "queue", f"{seen.queue:,} tasks"
    if seen.workers is not None:
        yield "workers", f"{seen.workers:,} processes"
    for trouble in seen.troubles:
        who = f"{trouble.processes:,} processes such as {trouble.process}"
        yield "trouble", f"{trouble.name}, in {who}: {trouble.reason}"
    if seen.last_reconcile is not None:
        yield "reconciled", _reconciled(seen.last_reconcile)
    if seen.age_seconds is None:
        yield "counted", "never: no drain ran yet; is beat running? (--exact counts now)"
    else:
        yield "counted", "now" if seen.age_seconds == 0 else f"{seen.age_seconds:,.0f} s ago"


def _reconciled(report: ReconcileReport) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.kinds().items() if count)
    when = to_datetime(report.ended_at).isoformat(" ", "seconds")
    return f"{when}, {report.drift:,} differences{f' ({kinds})' if kinds else ''}, {report.repaired:,} repairs filed"


def _speed_rows(seen: Status) -> Iterator[tuple[str, str]]:
    if seen.rate is not None:
        yield "rate", f"{seen.rate:,.1f} writes/s brought to the index"
    if seen.pending and seen.seconds_until_empty is not None:
        yield "empty in", f"{'' if seen.exact else 'at least '}{duration(seen.seconds_until_empty)}"
    elif seen.pending and seen.rate is not None:
        yield "empty in", "not in sight: pending writes do not get fewer"


def duration(seconds: float) -> str:
    """Seconds, or hours, minutes and seconds."""
    if seconds < 120:
        return f"{seconds:,.0f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


@click.command()
@common_options
@click.pass_context
def health(ctx: click.Context) -> None:
    """Show how database, index, broker, embedder, workers and drain are. Exit code 4 when one of them is down."""
    call: Invocation = ctx.obj
    with call.store() as store:
        found = store.health()
    call.output.answer({name: asdict(line) for name, line in found.items()}, columns(list(_health_rows(found))))
    if any(line.state == "down" for line in found.values()):
        ctx.exit(UNAVAILABLE)


def _health_rows(found: dict[str, Health]) -> Iterator[tuple[str, ...]]:
    for name, line in found.items():
        latency = "" if line.latency is None else f"{1000 * line.latency:.1f} ms"
        yield name, line.state, latency, line.reason or ""


@click.command()
@click.option("--changed", is_flag=True, help="Only those that are not at their default.")
@common_options
@click.pass_obj
def settings(call: Invocation, changed: bool) -> None:
    """Show the effective settings and where each comes from; passwords and keys are left out."""
    loaded = call.loaded()
    rows = [
        {
            "name": name,
            "value": shown(option, value_of(loaded.settings, name)),
            "origin": loaded.origins[name],
            "variable": option.variable,
        }
        for name, option in catalogue(Settings).items()
        if not changed or loaded.origins[name] != "default"
    ]
    lines = columns([(row["name"], row["value"], row["origin"]) for row in rows])
    call.output.answer({"settings": rows}, lines)
