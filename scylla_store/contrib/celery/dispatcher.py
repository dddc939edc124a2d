"""Sends refs to Celery workers. Never blocks longer than `celery.publish_timeout`, works on both sides of a fork."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from scylla_store.contrib.celery.eager import eager_task
from scylla_store.contrib.celery.names import SYNC_ITEMS
from scylla_store.contrib.celery.publishing import Line
from scylla_store.errors import BrokerUnavailable, ConfigurationError
from scylla_store.forks import follow
from scylla_store.identity import item_digest
from scylla_store.intents import Ref, to_wire
from scylla_store.settings.options import Settings

log = logging.getLogger(__name__)

_SHOWN = 10
_ANSWER_TIME = 1.0
_CLOSE_TIME = 0.3
T = TypeVar("T")

_inherited: list[Line] = []


class CeleryDispatcher:
    """The Dispatcher of stores that have a broker.

    Args:
        settings: of the store; `celery.broker_url` must be set.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.celery.broker_url is None:
            raise ConfigurationError("celery.broker_url is not set, so there is no broker to send tasks to")
        self._settings = settings
        self._line: Line | None = None
        self._begin()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._begin()

    def _begin(self) -> None:
        """The connection of another process is neither used nor closed here, not even by a destructor."""
        if self._line is not None:
            _inherited.append(self._line)
        self._lock = threading.Lock()
        self._line = None
        self._closed = False
        self._pid = os.getpid()

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        """Sends one task; BrokerUnavailable when the broker does not take it within the timeout.

        An installed app with `task_always_eager` runs it here and now instead.
        """
        message = to_wire(list(refs))
        eager = eager_task(self._settings)
        if eager is not None:
            eager.apply(args=[json.loads(json.dumps(message))], task_id=task_id, throw=True)
            return
        self._with_line(
            lambda line: line.publish(
                SYNC_ITEMS,
                message,
                task_id=task_id,
                root_id=task_id,
                queue=self._settings.celery.queue,
                **urgency(refs, self._settings),
                argsrepr=describe(refs),
                kwargsrepr="{}",
            )
        )

    def backlog(self) -> int:
        """How many sync tasks wait in the queue; BrokerUnavailable when the broker does not say."""
        if eager_task(self._settings) is not None:
            return 0
        return self._with_line(lambda line: line.count(self._settings.celery.queue))

    def mark(self) -> str | None:
        """What the broker has kept since it lost its data last: another value means that it lost them. None: it cannot be told."""
        if eager_task(self._settings) is not None:
            return None
        try:
            return self._with_line(Line.mark)
        except BrokerUnavailable as exc:
            log.debug("Whether the broker has lost its data cannot be told: %s", exc)
            return None

    def health(self) -> str | None:
        """None, or which queues no worker consumes, as far as workers answer within a second.

        Raises:
            BrokerUnavailable: the broker does not answer.
        """
        if eager_task(self._settings) is not None:
            return None
        celery = self._settings.celery
        consumed = self._with_line(lambda line: line.consumed(_ANSWER_TIME))
        missing = [name for name in (celery.queue, celery.maintenance_queue) if name not in consumed]
        if not missing:
            return None
        return (
            f"no worker answered within {_ANSWER_TIME:g} s that consumes {' or '.join(missing)}; "
            "start one with 'scylla-store worker', or with -Q in an app of your own"
        )

    def close(self) -> None:
        """Ends within 2 s and closes the socket; twice is fine. A send that hangs closes it when it gives up."""
        if self._pid != os.getpid():
            self._begin()
        self._closed = True
        if self._lock.acquire(timeout=_CLOSE_TIME):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _with_line(self, action: Callable[[Line], T]) -> T:
        """Runs the action on this process's connection; one that broke meanwhile is replaced once, at once."""
        if self._pid != os.getpid():  # forked by C code that runs no hooks
            self._begin()
        timeout = self._settings.celery.publish_timeout
        started = time.monotonic()
        if not self._lock.acquire(timeout=timeout):
            raise BrokerUnavailable(f"Another thread has been waiting for the broker for {timeout:g} s")
        try:
            try:
                return self._attempt(action)
            except BrokerUnavailable:
                had_worked = self._line is not None and self._line.has_worked
                self._drop()
                if not had_worked or time.monotonic() - started > timeout / 2:
                    raise
                return self._attempt(action)
        finally:
            if self._closed:
                self._drop()
            self._lock.release()

    def _attempt(self, action: Callable[[Line], T]) -> T:
        if self._closed:
            raise BrokerUnavailable("The dispatcher is closed; the outbox keeps what was not sent")
        if self._line is None:
            self._line = Line(self._settings.celery)
        return action(self._line)

    def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


def message_lifetime(settings: Settings) -> float:
    """Seconds that a task may wait in the queue. Waiting and the longest run together end before the drain dispatches again."""
    return settings.sync.time_limit


def urgency(refs: Sequence[Ref], settings: Settings) -> dict[str, Any]:
    """A new write's task overtakes those of the drain, and is void as soon as the drain takes over what it carries.

    So a new write waits neither behind a backlog nor behind a flood of writes: a worker drops a void task at once.
    """
    if any(ref.again for ref in refs):
        return {"expires": message_lifetime(settings), "may_wait": True}
    return {"expires": min(settings.sync.margin, message_lifetime(settings)), "may_wait": False}


def describe(refs: Sequence[Ref]) -> str:
    """What Flower and logs show of a task's arguments: how many refs, and whose, without namespaces, keys or content."""
    digests = [item_digest(ref.intent.item) for ref in refs[:_SHOWN]]
    more = f", and {len(refs) - _SHOWN} more" if len(refs) > _SHOWN else ""
    return f"({len(refs)} refs of items {', '.join(digests)}{more})"
