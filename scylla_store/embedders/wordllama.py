"""The default embedder: WordLlama, whose weights come inside its package. Works offline, loads at first use.

https://github.com/dleemiller/WordLlama
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scylla_store.errors import ConfigurationError
from scylla_store.index.base import Vector

_TOKENS_AT_ONCE = 8192


class WordLlamaEmbedder:
    """256 dimensions, length 1: the mean of the vectors of a text's tokens."""

    name = "wordllama-l2_supercat-256"
    dimensions = 256
    max_batch_items = 1024
    max_batch_bytes = 4_000_000

    def __init__(self) -> None:
        self._model: Any = None

    def embed(self, texts: list[str]) -> Sequence[Vector]:
        """Vectors in the order of the texts."""
        # No lock: two threads that load at once get the same model, and a fork can leave no lock behind.
        if self._model is None:
            self._model = _load()
        vectors: Sequence[Vector] = _pooled(self._model, texts)
        return vectors


def _load() -> Any:
    try:
        with _logging_untouched():
            import wordllama

        folder = Path(wordllama.__file__).parent
        model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    except (ImportError, OSError, ValueError) as exc:
        raise ConfigurationError(
            "embedder.name = 'wordllama' cannot be loaded; install it again (pip install --force-reinstall wordllama) "
            "or choose another embedder"
        ) from exc
    model.tokenizer.no_padding()
    return model


@contextmanager
def _logging_untouched() -> Iterator[None]:
    """The package calls logging.basicConfig when it is imported, which does nothing while the root logger has a handler."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _pooled(model: Any, texts: list[str]) -> Any:
    """As `model.embed(texts, norm=True)`, without its padding: that makes every text as large as the longest of its batch."""
    import numpy

    vectors = numpy.zeros((len(texts), WordLlamaEmbedder.dimensions), numpy.float32)
    most = len(model.embedding) - 1
    # The fast one keeps no offsets; tokenizers before 0.20.4 do not have it.
    encode = getattr(model.tokenizer, "encode_batch_fast", model.tokenizer.encode_batch)
    for vector, encoded in zip(vectors, encode(texts, add_special_tokens=False), strict=True):
        ids = numpy.minimum(numpy.array(encoded.ids, numpy.int64), most)
        for start in range(0, len(ids), _TOKENS_AT_ONCE):
            vector += model.embedding[ids[start : start + _TOKENS_AT_ONCE]].sum(axis=0)
    # A text without tokens has no direction; any will do, but a vector of zeros has no similarity.
    vectors[~vectors.any(axis=1), 0] = 1
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
