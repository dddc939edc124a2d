"""Commands about documents: put, get, delete, search, find, list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from scylla_store.cli.arguments import NamespaceType, TtlType, parse_document
from scylla_store.cli.invocation import Invocation, common_options, wait_for_index
from scylla_store.cli.output import hit_document, item_document, item_name, receipt_document, shorten, to_json
from scylla_store.cli.program import NotFound
from scylla_store.items import Hit, Item, Page
from scylla_store.spelling import format_namespace
from scylla_store.store import ScyllaStore
from scylla_store.ttls import DEFAULT_TTL, Ttl

NAMESPACE = NamespaceType()
PREFIX = NamespaceType(prefix=True)
_PASSAGE = 240


@click.command()
@click.argument("namespace", type=NAMESPACE)
@click.argument("key")
@click.argument("value")
@click.option(
    "--index", "paths", multiple=True, metavar="PATH", help='Embed this field, such as "title"; may be repeated.'
)
@click.option("--no-index", is_flag=True, help="Store it, but do not make it searchable.")
@click.option(
    "--ttl",
    type=TtlType(),
    default=DEFAULT_TTL,
    metavar="SECONDS",
    help="Seconds until it expires, or never; the default is what ttl.defaults says, else never.",
)
@click.option("--wait", is_flag=True, help="Wait until it is searchable.")
@click.option("--timeout", type=float, default=30.0, show_default=True, metavar="SECONDS", help="Longest wait.")
@common_options
@click.pass_obj
def put(
    call: Invocation,
    namespace: tuple[str, ...],
    key: str,
    value: str,
    paths: tuple[str, ...],
    no_index: bool,
    ttl: Ttl,
    wait: bool,
    timeout: float,
) -> None:
    """Store a document.

    VALUE is a JSON object, @FILE, or - for standard input. It is searchable a moment later: Celery workers index it, or
    in embedded mode a process that runs on this folder; if none does, the next search.
    """
    if no_index and paths:
        raise click.UsageError("--index and --no-index exclude each other")
    document: Any = parse_document(value)
    index: Any = False if no_index else list(paths) or None
    with call.store(indexes=wait) as store:
        receipt = store.put(namespace, key, document, index=index, ttl=ttl, wait=timeout if wait else None)
        answer = receipt_document(receipt)
    state = "new" if receipt.created else "replaced"
    call.output.answer(
        answer, [f"Stored {item_name(receipt)} ({state}, version {receipt.version}, {answer['status']})"]
    )


@click.command()
@click.argument("namespace", type=NAMESPACE)
@click.argument("key")
@click.option("--refresh-ttl", is_flag=True, help="Grant it its whole TTL again.")
@common_options
@click.pass_obj
def get(call: Invocation, namespace: tuple[str, ...], key: str, refresh_ttl: bool) -> None:
    """Print a document: its value, or with --json all of it."""
    with call.store() as store:
        item = store.get(namespace, key, refresh_ttl=refresh_ttl)
    if item is None:
        raise NotFound(f"There is no document {format_namespace(namespace)} {key}")
    call.output.answer(item_document(item), [json.dumps(item.value, ensure_ascii=False, indent=2)])


@click.command()
@click.argument("namespace", type=NAMESPACE)
@click.argument("key")
@click.option("--wait", is_flag=True, help="Wait until the index has forgotten it.")
@click.option("--timeout", type=float, default=30.0, show_default=True, metavar="SECONDS", help="Longest wait.")
@common_options
@click.pass_obj
def delete(call: Invocation, namespace: tuple[str, ...], key: str, wait: bool, timeout: float) -> None:
    """Delete a document. Searches do not show it from now on."""
    with call.store(indexes=wait) as store:
        receipt = store.delete(namespace, key, wait=timeout if wait else None)
        answer = receipt_document(receipt)
    if not receipt.existed:
        raise NotFound(f"There was no document {item_name(receipt)}")
    call.output.answer(answer, [f"Deleted {item_name(receipt)}"])


@click.command()
@click.argument("prefix", type=PREFIX)
@click.argument("query")
@click.option("--limit", type=int, default=10, show_default=True, help="Most hits, 1 to 10,000.")
@click.option("--offset", type=int, default=0, show_default=True, help="Hits to skip.")
@click.option(
    "--filter", "filter_text", metavar="JSON", help='Only documents that match, such as {"lang": "en"}.'
)
@click.option("--min-score", type=float, help="Smallest cosine similarity.")
@click.option("--refresh-ttl", is_flag=True, help="Grant what is found its whole TTL again.")
@click.option(
    "--wait",
    type=float,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Embedded: longest wait for what is pending.",
)
@common_options
@click.pass_obj
def search(
    call: Invocation,
    prefix: tuple[str, ...],
    query: str,
    limit: int,
    offset: int,
    filter_text: str | None,
    min_score: float | None,
    refresh_ttl: bool,
    wait: float,
) -> None:
    """Find documents under PREFIX by meaning.

    In embedded mode it first indexes what is pending, for at most --wait seconds, and says so when something is left. The filter is
    JSON, @FILE, or - for standard input.
    """
    wanted = None if filter_text is None else parse_document(filter_text, "--filter")
    with call.store(indexes=True) as store:
        pending = _indexed(store, wait)
        hits = store.search(
            prefix, query, filter=wanted, limit=limit, offset=offset, min_score=min_score, refresh_ttl=refresh_ttl
        )
    document = {
        "hits": [hit_document(hit) for hit in hits],
        "pending": pending,
        "is_rebuilding": hits.is_rebuilding,
        "is_partial": hits.is_partial,
    }
    call.output.answer(document, _hit_lines(hits))
    if not hits:
        call.output.note("Nothing found.")
    if hits.is_partial:
        call.output.note("There may be more: a search looks at a bounded number of points (limits.max_scanned).")
    _note_what_is_missing(call, hits.is_rebuilding, pending)


def _hit_lines(hits: list[Hit]) -> Iterator[str]:
    for hit in hits:
        yield f"{hit.score:.3f}  {item_name(hit.item)}"
        text = "(changed since it was indexed)" if not hit.fresh else hit.text
        if text:
            yield f"       {shorten(text, _PASSAGE)}"


@click.command()
@click.argument("prefix", type=PREFIX, default="/")
@click.option(
    "--filter", "filter_text", metavar="JSON", help='Only documents that match, such as {"lang": "en"}.'
)
@click.option(
    "--order-by",
    default="-$updated_at",
    show_default=True,
    metavar="FIELD",
    help="$updated_at, $created_at, $version or a path of index.range_fields; - before it: descending.",
)
@click.option("--limit", type=int, default=100, show_default=True, help="Most entries, 1 to 10,000.")
@click.option("--cursor", help="Where the last page ended.")
@click.option(
    "--wait",
    type=float,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Embedded: longest wait for what is pending.",
)
@common_options
@click.pass_obj
def find(
    call: Invocation,
    prefix: tuple[str, ...],
    filter_text: str | None,
    order_by: str,
    limit: int,
    cursor: str | None,
    wait: float,
) -> None:
    """Find documents under PREFIX in an order, by default what changed last.

    It asks the index, as search does: in embedded mode it first indexes what is pending, for at most --wait seconds. A descending
    order is written --order-by=-year. With --filter a page may be short and still say that there is more.
    """
    wanted = None if filter_text is None else parse_document(filter_text, "--filter")
    with call.store(indexes=True) as store:
        pending = _indexed(store, wait)
        page = store.find(prefix, filter=wanted, order_by=order_by, limit=limit, cursor=cursor)
    document = {
        "items": [item_document(item) for item in page.items],
        "cursor": page.cursor,
        "pending": pending,
        "is_rebuilding": page.is_rebuilding,
    }
    call.output.answer(document, _item_lines(page.items))
    _note_what_is_missing(call, page.is_rebuilding, pending)
    if page.cursor is not None:
        call.output.note(f"There is more: --cursor {page.cursor}")


def _indexed(store: ScyllaStore, wait: float) -> int:
    """Embedded: indexes what is pending, and says how much is left."""
    if store.settings.celery.broker_url is not None:
        return 0
    store.parts.open_index()
    return wait_for_index(store, wait)


def _note_what_is_missing(call: Invocation, is_rebuilding: bool, pending: int) -> None:
    if is_rebuilding:
        call.output.note("The index is being rebuilt, so documents are missing; scylla-store reconcile --full brings them back.")
    if pending:
        call.output.note(f"{pending} writes are not searchable yet; scylla-store status says more.")


def _item_lines(items: list[Item]) -> Iterator[str]:
    return (f"{item_name(item)}  {shorten(to_json(item.value))}" for item in items)


@click.command("list")
@click.argument("prefix", type=PREFIX, default="/")
@click.option(
    "--filter", "filter_text", metavar="JSON", help='Only documents that match, such as {"year": {"$gt": 2000}}.'
)
@click.option("--limit", type=int, default=100, show_default=True, help="Most entries, 1 to 10,000.")
@click.option("--cursor", help="Where the last page ended.")
@click.option("--namespaces", is_flag=True, help="List namespaces instead of documents.")
@click.option("--max-depth", type=int, help="With --namespaces: cut them to so many labels.")
@common_options
@click.pass_obj
def list_documents(
    call: Invocation,
    prefix: tuple[str, ...],
    filter_text: str | None,
    limit: int,
    cursor: str | None,
    namespaces: bool,
    max_depth: int | None,
) -> None:
    """List the documents (or the namespaces) under PREFIX.

    A page may be short and still say that there is more: each call looks at limits.max_scanned rows at most, deleted ones included.
    The filter is JSON, @FILE, or - for standard input; docs/reference/filters.md says what it may hold.
    """
    if namespaces and filter_text is not None:
        raise click.UsageError("--filter and --namespaces exclude each other")
    wanted = None if filter_text is None else parse_document(filter_text, "--filter")
    with call.store() as store:
        if namespaces:
            labels = store.list_namespaces(prefix, max_depth=max_depth, limit=limit, cursor=cursor)
            document: dict[str, Any] = {"namespaces": [list(one) for one in labels.items], "cursor": labels.cursor}
            call.output.answer(document, [format_namespace(one) for one in labels.items])
            following = labels.cursor
        else:
            page: Page[Item] = store.list(prefix, filter=wanted, limit=limit, cursor=cursor)
            document = {"items": [item_document(item) for item in page.items], "cursor": page.cursor}
            call.output.answer(document, _item_lines(page.items))
            following = page.cursor
    if following is not None:
        call.output.note(f"There is more: --cursor {following}")
