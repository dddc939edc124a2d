"""Rules: writes under a condition, and updates in place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from scylla_store import Outcome, OutcomeUnknown, StoreError
from scylla_store.updates import KEEP
from tests.model.cutting import Crash
from tests.model.documents import IDS, INDEXES, KEPT_INDEXES, KEPT_TTLS, PATCHES, TTLS, VALUES, merged, plus_one
from tests.model.machine import Machine, step
from tests.model.model import Document, Id, Write, of_item, shown

_KINDS = ("put_if_not_exists", "update_if_exists", "compare_and_set", "delete_if_exists", "delete_if_version")
_VERSIONS = ("current", "current", "last", "first", "next")


class Changing(Machine):
    """The five conditional writes, and update."""

    @step(kind=st.sampled_from(_KINDS), item=IDS, value=VALUES, index=INDEXES, ttl=TTLS, version=st.sampled_from(_VERSIONS))
    def write_if(self, kind: str, item: Id, value: dict[str, Any], index: Any, ttl: Any, version: str) -> None:
        item = self.at(item)
        before = self.model.seen(item, self.now)
        is_delete = kind.startswith("delete")
        expected = self._version(item, version)
        arguments: dict[str, Any] = {} if is_delete else {"value": value, "index": index, "ttl": ttl}
        if "version" in kind or kind == "compare_and_set":
            holds = before is not None and before.version == expected
            arguments["expected_version"] = expected
        else:
            holds = (before is None) == (kind == "put_if_not_exists")
        write = Write(item, None, self.now) if is_delete else Write(item, value, self.now, index, ttl)
        call = getattr(self.store, kind)
        self._conditionally(write, before, holds=holds, action=lambda: call(*item, **arguments))

    @step(item=IDS, patch=st.none() | PATCHES, index=KEPT_INDEXES, ttl=KEPT_TTLS)
    def update(self, item: Id, patch: dict[str, Any] | None, index: Any, ttl: Any) -> None:
        self._update(self.at(item), patch, index, ttl)

    @step(number=st.integers(0, 20), patch=st.none() | PATCHES, index=KEPT_INDEXES, ttl=KEPT_TTLS)
    def update_what_is_there(self, number: int, patch: dict[str, Any] | None, index: Any, ttl: Any) -> None:
        """After it was granted time; and what is found afterwards."""
        documents = self.model.under((), self.now)
        if not documents:
            return
        item = documents[number % len(documents)].id
        self.world.clock.advance(0.5)
        self.store.get(*item, refresh_ttl=True)
        self.grant([item], is_certain=True)
        assert of_item(self.store.get(*item, refresh_ttl=True)) == shown(self.model.seen(item, self.now))
        self._update(item, patch, index, ttl)
        self.drain_and_compare()

    def _update(self, item: Id, patch: dict[str, Any] | None, index: Any, ttl: Any) -> None:
        before = self.model.seen(item, self.now)
        change: Any = plus_one if patch is None else patch
        value: dict[str, Any] = {}
        if before is not None:
            value = plus_one(before.value) if patch is None else merged(copy.deepcopy(before.value), patch)
        write = Write(
            item,
            value,
            self.now,
            before.index if before is not None and index is KEEP else index,
            None if ttl is KEEP else ttl,
            until=before.expires_at if before is not None and ttl is KEEP else None,
        )
        self._conditionally(
            write,
            before,
            holds=before is not None,
            action=lambda: self.store.update(*item, change, index=index, ttl=ttl),
        )

    def _version(self, item: Id, which: str) -> int:
        known = self.model.versions.get(item, [1])
        document = self.model.documents.get(item)
        current = known[-1] if document is None else document.version
        return {"current": current, "last": known[-2:][0], "first": known[0], "next": current + 1}[which]

    def _conditionally(
        self, write: Write, before: Document | None, *, holds: bool, action: Callable[[], Outcome]
    ) -> None:
        self.model.perhaps.add(write.id[0])
        write = replace(write, is_conditional=True)
        result = self.attempt(action)
        if isinstance(result, (Crash, StoreError)):
            self.is_clean = False  # intents may have been filed
            if holds and isinstance(result, (Crash, OutcomeUnknown)):
                self.model.doubt(write.id, write)
            return
        assert bool(result) == holds
        if not holds:
            assert result.receipt is None
            assert of_item(result.current) == shown(before)
            return
        self.is_clean = False
        assert result.receipt is not None
        self.applied(write, result.receipt)
        assert of_item(result.current) == shown(self.model.seen(write.id, self.now))
