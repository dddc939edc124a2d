"""Of a store: writes that happen only when the document is as expected. docs/howto/conditional-writes.md shows them at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scylla_store.items import Put
from scylla_store.lifecycle import Lifecycle
from scylla_store.outcomes import Condition, Outcome, if_absent, if_present, if_version
from scylla_store.receipts import checked_wait
from scylla_store.rows import IndexSpec
from scylla_store.ttls import DEFAULT_TTL, Ttl
from scylla_store.updates import KEEP, Keep, Patch
from scylla_store.writes import Change

Index_ = IndexSpec | list[str]
Seconds = float | None


class ConditionalWrites(Lifecycle):
    """Each is one compare-and-set of one document, and is indexed like any other write."""

    def put_if_not_exists(
        self, namespace: Sequence[str], key: str, value: dict[str, Any], *,
        index: Index_ = None, ttl: Ttl = DEFAULT_TTL, wait: Seconds = None,
    ) -> Outcome:  # fmt: skip
        """As `put`, if there is no such document: one that has expired or was deleted is none.

        The outcome of this and the following methods is true when the write was applied; `outcome.current` is the document
        after it, or the one that stood in its way, and `outcome.receipt` tells how far an applied one is on its way.

        Raises (all of them):
            ValidationError: an argument is wrong; nothing was written.
            Contended: other writes came first again and again; nothing was written. DatabaseUnavailable: the same.
            OutcomeUnknown: an answer was lost, and nobody can tell what became of the write or whether it still comes: read
                before you go on.
        """
        return self._write_if(if_absent, self._started().writer.check_put(Put(namespace, key, value, index, ttl)), wait)

    def update_if_exists(
        self, namespace: Sequence[str], key: str, value: dict[str, Any], *,
        index: Index_ = None, ttl: Ttl = DEFAULT_TTL, wait: Seconds = None,
    ) -> Outcome:  # fmt: skip
        """As `put`, if there is such a document, whatever its version is."""
        return self._write_if(
            if_present, self._started().writer.check_put(Put(namespace, key, value, index, ttl)), wait
        )

    def compare_and_set(
        self, namespace: Sequence[str], key: str, value: dict[str, Any], *, expected_version: int,
        index: Index_ = None, ttl: Ttl = DEFAULT_TTL, wait: Seconds = None,
    ) -> Outcome:  # fmt: skip
        """As `put`, if the document has this version: that of an item or of a receipt."""
        change = self._started().writer.check_put(Put(namespace, key, value, index, ttl))
        return self._write_if(if_version(expected_version), change, wait)

    def delete_if_exists(self, namespace: Sequence[str], key: str, *, wait: Seconds = None) -> Outcome:
        """As `delete`, if there is such a document."""
        return self._write_if(if_present, self._started().writer.check_delete(namespace, key), wait)

    def delete_if_version(
        self, namespace: Sequence[str], key: str, *, expected_version: int, wait: Seconds = None
    ) -> Outcome:
        """As `delete`, if the document has this version."""
        return self._write_if(if_version(expected_version), self._started().writer.check_delete(namespace, key), wait)

    def update(
        self, namespace: Sequence[str], key: str, patch: Patch, *, attempts: int = 10,
        index: Index_ | Keep = KEEP, ttl: Ttl | Keep = KEEP, wait: Seconds = None,
    ) -> Outcome:  # fmt: skip
        """Changes a document in place, again and again until nobody else has written it in between.

        It goes on expiring when it would have, and being indexed as it was, unless `ttl` or `index` is given. When there is no
        such document, nothing is written.

        Args:
            patch: a merge patch (RFC 7396: null removes a field, an array is replaced as a whole), or a function that gets a
                copy of the value and returns the whole new one. It is called in each attempt, and must have no other effect.
            attempts: 1 to 10,000.

        Raises:
            Contended: other writes came first as often as that; nothing was written.
            OutcomeUnknown: see `put_if_not_exists`; also when an attempt may still come while `patch` raises in the next.
        """
        timeout = checked_wait(wait)
        updater = self._started().updater
        outcome = updater.update(namespace, key, patch, attempts=attempts, index=index, ttl=ttl)
        return self._after(outcome, timeout)

    def _write_if(self, condition: Condition, change: Change, wait: Seconds) -> Outcome:
        timeout = checked_wait(wait)
        return self._after(self._started().conditional.write(change, condition), timeout)

    def _after(self, outcome: Outcome, timeout: Seconds) -> Outcome:
        if outcome.receipt is not None and timeout is not None:
            self._wait_for([outcome.receipt], timeout)
        return outcome
