"""Searching when the embedder is somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from scylla_store import EmbedderUnavailable
from scylla_store.testing import FailingEmbedder, TestingStore

QUERY = "words that are nobody's business"


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
