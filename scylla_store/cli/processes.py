"""Commands that run Celery with the ready-made app."""

from __future__ import annotations

import os
from typing import NoReturn

import click

from scylla_store.cli.invocation import Invocation, common_options
from scylla_store.errors import ConfigurationError

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


@click.command(context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@common_options
@click.pass_obj
def worker(call: Invocation, arguments: tuple[str, ...]) -> None:
    """Run a Celery worker that indexes documents.

    ARGUMENTS go to `celery worker` (such as --concurrency 4 or --loglevel info). SIGTERM lets it finish or give back what
    it holds.
    """
    _run(call, "worker", arguments)


@click.command(context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@common_options
@click.pass_obj
def beat(call: Invocation, arguments: tuple[str, ...]) -> None:
    """Run Celery beat, which sends what is due to the workers again.

    One is enough, a second one does no harm. ARGUMENTS go to `celery beat`.
    """
    _run(call, "beat", arguments)


def _run(call: Invocation, role: str, arguments: tuple[str, ...]) -> NoReturn:
    """Goes on as Celery, in this process. Not by `celery -A tasks`: a user's project may have a `tasks` of its own."""
    settings = call.settings()
    if settings.celery.broker_url is None:
        raise ConfigurationError(
            f"There is no {role} to run: without celery.broker_url every process indexes what is written to its folder by "
            "itself. For Celery set SCYLLA_STORE_CELERY__BROKER_URL=redis://host:6379/0, database.contact_points and index.url"
        )
    # Celery reads it when it is imported: SIGTERM then ends a worker softly.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    from scylla_store.contrib.celery import make_app

    raise SystemExit(make_app(settings).start([role, *arguments]) or 0)
