"""Threads of this process that work beside the callers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


def started(name: str, work: Callable[[], None]) -> threading.Thread | None:
    """A daemon thread that runs; None, with a warning, where this process may have no more threads or memory now. Ask again later."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:
        log.warning("The thread %s cannot be started now, its work waits in the outbox: %s", name, exc)
        return None
    return thread
