"""Registers the tasks on a Celery app: the user's own, or the ready-made one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from scylla_store.contrib.celery.brokers import same_broker
from scylla_store.contrib.celery.eager import installed_settings, remember
from scylla_store.contrib.celery.expired import warn_of_expired_drains
from scylla_store.contrib.celery.heart import HeartThread, beat_with
from scylla_store.contrib.celery.names import DRAIN_OUTBOX, RECONCILE, SYNC_ITEMS
from scylla_store.contrib.celery.processes import ProcessStore
from scylla_store.contrib.celery.tasks import Tasks
from scylla_store.errors import ConfigurationError
from scylla_store.monitoring import start_sentry
from scylla_store.settings.masking import masked
from scylla_store.settings.options import Settings
from scylla_store.store import ScyllaStore

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

_SOFT_LIMIT, _HARD_LIMIT = 1.25, 1.5
"""Times `sync.time_limit`, at which the protocol itself stops; these catch code that hangs. Only the prefork pool has them."""


def install(app: Celery, settings: Settings | None = None, *, store: ScyllaStore | None = None) -> None:
    """Registers `scylla_store.sync_items`, `.drain_outbox` and `.reconcile`, their queues and the beat entries on the app.

    Nothing else of the app's configuration changes, except that an app without broker or result backend gets those of
    the settings; `configure_worker` sets what a worker of these tasks alone should have.

        app = Celery("shop")
        app.config_from_object("django.conf:settings", namespace="CELERY")
        install(app)

    Args:
        app: any Celery app; installing again with the same settings does nothing.
        settings: of the store; None: those of `store`, else from file and environment.
        store: the store that the tasks use; None: each worker process makes its own and closes it.

    Raises:
        ConfigurationError: the app has another broker or result backend than the settings, or the tasks of other
            settings are installed on it.
    """
    if settings is None:
        settings = store.settings if store is not None else _load()
    known = installed_settings(app)
    if known is not None:
        if known != settings:
            raise ConfigurationError("The tasks of another store are installed on this Celery app; use one app a store")
        return
    _agree(app, settings)
    stores = ProcessStore(settings, store)
    _register(app, Tasks(stores, settings), settings)
    _route(app, settings)
    _schedule(app, settings)
    heart = HeartThread(stores)
    beat_with(app, heart)
    _end_with_the_process(heart, stores)
    warn_of_expired_drains(app, settings.celery.maintenance_queue)
    _start_sentry(app, settings)
    remember(app, settings)


def _load() -> Settings:
    from scylla_store.settings import load

    settings: Settings = load()
    return settings


def _agree(app: Celery, settings: Settings) -> None:
    """Broker and result backend: the settings win. An app that names others would consume from where nobody sends."""
    for option, of_app, of_store in (
        ("broker_url", app.conf.broker_url, settings.celery.broker_url),
        ("result_backend", app.conf.result_backend, settings.celery.result_backend),
    ):
        if of_store is None:
            continue
        if of_app is None:
            app.conf.update({option: of_store})
        elif not same_broker(str(of_app), of_store):
            raise ConfigurationError(
                f"celery.{option} is {masked(of_store)} in the settings of scylla_store, but {masked(str(of_app))} in the "
                f"Celery app {app.main!r}: tasks would be sent to one and looked for in the other. Make them the same"
            )
    if settings.celery.broker_url is None and app.conf.broker_url is not None and not app.conf.task_always_eager:
        log.warning(
            "scylla_store has no celery.broker_url, so documents are indexed inside the processes that put them, "
            "not by workers of the Celery app %r at %s.", app.main, masked(str(app.conf.broker_url)),
        )  # fmt: skip


def _register(app: Celery, tasks: Tasks, settings: Settings) -> None:
    limit = settings.sync.time_limit
    common: dict[str, Any] = {
        "shared": False,  # or Celery would register them on every other app of the process too
        "acks_late": True,
        "acks_on_failure_or_timeout": True,  # what failed is in the outbox; only a lost worker gives its task back
        "reject_on_worker_lost": True,
        "serializer": "json",
        "soft_time_limit": limit * _SOFT_LIMIT,
        "time_limit": limit * _HARD_LIMIT,
    }

    def sync_items(self: Any, message: dict[str, Any]) -> dict[str, Any]:
        """Brings the items of some refs to the index."""
        return tasks.sync_items(self, message)

    def drain_outbox() -> dict[str, Any] | None:
        """Dispatches outbox rows that are due."""
        return tasks.drain_outbox()

    def reconcile() -> dict[str, Any] | None:
        """Goes on comparing documents and index."""
        return tasks.reconcile()

    without_results = settings.celery.result_backend is None and app.conf.result_backend is None
    app.task(
        name=SYNC_ITEMS,
        bind=True,
        ignore_result=without_results,
        max_retries=settings.celery.retries,
        **common,
    )(sync_items)
    app.task(name=DRAIN_OUTBOX, ignore_result=True, **common)(drain_outbox)
    app.task(name=RECONCILE, ignore_result=True, **common)(reconcile)


def _route(app: Celery, settings: Settings) -> None:
    """Our routes come before the app's own, whatever form those have."""
    routes = app.conf.task_routes or []
    ours = {
        SYNC_ITEMS: {"queue": settings.celery.queue},
        DRAIN_OUTBOX: {"queue": settings.celery.maintenance_queue},
        RECONCILE: {"queue": settings.celery.maintenance_queue},
    }
    app.conf.task_routes = [ours, *(routes if isinstance(routes, (list, tuple)) else [routes])]
    app.amqp.flush_routes()


def _schedule(app: Celery, settings: Settings) -> None:
    """Beat's entries, unless the app has them. What waited longer than an interval is dropped: the next one is there."""
    intervals = {DRAIN_OUTBOX: settings.celery.drain_interval, RECONCILE: settings.reconcile.interval}
    entries = {
        name: {
            "task": name,
            "schedule": interval,
            "options": {"queue": settings.celery.maintenance_queue, "expires": interval * 0.9},
        }
        for name, interval in intervals.items()
    }
    app.conf.beat_schedule = {**entries, **(app.conf.beat_schedule or {})}


def _end_with_the_process(heart: HeartThread, stores: ProcessStore) -> None:
    """The prefork pool announces the end of each child, the solo and threads pools only that of the worker."""
    from celery import signals

    def end(**_: Any) -> None:
        heart.stop()
        stores.close()

    signals.worker_process_shutdown.connect(end, weak=False)
    signals.worker_shutdown.connect(end, weak=False)


def _start_sentry(app: Celery, settings: Settings) -> None:
    """Sentry, if there is a DSN, starts with this app's worker and beat, not when the app is imported."""
    from celery import signals

    def in_worker(instance: Any, **_: Any) -> None:
        if instance.app is app:
            start_sentry(settings.monitoring)

    def in_beat(sender: Any, **_: Any) -> None:
        if sender.app is app:
            start_sentry(settings.monitoring)

    signals.celeryd_init.connect(in_worker, weak=False)
    signals.beat_init.connect(in_beat, weak=False)
