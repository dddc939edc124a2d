"""Of a store: made lazily, started at first use, closed once, refused afterwards."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TypeVar

from scylla_store.errors import ConfigurationError, StoreClosed
from scylla_store.forks import follow
from scylla_store.receipts import Receipt, wait_for
from scylla_store.wiring import Parts

Store = TypeVar("Store", bound="Lifecycle")


class Lifecycle:
    """What `with` does, and what may be used when."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ready = False
        self._closed = False
        self._lock = threading.RLock()
        follow(self)

    def after_fork(self) -> None:
        """See `scylla_store.forks`."""
        self._lock = threading.RLock()

    @property
    def parts(self) -> Parts:
        """The collaborators, for the task layer and for tests."""
        self._check_open()
        return self._parts

    def close(self) -> None:
        """Ends within 2 s and leaves nothing behind; twice is fine. What was not published is in the outbox."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._parts.close()

    def __enter__(self: Store) -> Store:
        self._check_open()
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_for(self, receipts: list[Receipt], timeout: float) -> None:
        """Returns when these writes are searchable; see `Receipt.wait`."""
        wait_for(receipts, timeout)

    def _started(self) -> Parts:
        if not self._ready:
            self._start()
        self._check_open()
        return self._parts

    def _start(self) -> None:
        with self._lock:
            self._check_open()
            _refuse_gevent()
            self._parts.start()
            self._ready = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("The store is closed; make a new one")


def _refuse_gevent() -> None:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise ConfigurationError(
            "scylla_store blocks in real threads and does not work under gevent's monkey patches; use gthread workers"
        )
