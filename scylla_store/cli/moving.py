"""The commands that take documents out of one store and into another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from scylla_store.cli.arguments import NamespaceType, parse_document
from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.cli.output import Output
from scylla_store.cli.progress import Progress
from scylla_store.cli.sources import Position, Record, file_digest
from scylla_store.cli.stopping import Stop
from scylla_store.errors import StoreError, ValidationError
from scylla_store.filters import parse_filter
from scylla_store.moving import Export, ExportFile, Header, Restorer, footer_count, from_line, read_lines
from scylla_store.moving.files import is_gzip

FILE = click.Path(dir_okay=False, path_type=Path)
ON_ERROR = click.Choice(["stop", "skip"])


@click.command()
@click.argument("file", type=FILE)
@click.option("--prefix", type=NamespaceType(prefix=True), default=(), help="Only namespaces that begin so.")
@click.option(
    "--filter", "filter_text", metavar="JSON", help='Only documents that match, such as {"year": {"$gt": 2000}}.'
)
@click.option(
    "--on-error", type=ON_ERROR, default="stop", show_default=True, help="What a row that cannot be read does."
)
@click.option("--restart", is_flag=True, help="Begin at the start, whatever an earlier run did.")
@click.option("--overwrite", is_flag=True, help="Replace FILE when it is there already, once the new one is whole.")
@common_options
@click.pass_obj
def export(
    call: Invocation,
    file: Path,
    prefix: tuple[str, ...],
    filter_text: str | None,
    on_error: str,
    restart: bool,
    overwrite: bool,
) -> None:
    """Write documents to FILE, for scylla-store load: values, index specs, times of creation and expiry.

    The extension says how: .jsonl or .ndjson (plain), .gz (gzip). Each document is a line of JSON, in order of namespace and
    key; the first line says what was asked for, the last one how many there are.

    Until it is whole the file is called FILE.partial. Interrupted or killed, the same command goes on behind the last
    document that is in it. The database is read while others write: what is there all the time comes exactly once.
    """
    asked = None if filter_text is None else parse_document(filter_text, "--filter")
    skipped: list[int] = [0]

    def skip(error: StoreError) -> None:
        if on_error == "stop":
            raise error
        skipped[0] += 1
        call.output.warn(str(error))

    with call.store() as store:
        parts = store.parts
        where = parse_filter(asked, encoder=parts.encoder)
        header = Header(prefix, asked, parts.clock.now())
        with ExportFile(file, header, restarts=restart, replaces=overwrite) as target:
            resumed_at = target.documents
            if resumed_at:
                call.output.note(f"Going on after {resumed_at:,} documents; --restart begins anew.")
            _write(call.output, Export(parts.database, parts.reader, parts.clock.now, prefix, where, skip), target)
            target.finish()
    document = {"file": str(file), "documents": target.documents, "resumed_at": resumed_at, "skipped": skipped[0]}
    lines = [f"Exported {target.documents:,} documents to {file}."]
    if skipped[0]:
        lines.append(f"Left out {skipped[0]:,} that could not be read; see above.")
    call.output.answer(document, lines)


def _write(output: Output, export: Export, target: ExportFile) -> None:
    stop = Stop()
    before = target.documents
    with stop.watching(), Progress(output, "Exporting", None) as bar:
        pages = iter(()) if target.is_whole else export.lines(target.after)
        while (page := stop.read(pages)) is not None:
            for line in page:
                target.add(line)
            bar.update(target.documents, target.documents - before)
        if stop:
            output.warn(f"Stopped after {target.documents:,} documents; the same command goes on from there.")
            raise SystemExit(128 + (stop.signal or 0))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace documents that are there already, also newer ones.")
@click.option("--on-error", type=ON_ERROR, default="stop", show_default=True, help="What a bad line does.")
@click.option("--restart", is_flag=True, help="Begin at the start, whatever an earlier run did.")
@click.option("--wait/--no-wait", default=None, help="Wait until all is searchable; the default in embedded mode.")
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Documents written at once."
)
@common_options
@click.pass_obj
def load(
    call: Invocation, file: Path, overwrite: bool, on_error: str, restart: bool, wait: bool | None, batch: int
) -> None:
    """Load what scylla-store export wrote to FILE. (scylla-store import loads JSON lines and texts of your own.)

    Documents keep their namespace, key, value, index spec, and times of creation and expiry; versions and times of change
    are new. A document that is there already stays as it is, unless --overwrite is given; one that has expired is left out.

    Interrupted or killed, the same command goes on from where it was, unless the file has changed.
    """
    from scylla_store.cli.loading import Loader

    settings = call.settings()
    waits = settings.celery.broker_url is None if wait is None else wait
    source = ExportSource(file)
    with call.store(indexes=settings.celery.broker_url is None and waits) as store:
        restorer = Restorer(store.parts.writer, store.parts.clock.now, replaces=overwrite)
        loader = Loader(
            store,
            source,
            call.output,
            write=restorer.write,
            batch=batch,
            stops=on_error == "stop",
            options=["load", overwrite],
        )
        summary = loader.run(restart=restart, waits=waits)
    counts = {"stored": restorer.stored, "kept": restorer.kept, "expired": restorer.expired, "skipped": summary.skipped}
    more = {"seconds": summary.seconds, "resumed_at": summary.resumed_at, "pending": summary.pending}
    call.output.answer({**counts, **more}, list(_lines(counts, summary.seconds, summary.pending)))


def _lines(counts: dict[str, int], seconds: float, pending: int) -> Iterator[str]:
    yield f"Loaded {counts['stored']:,} documents in {seconds:.1f} s."
    if counts["kept"]:
        yield f"{counts['kept']:,} were there already, and stay as they are; --overwrite replaces them."
    if counts["expired"]:
        yield f"{counts['expired']:,} have expired since the export, and are left out."
    if counts["skipped"]:
        yield f"Skipped {counts['skipped']:,} that were wrong; see above."
    if pending:
        yield f"{pending:,} writes are not searchable yet; scylla-store status says more."


class ExportSource:
    """An export as a source; its header and its last line are checked too."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.size = None if is_gzip(path) else path.stat().st_size
        self._path = path
        lines = read_lines(path)
        try:
            Header.from_line(next(lines, (b"", 0))[0])
        except ValidationError as exc:
            raise ValidationError(f"{path}: {exc}") from None
        finally:
            lines.close()

    def digest(self) -> str:
        """Digest of the whole file."""
        return file_digest(self._path)

    def records(self, start: Position) -> Iterator[Record]:
        """One record for each document, and one that is an error when the file ends before its last line."""
        number, offset, documents = start.count, start.offset, None
        try:
            for line, offset in read_lines(self._path, start.offset):
                number += 1
                documents = footer_count(line)
                if number > 1 and documents is None:
                    yield self._record(line, number, offset)
        except ValidationError as exc:
            yield Record(f"line {number + 1}", Position(number, offset), None, str(exc))
            return
        if documents != number - 2:
            reason = f"the file is cut off: its last line does not count {number - 1} documents"
            yield Record("the end", Position(number, offset), None, reason)

    def _record(self, line: bytes, number: int, offset: int) -> Record:
        after = Position(number, offset)
        try:
            return Record(f"line {number}", after, from_line(line))
        except ValidationError as exc:
            return Record(f"line {number}", after, None, str(exc))
