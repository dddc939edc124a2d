"""Commands about dead letters: what could not be indexed, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from scylla_store.cli.arguments import NamespaceType
from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.cli.output import columns, letter_document, shorten
from scylla_store.cli.program import NotFound
from scylla_store.dead_letters import Which
from scylla_store.errors import ValidationError
from scylla_store.spelling import format_namespace
from scylla_store.store import ScyllaStore


def _chosen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which letters are meant."""
    prefix = click.option(
        "--prefix", type=NamespaceType(prefix=True), help="Those of documents whose namespace begins so."
    )
    return click.option("--reason", help="Those with this reason, such as DocumentFailed.")(prefix(command))


@click.group("dead-letters")
@common_options
def dead_letters() -> None:
    """Documents that are stored but could not be indexed."""


@dead_letters.command("list")
@click.option("--limit", type=int, default=100, show_default=True, help="Most entries, 1 to 10,000.")
@click.option("--cursor", help="Where the last page ended.")
@_chosen_options
@common_options
@click.pass_obj
def list_letters(
    call: Invocation, limit: int, cursor: str | None, reason: str | None, prefix: tuple[str, ...] | None
) -> None:
    """List dead letters."""
    with call.store() as store:
        page = store.dead_letters.list(limit, cursor, reason=reason, prefix=prefix)
    document = {"dead_letters": [letter_document(letter) for letter in page.items], "cursor": page.cursor}
    rows = [
        (
            letter.id,
            f"{format_namespace(letter.item.namespace)} {letter.item.key}",
            "discarded" if letter.discarded else f"{letter.attempts} attempts",
            shorten(f"{letter.reason}: {letter.message}"),
        )
        for letter in page.items
    ]
    call.output.answer(document, columns(rows))
    if not page.items:
        call.output.note("There are no dead letters.")
    if page.cursor is not None:
        call.output.note(f"There is more: --cursor {page.cursor}")


@dead_letters.command()
@click.argument("ident", metavar="ID")
@common_options
@click.pass_obj
def show(call: Invocation, ident: str) -> None:
    """Show one dead letter."""
    with call.store() as store:
        letter = store.dead_letters.get(ident)
    if letter is None:
        raise NotFound(f"There is no dead letter {ident}; scylla-store dead-letters list shows those that exist")
    document = letter_document(letter)
    readable = {**document, "namespace": format_namespace(letter.item.namespace)}
    call.output.answer(document, columns([(name, str(value)) for name, value in readable.items()]))


@dead_letters.command()
@common_options
@click.pass_obj
def counts(call: Invocation) -> None:
    """Count dead letters by reason, up to 10,000 of them."""
    with call.store() as store:
        found = store.dead_letters.counts()
    document = {"dead": found.dead, "discarded": found.discarded, "exact": found.exact}
    reasons = sorted({*found.dead, *found.discarded}, key=lambda reason: (-found.dead.get(reason, 0), reason))
    rows = [
        (reason, f"{found.dead.get(reason, 0):,} dead", f"{found.discarded.get(reason, 0):,} discarded")
        for reason in reasons
    ]
    call.output.answer(document, columns(rows))
    if not found.exact:
        call.output.note("There are more.")


@dead_letters.command()
@click.argument("idents", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are not discarded.")
@_chosen_options
@common_options
@click.pass_obj
def replay(
    call: Invocation, idents: tuple[str, ...], every: bool, reason: str | None, prefix: tuple[str, ...] | None
) -> None:
    """Try to index them again. A letter goes when its document is indexed; a discarded one is tried if its ID is named."""
    with call.store() as store:
        which = _which(store, idents, every, reason, prefix)
        count = store.dead_letters.replay(which, reason=reason, prefix=prefix)
    call.output.answer({"replayed": count}, [f"{count} are tried again."])


@dead_letters.command()
@click.argument("idents", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@_chosen_options
@common_options
@click.pass_obj
def discard(
    call: Invocation, idents: tuple[str, ...], every: bool, reason: str | None, prefix: tuple[str, ...] | None
) -> None:
    """Give up for good. The documents stay, but are not searchable until they are written anew."""
    with call.store() as store:
        which = _which(store, idents, every, reason, prefix)
        count = store.dead_letters.discard(which, reason=reason, prefix=prefix)
    call.output.answer({"discarded": count}, [f"{count} are given up."])


def _which(
    store: ScyllaStore, idents: tuple[str, ...], every: bool, reason: str | None, prefix: tuple[str, ...] | None
) -> Which:
    is_filtered = reason is not None or prefix is not None
    if [every, bool(idents), is_filtered].count(True) != 1:
        raise ValidationError("Name the ids of dead letters, or --reason and --prefix, or --all")
    for ident in idents:
        if store.dead_letters.get(ident) is None:
            raise NotFound(f"There is no dead letter {ident}; scylla-store dead-letters list shows those that exist")
    return "all" if every else list(idents) or None
