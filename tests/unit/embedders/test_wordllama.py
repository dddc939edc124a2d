"""The default embedder, offline."""

from __future__ import annotations

import builtins
import logging
import math
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scylla_store.embedders.wordllama import WordLlamaEmbedder
from scylla_store.errors import ConfigurationError


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def similarity(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(a * b for a, b in zip(one, other, strict=True)))


def test_it_loads_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine where nothing can be connected to
    def refuse(*_: object) -> None:
        raise AssertionError("It connects")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    # Then a text has its vector
    (vector,) = WordLlamaEmbedder().embed(["tea"])
    assert len(vector) == WordLlamaEmbedder.dimensions


def test_texts_of_the_same_meaning_are_near(embedder: WordLlamaEmbedder) -> None:
    dog, puppy, lattice = embedder.embed(["a dog barks", "the puppy is barking", "quantum field theory"])

    assert similarity(dog, puppy) > similarity(dog, lattice)


@pytest.mark.parametrize("text", ["", "\0", "tea", "x" * 50_000])
def test_every_text_has_a_vector_of_length_one(embedder: WordLlamaEmbedder, text: str) -> None:
    (vector,) = embedder.embed([text])

    assert math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-5)


def test_the_vectors_are_those_of_the_model(embedder: WordLlamaEmbedder) -> None:
    # Given the model as its own package loads it
    import numpy
    import wordllama

    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    texts = ["tea", "How to brew it? Slowly, at eighty degrees.", "漢字", "word " * 9_000 + "tea " * 9_000]

    # Then both agree
    assert numpy.allclose(embedder.embed(texts), model.embed(texts, norm=True), atol=1e-4)


def test_threads_that_begin_together_get_the_same_vectors() -> None:
    embedder = WordLlamaEmbedder()
    found: list[list[float]] = []
    threads = [
        threading.Thread(target=lambda: found.append([float(number) for number in embedder.embed(["tea"])[0]]))
        for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [found[0]] * 4


def test_a_package_that_is_missing_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    known = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "wordllama":
            raise ModuleNotFoundError(name)
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigurationError, match="wordllama' cannot be loaded"):
        WordLlamaEmbedder().embed(["tea"])


def test_loading_leaves_the_logging_of_the_application_alone() -> None:
    # Given a process that has not set up any logging
    code = (
        "import logging; from scylla_store.embedders.wordllama import WordLlamaEmbedder;"
        "WordLlamaEmbedder().embed(['tea']); root = logging.getLogger(); print(root.level, root.handlers)"
    )

    # Then it is as it was
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == f"{logging.WARNING} []"
