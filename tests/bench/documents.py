"""The documents that are measured with: Python's own documentation, as often as it takes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from scylla_store.cli.corpus import corpus


class Document(NamedTuple):
    """A key and a value."""

    key: str
    value: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The value in JSON."""
        return json.dumps(self.value, ensure_ascii=False, separators=(",", ":")).encode()


QUERIES = (
    "read a file line by line",
    "split a string into words",
    "run a function in another thread",
    "how are exceptions raised and caught",
    "parse dates and times with a time zone",
    "a dictionary that remembers the order of its keys",
    "compress bytes",
    "send an email",
    "start a process and read its output",
    "regular expression that matches the start of a line",
)


def documents(count: int) -> Sequence[Document]:
    """So many documents with keys of their own; beyond the corpus its texts come again, each time a little different."""
    once = _shuffled()
    return [_copy(once[number % len(once)], number // len(once)) for number in range(count)]


@cache
def _shuffled() -> tuple[Document, ...]:
    """In an order that does not put the longest texts first, the same in every run."""
    found = [Document(f"{put.namespace[-1]}/{put.key}", put.value) for put in corpus()]
    random.Random(0).shuffle(found)
    return tuple(found)


def _copy(document: Document, number: int) -> Document:
    if number == 0:
        return document
    value = {**document.value, "text": f"{document.value['text']}\n\nEdition {number} of this page."}
    return Document(f"{document.key}#{number}", value)
