"""Searching on bad days: an embedder that is somebody else's, a row that is damaged."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scylla_store import EmbedderUnavailable, ValidationError
from scylla_store.errors import DamagedRow
from scylla_store.testing import FailingEmbedder, TestingStore

QUERY = "words that are nobody's business"


class Unwilling:
    def __float__(self) -> float:
        raise RuntimeError("no number")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no CUDA"), "RuntimeError: no CUDA"),
        (ValueError(f"cannot tokenize {QUERY!r}"), "quotes the document and is left out"),
        (EmbedderUnavailable("the service is away"), "the service is away"),
    ],
)
def test_whatever_an_embedder_raises_on_a_query_has_a_name_and_does_not_quote_it(
    tmp_path: Path, error: Exception, reason: str
) -> None:
    with (
        TestingStore(tmp_path, embedder=FailingEmbedder(error=error)) as store,
        pytest.raises(EmbedderUnavailable) as failure,
    ):
        store.search(("docs",), QUERY)

    assert reason in str(failure.value)
    assert QUERY not in str(failure.value)


@pytest.mark.parametrize("cell", ["head", "body"])
def test_a_damaged_document_is_reported_and_takes_no_other_hit_with_it(
    tmp_path: Path, cell: str, caplog: pytest.LogCaptureFixture
) -> None:
    with TestingStore(tmp_path) as store:
        # Given three documents, one of which is damaged after it was indexed
        for key in ("a", "b", "c"):
            store.put(("docs",), key, {"text": "the same words"})
        assert store.drain() == 0
        with sqlite3.connect(tmp_path / "store.sqlite3") as connection:
            connection.execute(f"UPDATE items SET {cell} = x'00' WHERE key = 'b'")
        connection.close()
        # When they are searched, then the others are found, and the damage is logged
        assert {hit.item.key for hit in store.search(("docs",), "the same words")} == {"a", "c"}
        assert "damaged row is left out" in caplog.text
        # And whoever asks for it by key is told
        with pytest.raises(DamagedRow, match="'b'"):
            store.get(("docs",), "b")


@pytest.mark.parametrize("numbers", [itertools.repeat(1.0), [Unwilling()] * 256], ids=["without end", "unwilling"])
def test_a_vector_that_never_ends_or_fails_when_asked_for_numbers_is_refused(tmp_path: Path, numbers: Any) -> None:
    with TestingStore(tmp_path) as store, pytest.raises(ValidationError, match=r"^vector must"):
        store.search((), vector=numbers)
