"""Heartbeats of worker processes: a thread in each, so that one which has nothing to do, or too much, is seen too."""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scylla_store.contrib.celery.processes import ProcessStore
from scylla_store.errors import StoreError
from scylla_store.heartbeats import EVERY

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

_ENDING = 0.5


class HeartThread:
    """Gives a sign of life of this process every 5 s, from `start()` until `stop()`."""

    def __init__(self, stores: ProcessStore) -> None:
        self._stores = stores
        self._pid: int | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread of this process unless it runs."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="scylla-store-heart", daemon=True)
        self._thread.start()
        # A threads or solo pool that is stopped cold announces nothing, but its process ends as others do.
        atexit.register(self.stop)

    def stop(self) -> None:
        """Ends it and takes the process off the list; nothing happens where it does not run."""
        if self._pid != os.getpid() or self._thread is None:
            return
        self._pid = None
        atexit.unregister(self.stop)
        self._stopped.set()
        self._thread.join(_ENDING)

    def _run(self, stopped: threading.Event) -> None:
        failing = False
        # Processes that start together do not beat together.
        while not stopped.wait(EVERY * random.uniform(0.5, 1.0)):
            try:
                self._stores.store.parts.heart.beat()
                failing = False
            except StoreError as exc:
                log.log(logging.DEBUG if failing else logging.WARNING, "No sign of life can be given: %s", exc)
                failing = True
            except Exception:
                log.exception("No sign of life can be given")
        with suppress(StoreError):
            self._stores.store.parts.heart.stop()


def beat_with(app: Celery, heart: HeartThread) -> None:
    """Starts the heart in the processes of this app's workers that run tasks: in the children of the prefork pool, else in
    the worker itself."""
    from celery import current_app, signals

    def in_child(**_: Any) -> None:
        if current_app == app:
            heart.start()

    def in_worker(sender: Any, **_: Any) -> None:
        if sender.app is app and not type(sender.pool).__module__.endswith(".prefork"):
            heart.start()

    signals.worker_process_init.connect(in_child, weak=False)
    signals.worker_ready.connect(in_worker, weak=False)
