"""`update`: what is stored, changed by a patch or a function, and replaced only while it is still the same."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Union

from scylla_store.arguments import shown
from scylla_store.conditional import ConditionalWriter
from scylla_store.errors import ValidationError
from scylla_store.items import Put
from scylla_store.merging import merge_patch
from scylla_store.outcomes import Outcome
from scylla_store.rows import IndexSpec, Row
from scylla_store.ttls import Ttl
from scylla_store.writes import Change, Writer

MOST_ATTEMPTS = 10_000


class Keep(enum.Enum):
    """Stands for what the item has already."""

    KEEP = "keep"


KEEP = Keep.KEEP

Patch = Union[dict[str, Any], Callable[[dict[str, Any]], dict[str, Any]]]
"""A merge patch (RFC 7396), or a function from the whole value to the whole new value."""


class Updater:
    """Changes items in place. Every attempt begins with what is stored by then."""

    def __init__(self, writer: Writer, conditional: ConditionalWriter) -> None:
        self._writer = writer
        self._conditional = conditional

    def update(
        self,
        namespace: object,
        key: object,
        patch: object,
        *,
        attempts: object,
        index: IndexSpec | list[str] | Keep,
        ttl: Ttl | Keep,
    ) -> Outcome:
        """See `ScyllaStore.update`."""
        item = self._writer.check_delete(namespace, key).id
        if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= MOST_ATTEMPTS:
            raise ValidationError(f"attempts must be a whole number of 1 to {MOST_ATTEMPTS}, not {shown(attempts)}")
        # What every attempt would refuse is refused before anything is read.
        options = Put(*item, {}, None if index is KEEP else index, None if ttl is KEEP else ttl)
        self._writer.check_put(options)
        apply = self._function(patch)

        def change(row: Row | None) -> Change | None:
            if row is None:
                return None
            kept = replace(options, value=apply(row.value()), index=row.head.index if index is KEEP else index)
            checked = self._checked(kept)
            return replace(checked, until=row.expires_at) if ttl is KEEP else checked

        return self._conditional.run(item, change, attempts)

    def _checked(self, put: Put) -> Change:
        """A whole new document is as right as one that somebody puts."""
        try:
            return self._writer.check_put(put)
        except ValidationError as exc:
            raise ValidationError(f"patch makes a document that cannot be stored: {exc}") from None

    def _function(self, patch: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """What turns a value, which is a copy of its own each time, into the new one."""
        if callable(patch):
            return lambda value: _whole(patch(value))
        if not isinstance(patch, dict):
            raise ValidationError(f"patch must be a dictionary (a merge patch) or a function, not {type(patch).__name__}")
        merged = json.loads(self._writer.encode(patch, "patch"))
        return lambda value: merge_patch(value, merged)


def _whole(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValidationError(
            f"patch, a function, must return the whole value, a dictionary, not {type(value).__name__}; to delete, use delete_if_version"
        )
    return value
