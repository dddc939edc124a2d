"""What the points of an item have to say of whose they are, worked out here once more and without the library.

A list of texts is written as, for each of them, the length of its UTF-8 bytes (4) and these bytes. Digests are BLAKE2b of 16
bytes in hexadecimal: of a namespace or prefix ("namespace"), and of an item ("item"): the number of labels (1), the labels, the key.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_POINTS = uuid.UUID("6c0f2c2e-6f0c-5d6e-9c57-6b1d2b6d6a11")


def expected_payload(namespace: Sequence[str], key: str) -> dict[str, Any]:
    """The part of a payload that follows from namespace and key."""
    labels = tuple(namespace)
    item = _digest("item", bytes([len(labels)]) + _joined((*labels, key)))
    return {
        "item": item,
        "slice": int(item[:3], 16),
        "tenant": _prefixes(labels)[0],
        "prefixes": list(_prefixes(labels)),
    }


def expected_id(item: str, ordinal: int) -> str:
    """The id of the point of one chunk."""
    return str(uuid.uuid5(_POINTS, f"{item}/{ordinal}"))


@lru_cache(maxsize=4096)
def _prefixes(labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_digest("namespace", _joined(labels[:depth])) for depth in range(1, len(labels) + 1))


def _joined(texts: Sequence[str]) -> bytes:
    return b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts)


def _digest(person: str, data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16, person=person.encode()).hexdigest()
