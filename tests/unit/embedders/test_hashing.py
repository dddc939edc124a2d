"""The embedder without a model."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence

import pytest

from scylla_store.embedders import HashingEmbedder


def similarity(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("dimensions", [1, 8, 256])
@pytest.mark.parametrize("text", ["", " ", "!?", "word", "漢字", "lone \ud800 surrogate", "x" * 100_000])
def test_every_text_has_a_vector_of_length_one(dimensions: int, text: str) -> None:
    (vector,) = HashingEmbedder(dimensions).embed([text])

    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1.0)


def test_texts_are_nearer_the_more_words_and_parts_of_words_they_share() -> None:
    tea, words, parts, nothing = HashingEmbedder().embed(
        ["How to brew tea", "to brew TEA, slowly", "brewing", "quantum lattice"]
    )

    assert similarity(tea, words) > similarity(tea, parts) > similarity(tea, nothing)


def test_vectors_come_in_the_order_of_the_texts_and_do_not_depend_on_the_others() -> None:
    embedder = HashingEmbedder()

    assert list(embedder.embed(["a", "b"])) == [*embedder.embed(["a"]), *embedder.embed(["b"])]


def test_another_process_makes_the_same_vectors() -> None:
    code = "from scylla_store.embedders import HashingEmbedder; print(HashingEmbedder(8).embed(['How to brew tea']))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == str(HashingEmbedder(8).embed(["How to brew tea"]))


def test_the_name_tells_the_dimensions() -> None:
    assert HashingEmbedder(8).name != HashingEmbedder(16).name
