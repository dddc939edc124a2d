"""Celery: the tasks that bring documents to the index, for any Celery app."""

from scylla_store.contrib.celery.app import configure_worker, make_app
from scylla_store.contrib.celery.dispatcher import CeleryDispatcher
from scylla_store.contrib.celery.install import install

__all__ = ["CeleryDispatcher", "configure_worker", "install", "make_app"]
