"""The connection of a process to the cluster: made lazily, kept per process, shared by its threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from scylla_store.database.cql.cluster import open_cluster, shut_down
from scylla_store.database.cql.errors import translated
from scylla_store.database.cql.nodes import SlowNodes
from scylla_store.database.cql.statements import migrations, qualified, statements
from scylla_store.errors import DatabaseUnavailable, SchemaMismatch, StoreClosed
from scylla_store.forks import follow

if TYPE_CHECKING:
    from cassandra.cluster import Cluster
    from cassandra.cluster import Session as DriverSession
    from cassandra.query import PreparedStatement

    from scylla_store.settings.options import DatabaseSettings

_inherited: list[object] = []


class Connection:
    """Opens, closes and forks. Safe to use from several threads."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.server = ", ".join(settings.contact_points)
        self._closed = False
        self._lock = threading.Lock()
        self._cluster: Cluster | None = None
        self._driver: DriverSession | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._serial = 0
        self._slow = SlowNodes()
        follow(self)

    def connect(self) -> None:
        """Connects if needed; raises DatabaseUnavailable, SchemaMismatch or ConfigurationError."""
        if self._driver is not None:
            return
        if not self._lock.acquire(timeout=self.settings.connect_timeout):
            raise DatabaseUnavailable(
                f"The database ({self.server}) has not let another thread of this process connect yet"
            )
        try:
            self._check_open()
            if self._driver is None:
                self._open()
                self._check_open()
        except StoreClosed:  # by another thread, while this one connected
            self.disconnect()
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends within 2 s; a session that was closed stays closed."""
        self._closed = True
        self.disconnect()

    def disconnect(self) -> None:
        """Ends the connections; the next request makes new ones."""
        cluster, self._cluster, self._driver = self._cluster, None, None
        if cluster is not None:
            shut_down(cluster)

    def hosts(self) -> list[Any]:
        """The nodes that this process is connected to."""
        self.connect()
        return list(self.driver.get_pool_state())

    def others(self) -> list[Any]:
        """The nodes that this process is connected to and that are not slow."""
        return [host for host in self.hosts() if host not in self._slow]

    def note_slow(self, host: Any) -> None:
        """Another node is asked first for a while."""
        self._slow.note(host)

    def known(self) -> list[Any]:
        """All nodes of the cluster, those of other data centres and those that are down included."""
        self.connect()
        cluster = self._cluster
        return [] if cluster is None else list(cluster.metadata.all_hosts())

    def unreachable(self) -> list[Any]:
        """The nodes of the cluster that the driver takes for down."""
        return [host for host in self.known() if host.is_up is False]

    @property
    def driver(self) -> DriverSession:
        """The driver's session, connected."""
        self.connect()
        driver = self._driver
        if driver is None:
            raise StoreClosed
        return driver

    @property
    def serial(self) -> int:
        """The consistency that settles conditional writes, for a statement that reads."""
        self.connect()
        return self._serial

    def open_without_schema(self) -> tuple[Cluster, DriverSession]:
        """A connection of its own that needs neither keyspace nor tables, for setup; the caller shuts it down."""
        self._check_open()
        with translated(self.server, write=False):
            return open_cluster(self.settings)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed

    def _open(self) -> None:
        from cassandra.cluster import EXEC_PROFILE_DEFAULT
        from cassandra.query import BatchStatement, BatchType, BoundStatement

        with translated(self.server, write=False):
            cluster, driver = open_cluster(self.settings, self._slow)
            try:
                driver.set_keyspace(self.settings.keyspace)
                self._check_schema(driver)
                self._prepared = _prepared(driver, self.settings.keyspace)
            except BaseException:
                shut_down(cluster)
                raise
        self._bound_statement, self._batch_statement, self._batch_type = BoundStatement, BatchStatement, BatchType
        self._default = EXEC_PROFILE_DEFAULT
        self._serial = cluster.profile_manager.default.serial_consistency_level
        self._cluster, self._driver = cluster, driver

    def _check_schema(self, driver: DriverSession) -> None:
        rows = driver.execute(statements()["applied_migrations"].cql, timeout=self.settings.connect_timeout)
        check_version(max((row[0] for row in rows), default=0))

    def after_fork(self) -> None:
        """Starts again without a connection, in a child process. What the parent had stays untouched: its sockets are in use there."""
        if self._cluster is not None:
            from cassandra import cluster as driver_cluster

            _inherited.append((self._cluster, self._driver))
            forget = getattr(driver_cluster, "_discard_cluster_shutdown", None)
            if forget is not None:
                forget(self._cluster)
        self._lock = threading.Lock()
        self._cluster = self._driver = None


def check_version(applied: int, *, incomplete: bool = False) -> None:
    """Raises SchemaMismatch unless the schema is the one that this code needs (or an older one, if `incomplete` is fine)."""
    needed = len(migrations())
    if applied > needed:
        raise SchemaMismatch(
            f"The schema has version {applied}, this version of the library knows {needed}: install a newer one"
        )
    if applied < needed and not incomplete:
        raise SchemaMismatch(
            f"The schema has version {applied}, this version of the library needs {needed}: run `scylla-store setup`"
        )


def _prepared(driver: DriverSession, keyspace: str) -> dict[str, PreparedStatement]:
    prepared = {}
    for statement in statements().values():
        prepared[statement.name] = driver.prepare(qualified(statement.cql, keyspace))
        prepared[statement.name].is_idempotent = statement.is_quick
    return prepared
