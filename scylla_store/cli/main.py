"""The command line: `scylla-store`."""

from __future__ import annotations

import click

from scylla_store.cli import deleting, demo, documents, importing, letters, moving, operating, processes, reconciling
from scylla_store.cli.arguments import NAMESPACE_SYNTAX
from scylla_store.cli.invocation import group_options
from scylla_store.cli.program import Program


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=NAMESPACE_SYNTAX)
@click.version_option(package_name="scylla-store", prog_name="scylla-store")
@group_options
def main() -> None:
    """Documents with semantic search: stored at once, searchable a moment later.

    Without settings everything is embedded, in the folder of --path. The options below may stand after the command
    too, but for --version.
    """


COMMANDS = (
    operating.setup,
    demo.demo,
    documents.put,
    documents.get,
    documents.delete,
    deleting.delete_namespace,
    documents.search,
    documents.find,
    documents.list_documents,
    importing.import_documents,
    moving.export,
    moving.load,
    operating.status,
    operating.health,
    reconciling.reconcile,
    letters.dead_letters,
    processes.worker,
    processes.beat,
    operating.settings,
)

for command in COMMANDS:
    main.add_command(command)
