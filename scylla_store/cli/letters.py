"""Commands about dead letters: what could not be indexed, and what to do about it."""

from __future__ import annotations

import click

from scylla_store.cli.arguments import format_namespace
from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.cli.output import columns, letter_document, shorten
from scylla_store.cli.program import NotFound
from scylla_store.dead_letters import Which
from scylla_store.errors import ValidationError
from scylla_store.store import ScyllaStore


@click.group("dead-letters")
@common_options
def dead_letters() -> None:
    """Documents that are stored but could not be indexed."""


@dead_letters.command("list")
@click.option("--limit", type=int, default=100, show_default=True, help="Most entries, 1 to 10,000.")
@click.option("--cursor", help="Where the last page ended.")
@common_options
@click.pass_obj
def list_letters(call: Invocation, limit: int, cursor: str | None) -> None:
    """List dead letters."""
    with call.store() as store:
        page = store.dead_letters.list(limit, cursor)
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
@click.argument("idents", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are not discarded.")
@common_options
@click.pass_obj
def replay(call: Invocation, idents: tuple[str, ...], every: bool) -> None:
    """Try to index them again. A letter goes when its document is indexed."""
    with call.store() as store:
        count = store.dead_letters.replay(_which(store, idents, every))
    call.output.answer({"replayed": count}, [f"{count} are tried again."])


@dead_letters.command()
@click.argument("idents", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@common_options
@click.pass_obj
def discard(call: Invocation, idents: tuple[str, ...], every: bool) -> None:
    """Give up for good. The documents stay, but are not searchable."""
    with call.store() as store:
        count = store.dead_letters.discard(_which(store, idents, every))
    call.output.answer({"discarded": count}, [f"{count} are given up."])


def _which(store: ScyllaStore, idents: tuple[str, ...], every: bool) -> Which:
    if every == bool(idents):
        raise ValidationError("Name the ids of dead letters, or --all")
    for ident in idents:
        if store.dead_letters.get(ident) is None:
            raise NotFound(f"There is no dead letter {ident}; scylla-store dead-letters list shows those that exist")
    return "all" if every else list(idents)
