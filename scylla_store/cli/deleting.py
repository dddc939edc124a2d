"""The command that deletes everything under a prefix."""

from __future__ import annotations

import sys

import click

from scylla_store.cli.arguments import NamespaceType
from scylla_store.cli.invocation import Invocation, common_options, wait_for_index
from scylla_store.cli.progress import Progress
from scylla_store.cli.stopping import Stop
from scylla_store.spelling import format_namespace
from scylla_store.store import ScyllaStore

_INDEX_PATIENCE = 24 * 3600.0


@click.command("delete-namespace")
@click.argument("prefix", type=NamespaceType())
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option(
    "--wait/--no-wait", default=None, help="Wait until the index has forgotten all; the default in embedded mode."
)
@common_options
@click.pass_obj
def delete_namespace(call: Invocation, prefix: tuple[str, ...], yes: bool, wait: bool | None) -> None:
    """Delete every document whose namespace begins with PREFIX.

    Searches do not show them from then on. Interrupted or killed, the same command deletes the rest. PREFIX needs a label:
    nothing deletes everything.
    """
    name = format_namespace(prefix)
    if not yes and not _agrees(f"Delete every document under {name}?"):
        call.output.warn("Nothing was deleted.")
        raise SystemExit(1)
    settings = call.settings()
    is_alone = settings.celery.broker_url is None
    waits = is_alone if wait is None else wait
    with call.store(indexes=is_alone and waits) as store:
        deleted = _delete(call, store, prefix)
        pending = wait_for_index(store, _INDEX_PATIENCE) if waits else None
    lines = [f"Deleted {deleted:,} documents under {name}."]
    if pending:
        lines.append(f"{pending:,} writes are still pending; scylla-store status says more.")
    call.output.answer({"prefix": list(prefix), "deleted": deleted, "pending": pending}, lines)


def _agrees(question: str) -> bool:
    """What somebody at the terminal says; click's UsageError where nobody is there to be asked."""
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise click.UsageError("nobody can be asked here; --yes deletes without asking")
    return answer.strip().lower() in ("y", "yes")


def _delete(call: Invocation, store: ScyllaStore, prefix: tuple[str, ...]) -> int:
    stop = Stop()
    with stop.watching(), Progress(call.output, "Deleting", None) as bar:

        def tell(deleted: int) -> None:
            bar.update(deleted, deleted)
            if stop:
                call.output.warn(f"Stopped, {deleted:,} deleted by this run; the same command deletes the rest.")
                raise SystemExit(128 + (stop.signal or 0))

        return store.delete_namespace(prefix, on_progress=tell)
