"""The file of an export: plain or gzip by its extension, and written so that a killed export goes on behind its last whole line.

A gzip file is a row of members, each with whole lines and a checksum of its own: what a kill tears is the last one.
"""

from __future__ import annotations

import errno
import gzip
import logging
import os
import sys
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from scylla_store.errors import ValidationError
from scylla_store.file_locks import lock
from scylla_store.identity import ItemId
from scylla_store.moving.lines import Header, footer, footer_count, from_line

log = logging.getLogger(__name__)

BLOCK = 1 << 20
"""Bytes of lines that are held before they are written; what a kill costs."""

_PLAIN = (".jsonl", ".ndjson")
_GZIP = ".gz"
_LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_READ = 1 << 16
_GZIP_HEADER = 31
"""zlib's name for: a gzip header and trailer around the largest window."""


def is_gzip(path: Path) -> bool:
    """Whether a file of this name is compressed; raises ValidationError for an extension that is not known."""
    if path.suffix == _GZIP:
        return True
    if path.suffix in _PLAIN:
        return False
    known = ", ".join((*_PLAIN, _GZIP))
    raise ValidationError(f"{path.name} must end with one of {known}: the extension says how the file is compressed")


def read_lines(path: Path, offset: int = 0) -> Generator[tuple[bytes, int], None, None]:
    """Lines of an export, and the (uncompressed) offset behind each; raises ValidationError where it is torn."""
    with path.open("rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if is_gzip(path) else raw  # type: ignore[assignment]
        try:
            stream.seek(offset)
            for line in stream:
                offset += len(line)
                yield line, offset
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise ValidationError(f"it is cut off or damaged: {exc}") from exc


class ExportFile:
    """An export that is being written, as `NAME.partial` until it is whole; one that was stopped is gone on with.

    Attributes:
        after: the last document that is in it already.
        documents: how many are.

    Args:
        path: where the whole file will stand.
        header: of this export; one that is gone on with must have been asked for the same.
        restarts: begin anew, whatever is there.
        replaces: an export that stands there already is replaced, once the new one is whole.

    Raises:
        ValidationError: the extension is not known, a file is there, or a stopped export of something else, or another export
            is writing it.
    """

    def __init__(self, path: Path, header: Header, *, restarts: bool = False, replaces: bool = False) -> None:
        self._is_gzip = is_gzip(path)
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._replaces = replaces
        self._refuse_what_is_there()
        self.after: ItemId | None = None
        self.documents = 0
        self._is_whole = False
        self._held: list[bytes] = []
        self._size = 0
        self._stream = self._partial.open("a+b")
        try:
            self._take()
            self._refuse_what_is_there()
            end = 0 if restarts else self._recover(header)
            self._stream.truncate(end)
        except BaseException:
            self._stream.close()
            raise
        if end == 0:
            self._hold(header.to_line())

    def add(self, line: bytes) -> None:
        """Another document."""
        self._hold(line)
        self.documents += 1

    def finish(self) -> None:
        """The file is whole: it gets its last line and its name, after its content is on the disk."""
        if not self._is_whole:
            self._hold(footer(self.documents))
        self._flush()
        os.fsync(self._stream.fileno())
        if sys.platform == "win32":
            self._stream.close()  # an open file cannot be renamed there
        self._partial.replace(self._path)
        self._stream.close()  # and with it the lock: whoever opened the file under its old name finds that it has another one

    @property
    def is_whole(self) -> bool:
        """Whether only its name was missing."""
        return self._is_whole

    def __enter__(self) -> ExportFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keeps what there is, for the next call."""
        if not self._stream.closed:
            try:
                self._flush()
            finally:
                self._stream.close()

    def _hold(self, line: bytes) -> None:
        self._held.append(line)
        self._size += len(line)
        if self._size >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            block = b"".join(self._held)
            self._held, self._size = [], 0
            self._stream.write(gzip.compress(block, 6, mtime=0) if self._is_gzip else block)
            self._stream.flush()

    def _refuse_what_is_there(self) -> None:
        if self._path.exists() and not self._replaces:
            raise ValidationError(f"{self._path} is there already; --overwrite replaces it")

    def _take(self) -> None:
        """Locks the file, so that no other export writes it, and makes sure that it is still the one of that name."""
        try:
            self._lock()
            is_ours = os.path.samestat(os.fstat(self._stream.fileno()), self._partial.stat())
        except (BlockingIOError, PermissionError, FileNotFoundError):
            is_ours = False
        if not is_ours:
            raise ValidationError(f"{self._partial}: another export is writing it: wait for it, or name another file")

    def _lock(self) -> None:
        try:
            lock(self._stream.fileno())
        except OSError as exc:
            if exc.errno not in _LOCKLESS:
                raise
            log.warning("%s is on a file system without locks: see to it that no other export writes it", self._partial)

    def _recover(self, header: Header) -> int:
        """Where to go on writing: behind the last whole line; 0 when nothing is there to go on with."""
        try:
            return self._read(header)
        except ValidationError as exc:
            raise ValidationError(f"{self._partial} cannot be gone on with: {exc}; --restart begins anew") from None

    def _read(self, header: Header) -> int:
        end, lines, last = 0, 0, b""
        self._stream.seek(0)
        for block, offset in _members(self._stream) if self._is_gzip else _whole_lines(self._stream):
            for line in block.split(b"\n")[:-1]:
                if lines == 0 and not Header.from_line(line).is_of_the_same(header):
                    raise ValidationError("it is an export with another prefix or filter")
                lines, last = lines + 1, line
            end = offset
        if lines > 1:
            self._is_whole = footer_count(last) is not None
            self.documents = lines - 1 - self._is_whole
            if not self._is_whole:
                stored = from_line(last)
                self.after = ItemId(tuple(stored.namespace), stored.key)
        return end


def _whole_lines(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    end = 0
    for line in stream:
        if line.endswith(b"\n"):
            end += len(line)
            yield line, end


def _members(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """What each whole member holds, and where it ends. A member has a block, so not much."""
    decoder, parts, offset = zlib.decompressobj(_GZIP_HEADER), list[bytes](), 0
    while chunk := stream.read(_READ):
        offset += len(chunk)
        while chunk:
            try:
                parts.append(decoder.decompress(chunk))
            except zlib.error:
                return
            chunk = decoder.unused_data
            if decoder.eof:
                yield b"".join(parts), offset - len(chunk)
                decoder, parts = zlib.decompressobj(_GZIP_HEADER), []
