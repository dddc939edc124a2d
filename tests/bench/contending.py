"""compare_and_set on the cluster, beside its own statements by the driver alone."""

from __future__ import annotations

import os

from tests.bench.documents import documents
from tests.bench.installation import Servers
from tests.bench.measure import Row, at_most, compared, median_time, times

_KEYS = 100
_HEAD = 50
"""Bytes of a head, about."""


def compare_and_set(servers: Servers, quick: bool) -> list[Row]:
    """Nobody contends, and each write follows a conditional one: it waits for no clock."""
    rounds, calls = (40, 10) if quick else (200, 10)
    own, other = ("bench", "conditional"), ("raw", "conditional")
    found, place = documents(_KEYS), servers.site
    bodies = [os.urandom(16) + document.body for document in found]
    versions: list[int | None] = []
    for document in found:
        receipt = place.store.put_if_not_exists(own, document.key, document.value).receipt
        assert receipt is not None
        versions.append(receipt.version)
        place.cql.put(other, document.key, bytes(_HEAD), os.urandom(16) + document.body)

    def ours(number: int) -> None:
        at = number % _KEYS
        expected = versions[at]
        assert expected is not None
        outcome = place.store.compare_and_set(own, found[at].key, found[at].value, expected_version=expected)
        assert outcome.receipt is not None, "nobody else writes it"
        versions[at] = outcome.receipt.version

    def raw(number: int) -> None:
        at = number % _KEYS
        place.cql.compare_and_set(other, found[at].key, os.urandom(_HEAD), bodies[at])

    times(ours, range(_KEYS)), times(raw, range(_KEYS))
    measures = median_time(ours, calls), median_time(raw, calls)
    raw_is = "select, intent, lightweight transaction, serial select"
    return [compared("compare_and_set, p50", "ms", *measures, rounds, at_most(1.3), raw_is=raw_is, scale=1000)]
