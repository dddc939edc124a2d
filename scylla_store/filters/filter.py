"""A filter that was checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from scylla_store.filters.evaluation import Predicate, Subject, predicate
from scylla_store.filters.nodes import All, AnyOf, Node, Not, System


@dataclass(frozen=True)
class Filter:
    """A filter that was checked. `root` is what it means."""

    root: Node

    def matches(self, subject: Subject) -> bool:
        """Whether the document is one that the filter asks for, exactly."""
        return self._predicate(subject)

    @cached_property
    def digest(self) -> str:
        """Tells filters apart, so that a cursor goes on with the one that it was made for; the order of names is no difference."""
        return hashlib.blake2b(ascii(self.root).encode(), digest_size=12, person=b"filter").hexdigest()

    @cached_property
    def looks_at_value(self) -> bool:
        """Whether it asks for anything but the fields of the item itself, so that documents have to be read."""
        return _looks_at_value(self.root)

    @cached_property
    def _predicate(self) -> Predicate:
        return predicate(self.root)


def _looks_at_value(node: Node) -> bool:
    if isinstance(node, (All, AnyOf)):
        return any(map(_looks_at_value, node.parts))
    return _looks_at_value(node.part) if isinstance(node, Not) else not isinstance(node.field, System)
