"""What `import` reads: JSON lines and folders of text, as records that know where they stand."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scylla_store.errors import ValidationError
from scylla_store.identity import Namespace
from scylla_store.items import Put
from scylla_store.moving import Stored
from scylla_store.spelling import parse_namespace
from scylla_store.ttls import DEFAULT_TTL

SUFFIXES = (".md", ".markdown", ".rst", ".txt")
_FIELDS = {"namespace", "key", "value", "index", "ttl"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Position:
    """How far a source was read: lines (or files), and bytes."""

    count: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Record:
    """One line or file: what is to be written, or why it cannot be. `after` is where the next record begins."""

    name: str
    after: Position
    put: Put | Stored | None
    error: str | None = None


class Source(Protocol):
    """Something to import. `size` is in bytes, None when it is not known; `digest` is None when it cannot be read twice."""

    name: str
    size: int | None

    def digest(self) -> str | None:
        """Says which content this is, so that a changed one is not resumed in its middle."""

    def records(self, start: Position) -> Iterator[Record]:
        """The records from `start` on."""


@dataclass(frozen=True)
class Shape:
    """How lines become puts: the namespace of those that name none, and the field that is the key of whole objects."""

    namespace: Namespace | None = None
    key_field: str | None = None

    def put(self, line: Any) -> Put:
        """Raises ValidationError with what is wrong with the line."""
        if not isinstance(line, dict):
            raise ValidationError(f"a JSON object is needed, not {type(line).__name__}")
        if self.key_field is not None:
            return self._whole(line, self.key_field)
        unknown = sorted(set(line) - _FIELDS)
        if unknown:
            raise ValidationError(
                f"unknown field {unknown[0]!r}; fields are {', '.join(sorted(_FIELDS))}, "
                "or name the key of whole objects by --key-field"
            )
        missing = [name for name in ("key", "value") if name not in line]
        if missing:
            raise ValidationError(f"field {missing[0]!r} is missing")
        namespace = self._namespace(line.get("namespace"))
        ttl = line.get("ttl", DEFAULT_TTL)
        return Put(namespace, line["key"], line["value"], index=line.get("index"), ttl=ttl)

    def _whole(self, line: dict[str, Any], field: str) -> Put:
        key = line.get(field)
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise ValidationError(f"the key field {field!r} must hold a string or a whole number, not {key!r}")
        return Put(self._namespace(None), str(key), line)

    def _namespace(self, given: Any) -> Namespace:
        if isinstance(given, str):
            try:
                return parse_namespace(given)
            except ValueError as exc:
                raise ValidationError(f"namespace {exc}") from None
        if given is None:
            if self.namespace is None:
                raise ValidationError("it names no namespace; give one by --namespace")
            return self.namespace
        return given if isinstance(given, list) else (given,)  # type: ignore[return-value]


class JsonLines:
    """A file of JSON lines, or standard input."""

    def __init__(self, path: Path | None, shape: Shape) -> None:
        self.name = "standard input" if path is None else str(path)
        self.size = None if path is None else path.stat().st_size
        self._path = path
        self._shape = shape

    def digest(self) -> str | None:
        """Digest of the whole file."""
        return None if self._path is None else file_digest(self._path)

    def records(self, start: Position) -> Iterator[Record]:
        """One record for each line that is not blank."""
        if self._path is None:
            yield from self._lines(sys.stdin.buffer, start)
            return
        with self._path.open("rb") as stream:
            stream.seek(start.offset)
            yield from self._lines(stream, start)

    def _lines(self, stream: Any, start: Position) -> Iterator[Record]:
        number, offset = start.count, start.offset
        for line in stream:
            number, offset = number + 1, offset + len(line)
            if line.strip():
                yield self._record(line, f"line {number}", Position(number, offset))

    def _record(self, line: bytes, name: str, after: Position) -> Record:
        try:
            return Record(name, after, self._shape.put(json.loads(line)))
        except ValidationError as exc:
            return Record(name, after, None, str(exc))
        except (ValueError, RecursionError) as exc:
            return Record(name, after, None, f"it is not JSON: {exc}")


def file_digest(path: Path) -> str:
    """Digest of what is in a file."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class Folder:
    """Text and Markdown files under a folder; the key of each is its path in it."""

    def __init__(self, path: Path, shape: Shape) -> None:
        if shape.namespace is None:
            raise ValidationError("Files of a folder need --namespace")
        self.name = str(path)
        self._path = path
        self._namespace = shape.namespace
        self._files = sorted(_files(path))
        if not self._files:
            raise ValidationError(f"{path} holds no files that end with {', '.join(SUFFIXES)}")
        self.size: int | None = sum(file.stat().st_size for file in self._files)

    def digest(self) -> str:
        """Digest of names, sizes and times of change."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self._files:
            seen = file.stat()
            digest.update(f"{file.relative_to(self._path).as_posix()}\0{seen.st_size}\0{seen.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    def records(self, start: Position) -> Iterator[Record]:
        """One record for each file, in the order of their paths."""
        offset = start.offset
        for number, file in enumerate(self._files[start.count :], start.count + 1):
            key = file.relative_to(self._path).as_posix()
            try:
                raw = file.read_bytes()
                offset += len(raw)
                put = Put(self._namespace, key, text_document(raw.decode("utf-8-sig"), key))
                yield Record(key, Position(number, offset), put)
            except UnicodeDecodeError as exc:
                yield Record(key, Position(number, offset), None, f"it is not UTF-8: {exc.reason} at byte {exc.start}")
            except OSError as exc:
                yield Record(key, Position(number, offset), None, f"it cannot be read: {exc.strerror}")


def text_document(text: str, path: str) -> dict[str, str]:
    """The document of a text file: its first heading (else its name) as title, text and path."""
    heading = next((line.strip("# \t\r") for line in text.splitlines() if line.startswith("#")), "")
    return {"title": heading or Path(path).stem.replace("_", " "), "text": text, "path": path}


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place, name)
