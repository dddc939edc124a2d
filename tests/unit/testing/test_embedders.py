"""Embedders that misbehave, as tests of applications use them."""

import math
import threading

import pytest

from scylla_store import EmbedderUnavailable, ValidationError
from scylla_store.embedders.hashing import HashingEmbedder
from scylla_store.testing import FailingEmbedder, HangingEmbedder, NonsenseEmbedder


def test_a_failing_embedder_fails_for_the_texts_it_is_told():
    embedder = FailingEmbedder(lambda text: "bad" in text)

    assert len(embedder.embed(["good"])) == 1
    with pytest.raises(RuntimeError):
        embedder.embed(["good", "bad"])


def test_a_failing_embedder_recovers_after_its_times():
    embedder = FailingEmbedder(times=2, error=EmbedderUnavailable("It is out"))

    for _ in range(2):
        with pytest.raises(EmbedderUnavailable, match="It is out"):
            embedder.embed(["text"])

    assert [list(vector) for vector in embedder.embed(["text"])] == [
        list(vector) for vector in HashingEmbedder().embed(["text"])
    ]
    assert embedder.calls == [["text"]] * 3


def test_a_hanging_embedder_answers_once_it_is_released():
    embedder = HangingEmbedder(hang_on=lambda text: text == "slow")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(embedder.embed(["slow"])), daemon=True)

    assert len(embedder.embed(["quick"])) == 1
    thread.start()
    assert embedder.hanging.wait(10)
    assert answers == []
    embedder.release.set()
    thread.join(10)

    assert len(answers) == 1


def test_nonsense_is_of_the_kind_that_was_asked_for():
    good = HashingEmbedder().embed(["one", "two"])

    nan = NonsenseEmbedder("nan").embed(["one", "two"])
    size = NonsenseEmbedder("size").embed(["one", "two"])
    count = NonsenseEmbedder("count").embed(["one", "two"])

    assert all(math.isnan(vector[0]) for vector in nan)
    assert [len(vector) for vector in size] == [len(vector) + 1 for vector in good]
    assert len(count) == 1


def test_nonsense_of_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError, match="kind"):
        NonsenseEmbedder("other")


def test_texts_that_are_not_concerned_are_embedded_as_ever():
    embedder = NonsenseEmbedder("nan", spoil_on=lambda text: "bad" in text)

    assert all(math.isfinite(number) for number in embedder.embed(["good"])[0])
