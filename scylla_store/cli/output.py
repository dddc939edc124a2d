"""What commands print: text for people, or JSON for programs. Answers go to stdout, everything else to stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from scylla_store.clock import to_datetime
from scylla_store.items import Hit, Item
from scylla_store.letters import DeadLetter
from scylla_store.receipts import Receipt
from scylla_store.spelling import format_namespace

if TYPE_CHECKING:
    from rich.console import Console

_SHORT = 100


class Output:
    """Prints the answer of one command."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, document: Any, lines: Iterable[str]) -> None:
        """One JSON document, or lines of text."""
        if self.as_json:
            click.echo(to_json(document))
            return
        for line in lines:
            click.echo(line)

    def note(self, text: str) -> None:
        """Something beside the answer; JSON readers find it in the document instead."""
        if not self.as_json:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Something that went wrong without ending the command."""
        click.echo(to_json({"warning": text}) if self.as_json else text, err=True)


def to_json(document: Any) -> str:
    """One line; other scripts than Latin stay readable."""
    return json.dumps(document, ensure_ascii=False, default=_plain)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def stderr_console() -> Console:
    """Where progress is drawn, so that stdout stays clean."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def item_document(item: Item) -> dict[str, Any]:
    return {
        "namespace": list(item.namespace),
        "key": item.key,
        "value": item.value,
        "version": item.version,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
        "expires_at": item.expires_at,
    }


def hit_document(hit: Hit) -> dict[str, Any]:
    found = {"score": hit.score, "path": hit.path, "text": hit.text, "fresh": hit.fresh}
    return {**found, "item": item_document(hit.item)}


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    return {
        "namespace": list(receipt.namespace),
        "key": receipt.key,
        "version": receipt.version,
        "created": receipt.created,
        "existed": receipt.existed,
        "task_id": receipt.task_id,
        "status": receipt.status().value,
    }


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "namespace": list(letter.item.namespace),
        "key": letter.item.key,
        "version": letter.version,
        "reason": letter.reason,
        "message": letter.message,
        "attempts": letter.attempts,
        "first_failed_at": to_datetime(letter.first_failed_at),
        "last_failed_at": to_datetime(letter.last_failed_at),
        "discarded": letter.discarded,
    }


def item_name(item: Item | Receipt) -> str:
    """Namespace and key as a command line takes them."""
    return f"{format_namespace(item.namespace)} {item.key}"


def shorten(text: str, most: int = _SHORT) -> str:
    """One line of at most `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their cells below each other; the last cell is as long as it is."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
