"""Who may open the engine's folder: one process at a time, and its forked children not at all while it lives."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from scylla_store.errors import EmbeddedIndexBusy
from scylla_store.file_locks import lock


class FolderLock:
    """The lock file of a folder. It is free again when its owner closes it, drops it or dies, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Takes it; raises EmbeddedIndexBusy while somebody else has it."""
        file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._close = weakref.finalize(self, os.close, file)
        try:
            lock(file)
        except OSError as exc:
            owner = _read(file)
            self.close()
            raise EmbeddedIndexBusy(_busy(folder, owner)) from exc
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{os.getpid():<12}".encode())

    def close(self) -> None:
        """Lets others have it. In a forked child: closes the copy that would go on holding it after the owner's end."""
        self._close()


def open_files(path: Path) -> list[int]:
    """Descriptors of this process that are open on `path`: the engine's own lock is one of them."""
    wanted = os.stat(path)
    found = []
    for name in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else ():
        if _is_same(int(name), wanted):
            found.append(int(name))
    return found


def close_files(files: list[int], path: Path) -> None:
    """Closes those that are still open on `path`."""
    try:
        wanted = os.stat(path)
    except OSError:
        return
    for file in files:
        if _is_same(file, wanted):
            os.close(file)


def _is_same(file: int, wanted: os.stat_result) -> bool:
    try:
        found = os.fstat(file)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def _read(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 12).decode(errors="replace").strip()


def _busy(folder: Path, owner: str) -> str:
    who = "Another store of this process" if owner == str(os.getpid()) else f"Another process ({owner or 'starting'})"
    return (
        f"{who} owns the embedded index in {folder}: search there, or set index.url (SCYLLA_STORE_INDEX__URL) "
        "to a Qdrant server that every process can reach"
    )
