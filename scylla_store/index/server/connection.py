"""The connection of a process to the server: made lazily, kept per process, shared by its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from scylla_store.belonging import check_owner
from scylla_store.errors import IndexRefused, IndexUnavailable, StoreClosed
from scylla_store.forks import follow
from scylla_store.index.server.errors import translated
from scylla_store.settings.masking import masked
from scylla_store.settings.options import IndexSettings

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

T = TypeVar("T")

_inherited: list[object] = []


class Connection:
    """Runs requests. Safe to use from several threads, and in a child after a fork."""

    def __init__(self, settings: IndexSettings, store: Callable[[], str | None] | None) -> None:
        self.settings = settings
        self._store = store
        self.server = f"{masked(settings.url or '')}, collection {settings.collection!r}"
        self._closed = False
        self._lock = threading.Lock()
        self._client: QdrantClient | None = None
        self._found: models.CollectionInfo | None = None
        follow(self)

    def connect(self) -> None:
        """Connects if needed; raises IndexUnavailable, IndexThrottled or ConfigurationError."""
        if self._client is not None:
            return
        if not self._lock.acquire(timeout=self.settings.timeout):
            raise IndexUnavailable(f"The vector index ({self.server}) has not let another thread connect yet")
        try:
            if self._closed:
                raise StoreClosed
            if self._client is None:
                self._open()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends at once; a connection that was closed stays closed."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def call(self, request: Callable[[QdrantClient], T]) -> T:
        """What a request to the collection returns, which is looked at before the first one; its failure is raised as an
        error of ours. CollectionMismatch when it belongs to another store."""
        self._collection()
        return self.ask(request)

    def ask(self, request: Callable[[QdrantClient], T]) -> T:
        """The same for a request that may find no collection, or another's."""
        self.connect()
        client = self._client
        if client is None:
            raise StoreClosed
        try:
            with translated(self.server):
                return request(client)
        except (IndexRefused, IndexUnavailable) as exc:
            self._found = None  # the collection may have been made anew
            if self._closed:
                raise StoreClosed from exc
            raise

    def dimensions(self) -> int:
        """The size of the collection's vectors."""
        from scylla_store.index.server.collection import dimensions_of

        size = dimensions_of(self._collection())
        if size is None:
            raise IndexUnavailable(f"The vector index ({self.server}) is not ours; run `scylla-store setup`")
        return size

    def _collection(self) -> models.CollectionInfo:
        """What the server says of it, read once, and anew after a failure. As long as it belongs to nobody, somebody may take it."""
        from scylla_store.index.server.collection import owner_of

        found = self._found
        if found is None:
            found = self._ask_for_collection()
            owner = owner_of(found)
            if owner is not None:
                if self._store is not None:
                    check_owner(f"The collection {self.settings.collection!r}", owner, self._store())
                self._found = found
        return found

    def _ask_for_collection(self) -> models.CollectionInfo:
        try:
            return self.ask(lambda client: client.get_collection(self.settings.collection))
        except AssertionError as exc:  # what the client says to an empty answer
            raise IndexUnavailable(f"The vector index ({self.server}) gave not the answer of a Qdrant server") from exc

    def _open(self) -> None:
        from scylla_store.index.server.client import check_version, open_client

        with translated(self.server):
            client = open_client(self.settings)
            try:
                check_version(client, self.server)
            except BaseException:
                client.close()
                raise
        self._client = client

    def after_fork(self) -> None:
        """Starts again without a connection, in a child process: the parent's sockets are in use there, and stay untouched."""
        if self._client is not None:
            _inherited.append(self._client)
        self._lock = threading.Lock()
        self._client = None
