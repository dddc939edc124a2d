"""Patterns of labels, for listing namespaces: some labels are given, others may be any."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Union

from scylla_store.identity import Namespace, checked_namespace


class AnyLabel(enum.Enum):
    """The type of `ANY_LABEL`."""

    ANY_LABEL = "any label"

    def __repr__(self) -> str:
        return "ANY_LABEL"


ANY_LABEL: Literal[AnyLabel.ANY_LABEL] = AnyLabel.ANY_LABEL
"""Stands for one label, whichever it is. No string does: a label may be "*" too, and a tenant of that name sees its own only."""

LabelPattern = Union[str, AnyLabel]

_PLACEHOLDER = "*"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Labels in a row, some of which may be any."""

    labels: tuple[LabelPattern, ...]

    @classmethod
    def of(cls, labels: object, argument: str) -> Pattern:
        """Checked as namespaces are; raises ValidationError."""
        is_any: list[bool] = []
        if isinstance(labels, (tuple, list)):
            is_any = [label is ANY_LABEL for label in labels]
            labels = [_PLACEHOLDER if some else label for label, some in zip(labels, is_any, strict=True)]
        checked = checked_namespace(labels, argument=argument, prefix=True)
        return cls(tuple(ANY_LABEL if some else label for label, some in zip(checked, is_any, strict=True)))

    @property
    def fixed(self) -> Namespace:
        """The labels before the first that may be any."""
        known: list[str] = []
        for label in self.labels:
            if isinstance(label, AnyLabel):
                break
            known.append(label)
        return tuple(known)

    def begins(self, namespace: Namespace) -> bool:
        """Whether the namespace begins so."""
        return self._is(namespace[: len(self.labels)])

    def ends(self, namespace: Namespace) -> bool:
        """Whether the namespace ends so."""
        return self._is(namespace[max(0, len(namespace) - len(self.labels)) :])

    def as_json(self) -> list[str | None]:
        """For a cursor: None stands for any label."""
        return [None if isinstance(label, AnyLabel) else label for label in self.labels]

    def _is(self, labels: Sequence[str]) -> bool:
        return len(labels) == len(self.labels) and all(
            wanted is ANY_LABEL or wanted == label for wanted, label in zip(self.labels, labels, strict=True)
        )
