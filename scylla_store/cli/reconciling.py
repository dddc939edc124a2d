"""The command that compares documents and index, and has repaired what differs."""

from __future__ import annotations

from collections.abc import Iterator

import click

from scylla_store.cli.invocation import Invocation, common_options, wait_for_index
from scylla_store.cli.output import columns
from scylla_store.cli.progress import Progress as Bar
from scylla_store.cli.stopping import Stop
from scylla_store.reconcile import Drift, Progress, ReconcileReport
from scylla_store.store import ScyllaStore

_INDEX_PATIENCE = 24 * 3600.0
_PARTS = 1000

_MEANING = {
    Drift.MISSING: "documents without points",
    Drift.STALE: "points of an earlier write",
    Drift.ORPHAN: "points without a document",
    Drift.WRONG_MODEL: "another model or chunker",
    Drift.INCOMPLETE: "some chunks are missing",
    Drift.EXPIRED: "expired and still there",
    Drift.DAMAGED: "points or rows that make no sense",
    Drift.NEWER: "points newer than the document",
}


@click.command()
@click.option(
    "--full", is_flag=True, help="Compare all that points say of their chunks too, at full speed; for a new index."
)
@click.option("--dry-run", is_flag=True, help="Compare only, and change nothing.")
@click.option("--max-rate", type=click.FloatRange(1), metavar="N", help="Rows and points a second at most.")
@click.option("--wait/--no-wait", default=None, help="Wait until the repairs are done; the default in embedded mode.")
@common_options
@click.pass_obj
def reconcile(call: Invocation, full: bool, dry_run: bool, max_rate: float | None, wait: bool | None) -> None:
    """Compare all documents with the index, and have repaired what differs.

    Interrupted or killed, the same command goes on from where it was. Workers carry the repairs out; scylla-store status
    shows how far they are.
    """
    settings = call.settings()
    is_alone = settings.celery.broker_url is None
    waits = (is_alone if wait is None else wait) and not dry_run
    with call.store(indexes=is_alone and waits, reconciles=False) as store:
        report = _compare(call, store, full=full, dry_run=dry_run, max_rate=max_rate)
        pending = wait_for_index(store, _INDEX_PATIENCE) if waits else None
    document = {**report.as_dict(), "pending": pending}
    call.output.answer(document, list(_lines(report, pending)))


def _compare(
    call: Invocation, store: ScyllaStore, *, full: bool, dry_run: bool, max_rate: float | None
) -> ReconcileReport:
    stop = Stop()
    with stop.watching(at_once=True), Bar(call.output, "Comparing", _PARTS) as bar:

        def tell(progress: Progress) -> None:
            bar.update(int(progress.part * _PARTS), progress.points + progress.scanned)
            if stop:
                raise SystemExit(stop.exit_code)

        try:
            return store.reconcile(full=full, dry_run=dry_run, max_rate=max_rate, on_progress=tell)
        except SystemExit:
            call.output.warn("Stopped; the same command goes on from there.")
            raise


def _lines(report: ReconcileReport, pending: int | None) -> Iterator[str]:
    rate = (report.scanned + report.points) / report.seconds if report.seconds else 0.0
    yield (
        f"Compared {report.scanned:,} documents and {report.points:,} points in {report.seconds:.1f} s ({rate:,.0f}/s): "
        f"{report.drift:,} differences."
    )
    found = [(kind, getattr(report, kind.value)) for kind in Drift]
    yield from columns([(f"  {kind.value}", f"{count:,}", _MEANING[kind]) for kind, count in found if count])
    if report.in_flight:
        yield f"{report.in_flight:,} were just being written or indexed."
    if report.dead:
        yield f"{report.dead:,} have a dead letter ({report.discarded:,} discarded letters in all)."
    for namespace in report.skipped:
        yield f"The database could not read all of namespace {namespace}: too many deleted rows."
    for token in report.skipped_tokens:
        yield f"The database could not read the partition of items with token {token}: nothing but deleted rows, too many."
    if report.dry_run:
        yield "Nothing was changed (--dry-run)."
        return
    if report.repaired:
        yield f"{report.repaired:,} repairs are filed" + (", and done." if pending == 0 else ".")
    if pending:
        yield f"{pending:,} writes are still pending; scylla-store status says more."
