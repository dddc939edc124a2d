"""When something is tried again, and what a failure says about whose fault it is."""

from __future__ import annotations

from collections.abc import Callable

from scylla_store.errors import ConfigurationError, StoreClosed, TransientError

_LARGEST_EXPONENT = 60


def backoff(attempt: int, base: float, most: float, random: Callable[[], float]) -> float:
    """How long to wait after an attempt failed: capped exponential backoff with full jitter.

    Formula: "Full Jitter" in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        attempt: how many attempts were made, from 1.
        base, most: seconds; the wait is below base * 2 ** (attempt - 1) and below `most`.
        random: gives numbers in [0, 1).

    Returns:
        Seconds.
    """
    exponent = min(max(attempt, 1) - 1, _LARGEST_EXPONENT)
    return random() * min(most, base * 2.0**exponent)


def is_outage(exc: BaseException) -> bool:
    """Whether the failure is no document's fault, so that it costs no attempt: the same work can succeed later, unchanged.

    That is whatever is transient (a dependency that is down or throttles, a lease or a clock), a setting, schema or
    collection that somebody has to put right, and a store that was closed under the work.
    """
    return isinstance(exc, (TransientError, ConfigurationError, StoreClosed))
