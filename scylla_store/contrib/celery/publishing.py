"""One process's line to the broker: an app without result backend, one connection, one producer, short timeouts."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from scylla_store.contrib.celery.brokers import is_redis, tls_options
from scylla_store.errors import BrokerUnavailable, ConfigurationError
from scylla_store.settings.masking import masked
from scylla_store.settings.options import CelerySettings

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

ONE_ATTEMPT = {"max_retries": 0}
"""Publish once: without this policy kombu tries for ever, and `retry=False` alone takes 6 s on a refused connection."""

_MARK = "scylla_store.mark"
"""Redis: the key of a value that is there as long as the data is. All stores that share the broker share it."""

_LAST = 9
"""Redis: the least urgent of Celery's priorities. Workers of any configuration look there, behind all others."""


class Line:
    """A connection that publishes and counts. It is not safe to share between threads, and never crosses a fork."""

    def __init__(self, settings: CelerySettings) -> None:
        assert settings.broker_url is not None
        self._url = settings.broker_url
        self._timeout = settings.publish_timeout
        self.has_worked = False
        self.app = publishing_app(settings)
        try:
            self._connection: Any = self.app.connection_for_write(url=self._url)
            self._errors: tuple[type[Exception], ...] = _errors(self._connection)
        except (ImportError, KeyError, ValueError) as exc:
            raise ConfigurationError(f"celery.broker_url = {masked(self._url)!r} cannot be used: {exc}") from exc
        self._producer = self.app.amqp.Producer(self._connection, auto_declare=False)

    def publish(self, name: str, message: Any, *, may_wait: bool = False, **options: Any) -> None:
        """Sends one task, once. On Redis one that may wait is taken when no other waits; other brokers keep their order."""
        if may_wait and is_redis(self._url):
            options["priority"] = _LAST
        with self._translated():
            self.app.send_task(
                name,
                args=[message],
                producer=self._producer,
                serializer="json",
                add_to_parent=False,
                retry=True,
                retry_policy=ONE_ATTEMPT,
                **options,
            )

    def count(self, queue: str) -> int:
        """How many tasks wait in the queue (LLEN on Redis)."""
        from kombu.exceptions import ChannelError

        with self._translated():
            try:
                return int(self._connection.default_channel.queue_declare(queue, passive=True).message_count)
            except ChannelError as exc:
                if "NOT_FOUND" in str(exc):  # nobody has sent or consumed anything yet
                    return 0
                raise

    def mark(self) -> str | None:
        """A random value that the broker keeps as long as its data, written where it is missing; None where that cannot be
        told: on other brokers than Redis, and on one that does not let us write it (it is full, its rules forbid it)."""
        if not is_redis(self._url):
            return None
        with self._translated():
            try:
                with self._connection.default_channel.conn_or_acquire() as client:
                    found = client.get(_MARK)
                    if found is None:
                        client.set(_MARK, uuid.uuid4().hex, nx=True)
                        found = client.get(_MARK)
            except self._connection.channel_errors as exc:
                log.debug("Whether the broker has lost its data cannot be told: %s", exc)
                return None
        return None if found is None else bytes(found).decode(errors="replace")

    def consumed(self, timeout: float) -> set[str]:
        """Names of the queues that workers say they consume, asked for `timeout` seconds."""
        control = self.app.control
        control.mailbox.producer_pool = None  # answer through this connection; a pool of its own would stay open
        with self._translated():
            answers = control.inspect(timeout=timeout, connection=self._connection).active_queues() or {}
        return {queue["name"] for queues in answers.values() for queue in queues}

    def close(self) -> None:
        """Closes the socket."""
        with suppress(*self._errors):
            self._connection.release()
        self.app.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        except self._errors as exc:
            took = time.monotonic() - started
            raise BrokerUnavailable(
                f"The broker {masked(self._url)} does not answer ({took:.1f} s): {type(exc).__name__}: {exc}"
            ) from exc
        self.has_worked = True


def publishing_app(settings: CelerySettings) -> Celery:
    """The app of a process that only sends. It has nothing to do with the user's app, Django or the environment."""
    from celery import Celery

    assert settings.broker_url is not None
    app = Celery("scylla_store.publisher", set_as_current=False, fixups=[], backend="disabled://")
    app.conf.update(
        broker_url=settings.broker_url,
        broker_connection_timeout=settings.publish_timeout,
        broker_transport_options=_transport_options(settings),
        broker_use_ssl=tls_options(settings.tls, settings.broker_url),
        task_serializer="json",
        accept_content=["json"],
    )
    return app


def _transport_options(settings: CelerySettings) -> dict[str, Any]:
    timeout = settings.publish_timeout
    assert settings.broker_url is not None
    if is_redis(settings.broker_url):
        return {**ONE_ATTEMPT, "socket_timeout": timeout, "socket_connect_timeout": timeout}
    return {**ONE_ATTEMPT, "read_timeout": timeout, "write_timeout": timeout}


def _errors(connection: Any) -> tuple[type[Exception], ...]:
    """Everything that a broker's client may raise."""
    from kombu.exceptions import KombuError

    return (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)
