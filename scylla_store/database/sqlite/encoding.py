"""Namespaces in columns."""

from __future__ import annotations

import functools
import json

from scylla_store.identity import Namespace


@functools.lru_cache(maxsize=1024)
def to_column(namespace: Namespace) -> str:
    """The namespace as a JSON list; equal for equal namespaces only."""
    return json.dumps(namespace, ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(maxsize=1024)
def from_column(column: str) -> Namespace:
    """The namespace of a column."""
    return tuple(json.loads(column))


@functools.lru_cache(maxsize=256)
def marks(number: int) -> str:
    """Placeholders of an IN list."""
    return ", ".join("?" * number)
