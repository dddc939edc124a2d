"""Embedders that do what embedders do on bad days: fail, hang, return nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal, Union

from scylla_store.embedders.base import Embedder
from scylla_store.embedders.hashing import HashingEmbedder
from scylla_store.errors import ValidationError
from scylla_store.index.base import Vector

TextTest = Callable[[str], bool]
Failure = Union[Exception, Callable[[], Exception]]


class _Wrapper:
    """Passes on what the inner embedder says of itself, so that its vectors and those of the inner one are the same."""

    def __init__(self, inner: Embedder | None, concerns: TextTest | None) -> None:
        self.inner: Embedder = inner or HashingEmbedder()
        self.name = self.inner.name
        self.dimensions = self.inner.dimensions
        self.max_batch_items = self.inner.max_batch_items
        self.max_batch_bytes = self.inner.max_batch_bytes
        self.calls: list[list[str]] = []
        self._concerns = concerns

    def _is_concerned(self, texts: Sequence[str]) -> bool:
        return self._concerns is None or any(self._concerns(text) for text in texts)


class FailingEmbedder(_Wrapper):
    """Raises an error for some texts, or some times, and then embeds as the inner embedder does.

    Args:
        fail_on: which texts a call may not have; None: any.
        times: how many calls fail; None: all of them.
        error: what is raised (an exception, or a function that makes one); `EmbedderUnavailable()` plays an outage.
        inner: the embedder that works; None: the hashing one.

    Attributes:
        calls: the texts of every call, failed ones included.
    """

    def __init__(
        self,
        fail_on: TextTest | None = None,
        *,
        times: int | None = None,
        error: Failure = RuntimeError,
        inner: Embedder | None = None,
    ) -> None:
        super().__init__(inner, fail_on)
        self.times = times
        self._error = error

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """Vectors, or the error."""
        self.calls.append(texts)
        if self._is_concerned(texts) and self.times != 0:
            if self.times is not None:
                self.times -= 1
            raise self._error if isinstance(self._error, Exception) else self._error()
        return self.inner.embed(texts)


class HangingEmbedder(_Wrapper):
    """Does not answer until `release` is set.

    Args:
        release: the event that ends the hanging; None: a new one, to be found as `.release`.
        hang_on: which texts make a call hang; None: any.
        inner: the embedder that answers then; None: the hashing one.

    Attributes:
        hanging: an event that is set once a call hangs.
    """

    def __init__(
        self,
        release: threading.Event | None = None,
        *,
        hang_on: TextTest | None = None,
        inner: Embedder | None = None,
    ) -> None:
        super().__init__(inner, hang_on)
        self.release = release or threading.Event()
        self.hanging = threading.Event()

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """Vectors, late."""
        self.calls.append(texts)
        if self._is_concerned(texts):
            self.hanging.set()
            self.release.wait()
        return self.inner.embed(texts)


class NonsenseEmbedder(_Wrapper):
    """Returns what no embedder should.

    Args:
        kind: "nan": vectors that are not finite; "size": vectors with one number too many; "count": one vector too few.
        spoil_on: which texts make a call return nonsense; None: any.
        inner: the embedder that is spoiled; None: the hashing one.
    """

    def __init__(
        self,
        kind: Literal["nan", "size", "count"] = "nan",
        *,
        spoil_on: TextTest | None = None,
        inner: Embedder | None = None,
    ) -> None:
        if kind not in ("nan", "size", "count"):
            raise ValidationError(f"kind must be 'nan', 'size' or 'count', not {kind!r}")
        super().__init__(inner, spoil_on)
        self._kind = kind

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """Vectors, or nonsense."""
        self.calls.append(texts)
        vectors = [list(vector) for vector in self.inner.embed(texts)]
        if not self._is_concerned(texts):
            return vectors
        if self._kind == "count":
            return vectors[:-1]
        if self._kind == "size":
            return [[*vector, 0.0] for vector in vectors]
        return [[float("nan"), *vector[1:]] for vector in vectors]
