"""What a writer process did, in its own file: one line of JSON before each operation and one after it.

A line is handed to the operating system at once, so SIGKILL of the writer loses none that was complete. An operation with
an intent and no outcome may have happened or not.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

SECOND = 1_000_000
_INTENT = b'{"event": "intent"'


@dataclass(frozen=True)
class Write:
    """One write of one item. Times are microseconds of the writer's clock.

    Attributes:
        digest: digest of the document; None for a delete.
        ttl: seconds; None: for ever.
        indexed: whether the document was to be searchable.
        version: as acknowledged; None while nobody knows whether the write happened.
        finished_at: when the outcome was known; None likewise.
        ended_at: not later than this its writer had done with the operation, whatever came of it; None where the record ends in it.
    """

    namespace: tuple[str, ...]
    key: str
    digest: str | None
    ttl: float | None = None
    indexed: bool = True
    version: int | None = None
    started_at: int = 0
    finished_at: int | None = None
    ended_at: int | None = None


@dataclass(frozen=True)
class Progress:
    """Where a writer stands: the number of its next operation, and how many documents it has sent."""

    next_operation: int
    documents: int


def digest_of(value: Any) -> str:
    """Digest of a document, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Record:
    """Appends to a writer's file; opened again after a kill, it goes on after a torn line."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(self._file, b"\n")

    def intend(self, number: int, writes: Sequence[Write]) -> None:
        """Says what operation `number` is about to write."""
        rows = [[list(write.namespace), write.key, write.digest, write.ttl, write.indexed] for write in writes]
        self._append({"event": "intent", "n": number, "writes": rows})

    def acknowledge(self, number: int, versions: Sequence[int | None]) -> None:
        """Says what the store answered; None at the position of a write that failed or whose answer was lost."""
        self._append({"event": "outcome", "n": number, "versions": list(versions)})

    def fail(self, number: int, error: BaseException) -> None:
        """Says that operation `number` ended with this error: its writes may have happened or not."""
        self._append({"event": "error", "n": number, "error": type(error).__name__, "message": str(error)[:300]})

    def _append(self, line: dict[str, Any]) -> None:
        times = {"at": time.time_ns() // 1000, "monotonic": time.monotonic()}
        os.write(self._file, json.dumps({**line, **times}).encode() + b"\n")


@dataclass(frozen=True)
class Attempt:
    """One operation as it went. Times are those of the machine's monotonic clock, which all its processes share.

    Attributes:
        writes: how many items it was to write; acknowledged: how many of them were.
        error: class of what it raised; None also while it has not ended.
    """

    number: int
    began: float
    writes: int
    seconds: float | None = None
    acknowledged: int = 0
    error: str | None = None


def attempts(path: Path) -> list[Attempt]:
    """The operations of one writer, in order."""
    found: dict[int, Attempt] = {}
    for line in _lines(path):
        number, now = line["n"], line["monotonic"]
        if line["event"] == "intent":
            found[number] = Attempt(number, now, len(line["writes"]))
            continue
        was = found[number]
        seconds = now - was.began if was.seconds is None else was.seconds
        if line["event"] == "error":
            found[number] = replace(was, seconds=seconds, error=line["error"])
        else:
            acknowledged = sum(version is not None for version in line["versions"])
            found[number] = replace(was, seconds=seconds, acknowledged=acknowledged)
    return list(found.values())


def begun(path: Path) -> int:
    """How many operations have an intent, at the cost of looking through the file."""
    return path.read_bytes().count(_INTENT) if path.exists() else 0


def progress(path: Path) -> Progress:
    """Where the writer of this file goes on; an operation that has an intent is not repeated."""
    number = documents = 0
    for line in _lines(path):
        if line["event"] == "intent":
            number = line["n"] + 1
            documents += sum(digest is not None for _, _, digest, _, _ in line["writes"])
    return Progress(number, documents)


def writes(paths: Iterable[Path]) -> list[Write]:
    """All writes of all writers."""
    return [write for path in paths for write in _writes_of(path)]


def errors(paths: Iterable[Path]) -> dict[str, int]:
    """How often each class of error ended an operation."""
    counts: dict[str, int] = {}
    for path in paths:
        for line in _lines(path):
            if line["event"] == "error":
                counts[line["error"]] = counts.get(line["error"], 0) + 1
    return counts


def _writes_of(path: Path) -> list[Write]:
    found: dict[int, list[Write]] = {}
    last: int | None = None
    for line in _lines(path):
        number, at = line["n"], line["at"]
        if line["event"] == "intent":
            if last is not None:  # its writer was killed in it
                found[last] = _ended(found[last], at)
            found[number] = [
                Write(tuple(namespace), key, digest, ttl, indexed, started_at=at)
                for namespace, key, digest, ttl, indexed in line["writes"]
            ]
            last = number
            continue
        if line["event"] == "outcome":
            found[number] = [
                write if version is None else replace(write, version=version, finished_at=at)
                for write, version in zip(found[number], line["versions"], strict=True)
            ]
        found[number] = _ended(found[number], at)
    return [write for operation in found.values() for write in operation]


def _ended(writes: list[Write], at: int) -> list[Write]:
    return [replace(write, ended_at=write.ended_at or at) for write in writes]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines. A torn one is an intent whose operation never began, or an outcome that was never told."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line
