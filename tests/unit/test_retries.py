"""When something is tried again, and whose fault a failure is."""

from __future__ import annotations

import pytest

from scylla_store import errors
from scylla_store.retries import backoff, is_outage


@pytest.mark.parametrize(
    ("attempt", "most_seconds"),
    [(0, 10.0), (1, 10.0), (2, 20.0), (3, 40.0), (9, 2560.0), (10, 3600.0), (100_000, 3600.0)],
)
def test_the_longest_wait_doubles_with_each_attempt_up_to_the_cap(attempt: int, most_seconds: float) -> None:
    assert backoff(attempt, 10.0, 3600.0, lambda: 1.0) == most_seconds


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_the_wait_is_a_random_share_of_the_longest(share: float) -> None:
    assert backoff(3, 10.0, 3600.0, lambda: share) == 40.0 * share


@pytest.mark.parametrize(
    "error",
    [
        errors.DatabaseUnavailable,
        errors.OutcomeUnknown,
        errors.IndexUnavailable,
        errors.IndexThrottled,
        errors.EmbeddedIndexBusy,
        errors.EmbedderBusy,
        errors.EmbedderTimeout,
        errors.EmbedderUnavailable,
        errors.BrokerUnavailable,
        errors.ClockSkew,
        errors.LeaseLost,
        errors.CollectionMismatch,
        errors.SchemaMismatch,
        errors.ConfigurationError,
        errors.StoreClosed,
    ],
)
def test_these_are_no_documents_fault(error: type[errors.StoreError]) -> None:
    assert is_outage(error())


@pytest.mark.parametrize(
    "error",
    [
        errors.BadVector,
        errors.DamagedRow,
        errors.IndexRefused,
        errors.DatabaseRefused,
        errors.TombstoneLimit,
        errors.ValidationError,
        RuntimeError,
        ConnectionError,
        MemoryError,
    ],
)
def test_these_count_as_an_attempt(error: type[Exception]) -> None:
    assert not is_outage(error())
