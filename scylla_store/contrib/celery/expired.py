"""Says that drains expire before a worker gets them. Celery drops them in silence: at level INFO, and as done."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from scylla_store.contrib.celery.names import DRAIN_OUTBOX

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

_LATE = 60.0
"""Seconds. A worker that was busy for a while is no news."""

_PAUSE = 60.0


def warn_of_expired_drains(app: Celery, queue: str) -> None:
    """Logs a warning, once a minute at most, while this app's workers get drains that expired long before.

    What beat sends carries a time of beat's clock. When that is an hour slow, no drain ever runs.
    """
    from celery import signals

    next_warning = 0.0

    def warn(sender: Any, request: Any, expired: bool, **_: Any) -> None:
        nonlocal next_warning
        if not expired or sender.name != DRAIN_OUTBOX or sender.app is not app or time.monotonic() < next_warning:
            return
        late = _seconds_since(request.expires)
        if late > _LATE:
            next_warning = time.monotonic() + _PAUSE
            log.warning(
                "A drain expired %.0f s before it came here and was dropped: the clock of beat's machine is slow by about "
                "as much, this machine's is fast, or the queue %s waits so long.", late, queue,
            )  # fmt: skip

    signals.task_revoked.connect(warn, weak=False)


def _seconds_since(moment: Any) -> float:
    """Of the header that Celery sends: a time with its zone, in ISO format."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (datetime.now(timezone.utc) - at).total_seconds() if isinstance(at, datetime) and at.tzinfo else 0.0
