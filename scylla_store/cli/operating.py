"""Commands for whoever runs it: setup, status, health, settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.cli.output import columns
from scylla_store.cli.program import UNAVAILABLE
from scylla_store.operations import Health, Status
from scylla_store.settings.catalogue import catalogue, value_of
from scylla_store.settings.masking import shown
from scylla_store.settings.options import Settings


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
@common_options
@click.pass_obj
def status(call: Invocation, exact: bool) -> None:
    """Show how far the index is behind the documents."""
    with call.store() as store:
        seen = store.status(exact=exact)
    call.output.answer(asdict(seen), columns(list(_status_rows(seen))))


def _status_rows(seen: Status) -> Iterator[tuple[str, str]]:
    more = "" if seen.exact else " or more"
    yield "pending", f"{seen.pending:,}{more}"
    yield "retrying", f"{seen.retrying:,}"
    yield "dead letters", f"{seen.dead:,} (and {seen.discarded:,} discarded)"
    if seen.oldest_pending_seconds is not None:
        yield "oldest pending", f"{seen.oldest_pending_seconds:,.0f} s"
    if seen.age_seconds is None:
        yield "counted", "never: no drain ran yet; is beat running? (--exact counts now)"
    else:
        yield "counted", "now" if seen.age_seconds == 0 else f"{seen.age_seconds:,.0f} s ago"


@click.command()
@common_options
@click.pass_context
def health(ctx: click.Context) -> None:
    """Show how the database, the index, the broker and the embedder are. Exit code 4 when one of them is down."""
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
