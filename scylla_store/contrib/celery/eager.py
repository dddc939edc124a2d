"""Which apps the tasks are installed on, and whether one of them runs tasks at once (`task_always_eager`, in tests)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from scylla_store.contrib.celery.names import SYNC_ITEMS
from scylla_store.settings.options import Settings

if TYPE_CHECKING:
    from celery import Celery

_installed: weakref.WeakKeyDictionary[Celery, Settings] = weakref.WeakKeyDictionary()


def remember(app: Celery, settings: Settings) -> None:
    """Notes that the tasks of this store are installed on the app."""
    _installed[app] = settings


def installed_settings(app: Celery) -> Settings | None:
    """The settings with which the tasks were installed on the app, or None."""
    return _installed.get(app)


def eager_task(settings: Settings) -> Any | None:
    """The sync task of an app with the same settings that runs its tasks eagerly, or None."""
    for app, known in list(_installed.items()):
        if known == settings and app.conf.task_always_eager:
            return app.tasks[SYNC_ITEMS]
    return None
