"""Why indexing one item failed, in words that may be stored and logged: never with content of the document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scylla_store.errors import EmbedderTimeout, EmbeddingOvertime, PermanentError, StoreError, ValidationError

_LONGEST = 300
_WINDOW = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure.

    Attributes:
        reason: class of the error, by which dead letters are counted.
        message: class and message.
        is_permanent: whether trying again cannot help.
    """

    reason: str
    message: str
    is_permanent: bool

    @classmethod
    def of(cls, exc: Exception, texts: Iterable[str] = ()) -> Failure:
        """Describes an error. A foreign error that quotes one of `texts` is described by its class alone."""
        name = type(exc).__name__
        message = str(exc)[:_LONGEST]
        if not isinstance(exc, StoreError) and _quotes(message, texts):
            message = "its message quotes the document and is left out"
        message = _storable(message)
        return cls(name, f"{name}: {message}" if message else name, isinstance(exc, (PermanentError, ValidationError)))


def _storable(text: str) -> str:
    """The text with escapes for lone surrogates, as Python reads them from names of files: no database can store these."""
    return text.encode("utf-8", "backslashreplace").decode()[:_LONGEST]


def held_up(message: str | None) -> bool:
    """Whether the message of an outbox row says that the embedder did not end the call that it was in, or not in time: it may
    have held up the others of its task."""
    return message is not None and message.startswith((EmbedderTimeout.__name__, EmbeddingOvertime.__name__))


def _quotes(message: str, texts: Iterable[str]) -> bool:
    """Whether any 12 characters of the message, or a shorter text as a whole, stand in a text."""
    windows = (
        {message[start : start + _WINDOW] for start in range(max(1, len(message) - _WINDOW + 1))} if message else set()
    )
    return any(
        (len(text) < _WINDOW and text.strip() and text in message)
        or any(len(window) == _WINDOW and window in text for window in windows)
        for text in texts
    )
