"""A wrong argument is refused before anything is written, and named as its caller calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scylla_store import Put, ValidationError
from scylla_store.testing import TestingStore

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"namespace": ("",)}, "namespace[0] has 0 bytes"),
    ({"key": ""}, "key has 0 bytes"),
    ({"value": {"a": [object()]}}, "value.a[0] is a object"),
    ({"value": "text"}, "value must be a dictionary"),
    ({"ttl": 0}, "ttl must be a number of seconds greater than 0"),
    ({"index": ["a", "b["]}, "index[1]: 'b[' is wrong"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TestingStore]:
    with TestingStore(tmp_path) as store:
        yield store


def put(**wrong: Any) -> Put:
    return Put(**{"namespace": ("docs",), "key": "k", "value": {"text": "Tea"}, **wrong})


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message.split()[0] for _, message in WRONG])
def test_put_names_its_argument(store: TestingStore, wrong: dict[str, Any], message: str) -> None:
    one = put(**wrong)

    with pytest.raises(ValidationError) as caught:
        store.put(one.namespace, one.key, one.value, index=one.index, ttl=one.ttl)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message.split()[0] for _, message in WRONG])
def test_put_many_names_the_put_too_and_writes_none_of_them(
    store: TestingStore, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        store.put_many([put(), put(**wrong)])

    assert str(caught.value).startswith(f"puts[1].{message}")
    assert store.get(("docs",), "k") is None
