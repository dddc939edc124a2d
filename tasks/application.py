"""The app that Celery's programs load."""

from scylla_store.contrib.celery import make_app
from scylla_store.settings import load

app = make_app(load())
