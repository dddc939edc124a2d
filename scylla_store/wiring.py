"""From settings to collaborators. The only module that knows every variant; each is imported when it is chosen."""

from __future__ import annotations

import importlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from scylla_store.belonging import made_store_id, store_id
from scylla_store.breakers import Breaker, BreakingEmbedder, BreakingIndex
from scylla_store.clock import SECOND, Clock, VersionClock, system_clock
from scylla_store.conditional import ConditionalWriter
from scylla_store.coverage import Coverage
from scylla_store.database.base import Database
from scylla_store.dispatch import Dispatcher
from scylla_store.drain import Drain
from scylla_store.embedders.base import Embedder, EmbedFunction
from scylla_store.engine import Engine
from scylla_store.errors import ConfigurationError, EmbedderUnavailable, IndexUnavailable, StoreClosed
from scylla_store.executor import InProcessExecutor
from scylla_store.finding import Finder
from scylla_store.heartbeats import Heart
from scylla_store.index.base import Index, IndexSpecification
from scylla_store.monitoring import Metrics
from scylla_store.points import Recipe
from scylla_store.pressure import Pressure
from scylla_store.publisher import Publisher
from scylla_store.reads import Reader
from scylla_store.reconcile import Rebuild, Reconciler
from scylla_store.registry import Registry
from scylla_store.search import Searcher
from scylla_store.settings.options import Settings
from scylla_store.skew import SkewGuard
from scylla_store.sync import Sync
from scylla_store.updates import Updater
from scylla_store.worker import Worker
from scylla_store.writes import Writer

log = logging.getLogger(__name__)

_MAKING = 0.1
"""Seconds that `close` waits for a part that is just being made."""

T = TypeVar("T")


class made_once(Generic[T]):
    """A property whose value is made when it is first used, once however many threads want it.

    `functools.cached_property` makes it several times since Python 3.12: a second index would find its folder taken, and
    a second connection would never be closed. Each part has a lock of its own, so that a model which loads for long holds
    nobody up who needs the database only.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, parts: None, owner: type) -> made_once[T]: ...
    @overload
    def __get__(self, parts: Parts, owner: type) -> T: ...
    def __get__(self, parts: Parts | None, owner: type) -> T | made_once[T]:
        if parts is None:
            return self
        with parts.lock_of(self._name):
            if self._name not in parts.__dict__:
                parts.refuse_if_closed()
                parts.__dict__[self._name] = self._make(parts)
        value: T = parts.__dict__[self._name]
        return value


class Parts:
    """The collaborators of one store, each made when it is first used. What was passed in is not closed here."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        index: Index | None = None,
        embedder: Embedder | EmbedFunction | None = None,
        dispatcher: Dispatcher | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.settings = settings
        self.clock = VersionClock(clock)
        # A machine's clock may step; one that was given is set by a test, which then sets this one too.
        self._seconds = time.monotonic if clock is system_clock else lambda: clock() / SECOND
        self._given_database = database
        self._given_index = index
        self._given_embedder = embedder
        self._given_dispatcher = dispatcher
        self._locks: dict[tuple[int, str], threading.RLock] = {}
        self._index_opened_in: int | None = None
        self._closed = False
        self.reconciles_by_itself = True

    @property
    def is_embedded(self) -> bool:
        """Whether the index is a folder that one process owns."""
        return self._given_index is None and self.settings.index.url is None

    @property
    def has_workers(self) -> bool:
        """Whether Celery workers index, and beat starts the drains."""
        return self.settings.celery.broker_url is not None

    @made_once
    def database(self) -> Database:
        if self._given_database is not None:
            return self._given_database
        if self.settings.database.contact_points:
            from scylla_store.database.cql import ScyllaDB

            return ScyllaDB(self.settings.database)
        from scylla_store.database.sqlite import SQLite

        return SQLite(Path(self.settings.path), timeout=self.settings.database.timeout)

    @made_once
    def index(self) -> BreakingIndex:
        return BreakingIndex(self._own_index() if self._given_index is None else self._given_index, self.index_breaker)

    def _own_index(self) -> Index:
        if self.settings.index.url is not None:
            from scylla_store.index.server import QdrantServer

            return QdrantServer(self.settings.index, store=lambda: store_id(self.database))
        from scylla_store.index.edge import QdrantEdge

        return QdrantEdge(Path(self.settings.path))

    @made_once
    def embedder(self) -> BreakingEmbedder:
        from scylla_store.embedders import GuardedEmbedder, load_embedder

        given = self._given_embedder
        settings = self.settings.embedder
        guarded = GuardedEmbedder(load_embedder(settings) if given is None else given, settings)
        return BreakingEmbedder(guarded, self.embedder_breaker)

    @made_once
    def index_breaker(self) -> Breaker:
        return self._breaker("index", "The vector index", IndexUnavailable)

    @made_once
    def embedder_breaker(self) -> Breaker:
        return self._breaker("embedder", "The embedder", EmbedderUnavailable)

    @property
    def breakers(self) -> tuple[Breaker, ...]:
        """Those of this process."""
        return self.index_breaker, self.embedder_breaker

    @made_once
    def heart(self) -> Heart:
        return Heart(self.database, self.clock.now, self.guard, self.breakers)

    def _breaker(self, name: str, what: str, unavailable: type[IndexUnavailable | EmbedderUnavailable]) -> Breaker:
        def notice(event: str) -> None:
            self.metrics.count(f"breaker.{name}.{event}")

        return Breaker(name, what, unavailable, self.settings.breaker, self._seconds, notice)

    @made_once
    def metrics(self) -> Metrics:
        return Metrics(self.settings.monitoring)

    @made_once
    def dispatcher(self) -> Dispatcher:
        if self._given_dispatcher is not None:
            return self._given_dispatcher
        if self.settings.celery.broker_url is not None:
            from scylla_store.contrib.celery.dispatcher import CeleryDispatcher

            return CeleryDispatcher(self.settings)
        return InProcessExecutor(lambda: Engine(self))

    @made_once
    def guard(self) -> SkewGuard:
        return SkewGuard(self.database, self.settings.clock, self.clock.now)

    @made_once
    def publisher(self) -> Publisher:
        return Publisher(self.dispatcher, self.settings.publisher)

    @made_once
    def registry(self) -> Registry:
        return Registry(self.database, self.clock.now, self._seconds)

    @made_once
    def recipe(self) -> Recipe:
        index = self.settings.index
        return Recipe(self.embedder.name, self.settings.chunking, index.fields, index.range_fields)

    @property
    def specification(self) -> IndexSpecification:
        return IndexSpecification(
            self.embedder.dimensions, self.embedder.name, ranges=len(self.settings.index.range_fields)
        )

    @made_once
    def sync(self) -> Sync:
        return Sync(self.database, self.index, self.embedder, self.recipe, self.settings, self.clock.now)

    @made_once
    def worker(self) -> Worker:
        return Worker(self.sync, self.database, self.clock, self.settings.sync, random.random, self.guard.check)

    @made_once
    def drain(self) -> Drain:
        return Drain(
            self.database, self.dispatcher, self.settings, self.clock.now, self.guard.check,
            alone=self.is_embedded and not self.has_workers,
        )  # fmt: skip

    @made_once
    def reconciler(self) -> Reconciler:
        return Reconciler(
            self.database, self.index, self.recipe, self.registry, self.settings, self.clock, self.guard.check,
            metrics=self.metrics,
        )  # fmt: skip

    @made_once
    def rebuild(self) -> Rebuild:
        return Rebuild(self.database, self.clock.now)

    @made_once
    def coverage(self) -> Coverage:
        return Coverage(self.index, self.settings.index.range_fields, self.clock.now, self.rebuild.epoch)

    @made_once
    def writer(self) -> Writer:
        return Writer(self.database, self.publisher, self.registry, self.guard, self.clock, self.settings, self.encoder)

    @made_once
    def conditional(self) -> ConditionalWriter:
        return ConditionalWriter(
            self.database, self.publisher, self.registry, self.guard, self.clock, self.settings,
            patience=self.writer.patience,
        )  # fmt: skip

    @made_once
    def updater(self) -> Updater:
        return Updater(self.writer, self.conditional)

    @made_once
    def pressure(self) -> Pressure:
        return Pressure(self.database, self.settings, self.clock.now, counts=self.is_embedded)

    @made_once
    def reader(self) -> Reader:
        return Reader(self.database, self.publisher, self.clock, self.settings, self.guard.check)

    @made_once
    def searcher(self) -> Searcher:
        return Searcher(
            self.reader, self.index, self.embedder, self.clock, self.open_index, self.coverage, self.rebuild.is_on,
            self.metrics, self.settings,
        )  # fmt: skip

    @made_once
    def finder(self) -> Finder:
        return Finder(
            self.reader, self.index, self.clock, self.open_index, self.coverage, self.rebuild.is_on, self.metrics,
            self.settings,
        )  # fmt: skip

    @made_once
    def encoder(self) -> Callable[[Any], Any] | None:
        encoder = self.settings.encoder
        if isinstance(encoder, str):
            loaded: Callable[[Any], Any] = load_dotted(encoder, "encoder")
            return loaded
        return encoder

    def open_index(self) -> None:
        """Opens the index; an embedded one is made when it is missing. EmbeddedIndexBusy while another process owns it."""
        if self._index_opened_in == os.getpid():
            return
        with self.lock_of("open_index"):
            self.index.connect()
            if self.is_embedded:
                self.set_up_index()
            self._index_opened_in = os.getpid()

    def set_up_index(self) -> None:
        """Makes what is missing of the index. One that is new beside documents is rebuilt, and searches say so meanwhile.

        They say so from before it is made: whoever is killed in between leaves an index that nobody would take for new.
        ClockSkew when one has to be made and this machine's clock is refused: since when it is rebuilt would be wrong.
        """
        specification = replace(self.specification, store=self._own_id())
        is_new = not self.index.exists()
        if is_new:
            self.guard.check()
        is_rebuilt = is_new and self.rebuild.begin_if_documents()
        if is_new:
            self.rebuild.set_up()
        self.index.setup(specification)
        if is_rebuilt:
            log.warning("The index was made anew, and there are documents: a reconciliation will rebuild it.")

    def _own_id(self) -> str | None:
        """What the collection knows this store by; none where database and index are one folder, which no other store has."""
        is_one_folder = self.is_embedded and self._given_database is None and not self.settings.database.contact_points
        return None if is_one_folder else made_store_id(self.database)

    def start(self) -> None:
        """Embedded mode says so, and starts to index what an earlier process left."""
        if isinstance(self.dispatcher, InProcessExecutor):
            log.info("No celery.broker_url is set: this process itself indexes, in the background.")
            self.dispatcher.start()
        if self.is_embedded and not self.settings.database.contact_points:
            log.info("Embedded mode: database and index are in the folder %s, for one machine.", self.settings.path)

    def close(self) -> None:
        """Closes what was made here, in the order of the data flow, also when one of them fails to.

        What a thread in the background makes meanwhile is closed too, and from then on nothing is made any more.
        """
        self._closed = True
        with ExitStack() as stack:
            for name in ("metrics", "database", "index", "embedder", "dispatcher", "publisher"):
                stack.callback(self._close_part, name)

    def _close_part(self, name: str) -> None:
        lock = self.lock_of(name)
        if lock.acquire(timeout=_MAKING):  # or it is being made: by code of the application that takes long
            lock.release()
        made = self.__dict__.get(name)
        # An embedder that was given is guarded here, and the guard's threads are ours.
        if made is not None and (name == "embedder" or getattr(self, f"_given_{name}", None) is None):
            made.close()

    def refuse_if_closed(self) -> None:
        """Raises StoreClosed after `close`."""
        if self._closed:
            raise StoreClosed

    def lock_of(self, what: str) -> threading.RLock:
        """This process's lock of one part: one that a thread held during a fork would stay held in the child for ever."""
        return self._locks.setdefault((os.getpid(), what), threading.RLock())


def load_dotted(path: str, option: str) -> Any:
    """The object of 'package.module:attribute'; raises ConfigurationError naming the option."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError(f"{option} = {path!r} cannot be loaded: {exc}") from exc
