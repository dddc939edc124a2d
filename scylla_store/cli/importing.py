"""The command that loads files, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scylla_store.cli.arguments import NamespaceType
from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.cli.sources import Folder, JsonLines, Shape, Source


@click.command("import")
@click.argument("source", metavar="SOURCE")
@click.option("--namespace", type=NamespaceType(), help="Namespace of what names none itself.")
@click.option("--key-field", metavar="FIELD", help="Each line is a whole document, and this field of it is its key.")
@click.option(
    "--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="What a bad line does."
)
@click.option("--restart", is_flag=True, help="Begin at the start, whatever an earlier run did.")
@click.option("--wait/--no-wait", default=None, help="Wait until all is searchable; the default in embedded mode.")
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Documents written at once."
)
@common_options
@click.pass_obj
def import_documents(
    call: Invocation,
    source: str,
    namespace: tuple[str, ...] | None,
    key_field: str | None,
    on_error: str,
    restart: bool,
    wait: bool | None,
    batch: int,
) -> None:
    """Load documents of your own from SOURCE. (scylla-store load loads what scylla-store export wrote.)

    SOURCE is a file of JSON lines, - for JSON lines on standard input, or a folder of text and Markdown files.

    \b
    A line is {"key": ..., "value": {...}} with, if wanted, "namespace" (a list of labels), "index" (paths, or false)
    and "ttl" (seconds, or null: never). With --key-field it is the document itself.
    A file becomes {"title", "text", "path"} under its path in the folder.

    Interrupted or killed, the same command goes on from where it was, unless the source has changed.
    """
    from scylla_store.cli.loading import Loader

    opened = _open(source, Shape(namespace, key_field))
    settings = call.settings()
    waits = settings.celery.broker_url is None if wait is None else wait
    with call.store(indexes=settings.celery.broker_url is None and waits) as store:
        loader = Loader(
            store,
            opened,
            call.output,
            write=lambda puts: len(store.put_many(puts)),
            batch=batch,
            stops=on_error == "stop",
            options=[namespace, key_field],
        )
        summary = loader.run(restart=restart, waits=waits)
    document: dict[str, Any] = {
        "stored": summary.stored,
        "skipped": summary.skipped,
        "seconds": summary.seconds,
        "resumed_at": summary.resumed_at,
        "pending": summary.pending,
    }
    rate = summary.stored / summary.seconds if summary.seconds else 0.0
    lines = [f"Stored {summary.stored:,} documents in {summary.seconds:.1f} s ({rate:,.0f}/s)."]
    if summary.skipped:
        lines.append(f"Skipped {summary.skipped:,} that were wrong; see above.")
    if summary.pending:
        lines.append(f"{summary.pending:,} writes are not searchable yet; scylla-store status says more.")
    call.output.answer(document, lines)


def _open(source: str, shape: Shape) -> Source:
    if source == "-":
        return JsonLines(None, shape)
    path = Path(source)
    if path.is_dir():
        return Folder(path, shape)
    if not path.is_file():
        raise click.BadParameter(f"{source} is neither a file nor a folder", param_hint="SOURCE")
    return JsonLines(path, shape)
