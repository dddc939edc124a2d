"""The engine's exceptions, translated in one place. It raises bare `Exception`s, so their words decide."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from scylla_store.errors import (
    ConfigurationError,
    EmbeddedIndexBusy,
    IndexRefused,
    IndexUnavailable,
    StoreClosed,
    StoreError,
)

_WORDS: tuple[tuple[str, type[StoreError]], ...] = (
    ("WouldBlock", EmbeddedIndexBusy),
    ("not initialized", StoreClosed),
    ("dimension error", IndexRefused),
    ("Wrong input", IndexRefused),
    ("Bad request", IndexRefused),
    ("Invalid", IndexRefused),
)
"""Whatever is not listed here (disk full, a broken file, a bug of the engine) is an outage: documents wait for its end."""


@contextmanager
def translated() -> Iterator[None]:
    """Raises what the engine and the file system raise as an error of ours; other exceptions pass."""
    try:
        yield
    except OSError as exc:
        raise translate_os(exc) from exc
    except BaseException as exc:
        if not _is_of_engine(exc):
            raise
        raise translate(exc) from exc


def translate(exc: BaseException) -> StoreError:
    """The error of ours that an exception of the engine means."""
    kind = next((kind for words, kind in _WORDS if words in str(exc)), IndexUnavailable)
    if kind is EmbeddedIndexBusy:
        return EmbeddedIndexBusy(f"{EmbeddedIndexBusy.__doc__} ({exc})")
    return kind(f"The embedded index failed: {str(exc)[:500]}")


def translate_os(exc: OSError) -> StoreError:
    """The error of ours that one of the file system means: a wrong folder, or an outage such as a full disk."""
    what = f"{exc.strerror or type(exc).__name__} ({exc.filename})"
    if isinstance(exc, (FileExistsError, NotADirectoryError, PermissionError)) or exc.errno == errno.EROFS:
        return ConfigurationError(f"path: the folder of the embedded index cannot be used: {what}")
    return IndexUnavailable(f"The embedded index failed: {what}")


def _is_of_engine(exc: BaseException) -> bool:
    return type(exc) is Exception or type(exc).__name__ == "PanicException"
