"""The configuration of a worker that runs our tasks, and an app that has nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from scylla_store.contrib.celery.brokers import is_redis, tls_options
from scylla_store.contrib.celery.install import install
from scylla_store.errors import ConfigurationError
from scylla_store.logs import use_json
from scylla_store.settings.options import Settings

if TYPE_CHECKING:
    from celery import Celery

SOFT_SHUTDOWN = 5.0
"""Seconds that a worker has after SIGTERM (with REMAP_SIGTERM=SIGQUIT) to finish; then it gives back what it holds."""


def make_app(settings: Settings) -> Celery:
    """An app with our tasks and nothing else: what `celery -A tasks` and `scylla-store worker` run.

    Raises:
        ConfigurationError: there is no broker, or the environment names another one (CELERY_BROKER_URL).
    """
    if settings.celery.broker_url is None:
        raise ConfigurationError(
            "celery.broker_url is not set: without a broker documents are indexed inside the process that puts them, and "
            "there is nothing for a worker or beat to do. Set SCYLLA_STORE_CELERY__BROKER_URL=redis://…"
        )
    from celery import Celery

    app = Celery("scylla_store", set_as_current=False)
    configure_worker(app, settings)
    install(app, settings)
    _format_logs(settings)
    return app


def configure_worker(app: Celery, settings: Settings) -> None:
    """Sets on the app what a worker of our tasks should have. It holds for all tasks of the app."""
    celery = settings.celery
    app.conf.update(
        broker_url=celery.broker_url,
        result_backend=celery.result_backend,
        task_queues={
            name: {"exchange": name, "routing_key": name} for name in (celery.queue, celery.maintenance_queue)
        },
        task_default_queue=celery.queue,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_expires=3600,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=60,
        worker_soft_shutdown_timeout=SOFT_SHUTDOWN,
        worker_enable_soft_shutdown_on_idle=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A Redis that is full answers with such an error: the worker would end, and with exit code 0.
        broker_channel_error_retry=True,
        task_publish_retry=True,
        task_publish_retry_policy={"max_retries": 20, "interval_start": 0, "interval_step": 0.5, "interval_max": 3},
        broker_transport_options=_transport_options(settings),
        broker_use_ssl=None if celery.broker_url is None else tls_options(celery.tls, celery.broker_url),
        redis_backend_use_ssl=None if celery.result_backend is None else tls_options(celery.tls, celery.result_backend),
        result_backend_transport_options={"visibility_timeout": celery.visibility_timeout},
    )


def _transport_options(settings: Settings) -> dict[str, Any]:
    """For Redis: a lost worker's tasks are looked for every 5 s (it is every 100 s otherwise)."""
    celery = settings.celery
    if celery.broker_url is None or not is_redis(celery.broker_url):
        return {}
    return {
        "visibility_timeout": celery.visibility_timeout,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 5.0,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }


def _format_logs(settings: Settings) -> None:
    """Celery makes the handlers of a worker and of beat; JSON lines name the task that was running."""
    if settings.monitoring.log_format != "json":
        return
    from celery import signals

    def use(logger: logging.Logger, **_: Any) -> None:
        use_json(logger.handlers, RunningTask())

    signals.after_setup_logger.connect(use, weak=False)
    signals.after_setup_task_logger.connect(use, weak=False)


class RunningTask(logging.Filter):
    """Adds name and id of the task that is running to a record, and lets everything through."""

    def filter(self, record: logging.LogRecord) -> bool:
        from celery import current_task

        if current_task and current_task.request.id:
            record.task, record.task_id = current_task.name, current_task.request.id
        return True
