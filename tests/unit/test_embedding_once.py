"""A text that an item has in the index already, embedded by the same model, is not embedded again."""

from __future__ import annotations

from pathlib import Path

from scylla_store.settings.options import ChunkingSettings, EmbedderSettings, Settings
from scylla_store.testing import FailingEmbedder, TestingStore

NAMESPACE = ("docs",)
SETTINGS = Settings(
    embedder=EmbedderSettings(name="hashing"), chunking=ChunkingSettings(unit="characters", size=8, overlap=0)
)


def counting() -> FailingEmbedder:
    """An embedder that fails never and notes the texts of every call."""
    return FailingEmbedder(times=0)


def texts(embedder: FailingEmbedder) -> list[str]:
    return [text for call in embedder.calls for text in call]


def test_a_put_that_leaves_the_text_as_it_was_embeds_nothing(tmp_path: Path) -> None:
    # Given an item that is indexed
    embedder = counting()
    with TestingStore(tmp_path, embedder=embedder) as store:
        store.put(NAMESPACE, "tea", {"text": "boiling water", "stars": 1}, wait=0)
        # When another field changes, and the TTL
        receipt = store.put(NAMESPACE, "tea", {"text": "boiling water", "stars": 2}, ttl=60, wait=0)
        # Then its points are those of the new write, and the embedder was asked once
        (hit,) = store.search(NAMESPACE, vector=embedder.inner.embed(["boiling water"])[0])
        assert hit.fresh
        assert hit.item.version == receipt.version
        assert texts(embedder) == ["boiling water"]


def test_only_the_chunks_that_changed_are_embedded(tmp_path: Path) -> None:
    embedder = counting()
    with TestingStore(tmp_path, embedder=embedder, settings=SETTINGS) as store:
        store.put(NAMESPACE, "k", {"text": "aaaaaaaabbbbbbbbcccccccc"}, wait=0)
        before = texts(embedder)
        store.put(NAMESPACE, "k", {"text": "aaaaaaaaddddddddcccccccc"}, wait=0)

        assert before == ["aaaaaaaa", "bbbbbbbb", "cccccccc"]
        assert texts(embedder) == [*before, "dddddddd"]


def test_another_model_embeds_it_again(tmp_path: Path) -> None:
    first, second = counting(), counting()
    with TestingStore(tmp_path / "store", embedder=first) as store:
        store.put(NAMESPACE, "k", {"text": "words"}, wait=0)
        database, index = store.parts.database, store.parts.index
        # When a worker with another model meets the same index
        second.name = "another"
        with TestingStore(tmp_path / "other", embedder=second, database=database, index=index) as other:
            other.put(NAMESPACE, "k", {"text": "words"}, wait=0)

    assert texts(second) == ["words"]
