"""One call of the command line: its common options, its settings, its store."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from scylla_store.cli.arguments import parse_assignment
from scylla_store.cli.output import Output
from scylla_store.intents import Ref
from scylla_store.logs import use_json
from scylla_store.monitoring import start_sentry
from scylla_store.settings.loading import Loaded
from scylla_store.settings.options import Settings
from scylla_store.store import ScyllaStore

_POLL = 0.1
_STALLED = 5.0
"""Seconds without a change after which waiting for the index makes no sense: what is left waits for a retry."""

_DRAINS = 2.5
"""On a cluster the figures are those of the last drain: so many drains without a change, if that is longer."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Invocation:
    """The options that every command takes, before or after its name."""

    path: str | None = None
    settings_file: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    as_json: bool = False

    @property
    def output(self) -> Output:
        return Output(self.as_json)

    def overrides(self) -> dict[str, Any]:
        """Keyword arguments of `scylla_store.settings.load`."""
        chosen: dict[str, Any] = dict(self.options)
        if self.path is not None:
            chosen["path"] = self.path
        if self.settings_file is not None:
            chosen["settings_file"] = self.settings_file
        return chosen

    def settings(self) -> Settings:
        """The effective settings; ConfigurationError when they are wrong."""
        from scylla_store.settings import load

        settings: Settings = load(**self.overrides())
        if settings.monitoring.log_format == "json":
            use_json(logging.getLogger().handlers)
        return settings

    def loaded(self) -> Loaded:
        """The effective settings and the origin of each."""
        from scylla_store.settings import load_with_origins

        return load_with_origins(**self.overrides())

    @contextmanager
    def store(self, *, indexes: bool = False, reconciles: bool = True) -> Iterator[ScyllaStore]:
        """The store of this call. Errors that are logged while it is open are events of Sentry, if there is a DSN.

        Args:
            indexes: whether this process indexes what is pending while it runs, where no Celery workers do.
            reconciles: whether it then also compares documents and index by itself.
        """
        settings = self.settings()
        start_sentry(settings.monitoring)
        idle = None if indexes or settings.celery.broker_url is not None else LeftToOutbox()
        store = ScyllaStore(settings, dispatcher=idle)
        store.parts.reconciles_by_itself = reconciles
        with store:
            yield store


class LeftToOutbox:
    """The dispatcher of a command that ends at once: a running process, or the next one, indexes what it wrote."""

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        """Nothing to do: the outbox has the refs."""

    def backlog(self) -> None:
        return None

    def close(self) -> None:
        """Nothing to close."""


def wait_for_index(
    store: ScyllaStore,
    seconds: float,
    report: Callable[[int], None] | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Waits until nothing is pending; returns how many writes still are, when the time is over or nothing moves any more.

    On a cluster, where each drain counts anew, nothing moves when two drains saw the same. While this process itself is at
    work something moves: a slow model, or one that is being loaded, may take longer than any pause between two retries.

    Args:
        seconds: longest wait.
        report: called with the pending writes at every look.
        sleep, monotonic: for waiting.
    """
    begun = moved_at = monotonic()
    deadline = begun + seconds
    drains = 0.0 if store.parts.is_embedded else _DRAINS * store.settings.celery.drain_interval
    pending = _pending(store, monotonic() - begun)
    while pending and monotonic() < min(deadline, moved_at + max(_STALLED, drains)):
        sleep(min(_POLL, seconds))
        before, pending = pending, _pending(store, monotonic() - begun)
        if pending != before or getattr(store.parts.dispatcher, "is_at_work", False):
            moved_at = monotonic()
        if report is not None:
            report(pending)
    return pending


def _pending(store: ScyllaStore, waited: float) -> int:
    """As the last drain saw it; counted when that was before the wait begun and saw nothing, because it knows nothing of these."""
    status = store.status()
    is_older = status.age_seconds is None or status.age_seconds > waited
    return store.status(exact=True).pending if is_older and not status.pending else status.pending


def common_options(command: Command) -> Command:
    """Lets a command take the common options after its name too; its help shows `--json` only."""
    for option in _OPTIONS:
        command = option(command)
    return command


def group_options(command: Command) -> Command:
    """The common options with their help, for the program itself."""
    for option in _GROUP_OPTIONS:
        command = option(command)
    return command


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    call = ctx.ensure_object(Invocation)
    if param.name == "options":
        call.options.update(parse_assignment(text) for text in value)
    elif value:
        setattr(call, str(param.name), value)


def _common(*names: str, **arguments: Any) -> Callable[[Command], Command]:
    return click.option(*names, expose_value=False, callback=_remember, **arguments)


def _make(hidden: bool) -> list[Callable[[Any], Any]]:
    return [
        _common("--json", "as_json", is_flag=True, help="Print JSON."),
        _common(
            "-o",
            "--option",
            "options",
            multiple=True,
            metavar="SECTION.NAME=VALUE",
            hidden=hidden,
            help="Set an option, such as database.keyspace=shop; may be repeated.",
        ),
        _common("--settings-file", metavar="FILE", hidden=hidden, help="Read settings from this file."),
        _common("--path", metavar="FOLDER", hidden=hidden, help="Folder of the embedded database and index."),
    ]


_OPTIONS = _make(hidden=True)
_GROUP_OPTIONS = _make(hidden=False)
