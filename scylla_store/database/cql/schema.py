"""Keyspace and migrations."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from scylla_store.clock import SECOND, Clock
from scylla_store.database.cql.cluster import shut_down
from scylla_store.database.cql.connection import check_version
from scylla_store.database.cql.errors import translated
from scylla_store.database.cql.session import Session
from scylla_store.database.cql.statements import bootstrap, migrations, statements
from scylla_store.errors import ConfigurationError, DatabaseUnavailable, SchemaMismatch, TransientError

if TYPE_CHECKING:
    from cassandra.cluster import Session as DriverSession

    from scylla_store.settings.options import DatabaseSettings

log = logging.getLogger(__name__)

_LOCK = "migrations"
_KNOWS_TABLETS = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system' AND table_name = 'tablets'"
_PATIENCE = 0.2


def setup(session: Session, clock: Clock) -> None:
    """Makes the keyspace and applies the missing migrations under a lock; several at once are fine.

    What fails for now is tried again for `database.ddl_timeout`: the nodes of a cluster that starts do not know each other yet.
    """
    cluster, driver = session.open_without_schema()
    attempt = _Setup(driver, session.settings, clock)
    deadline = time.monotonic() + session.settings.ddl_timeout
    try:
        while not _try(attempt, session.server, deadline):
            time.sleep(_PATIENCE)
    finally:
        shut_down(cluster)


def _try(attempt: _Setup, server: str, deadline: float) -> bool:
    """False when it may succeed in a moment: too few nodes answer, or the server does not know yet what another setup makes
    at this moment, although it lists it already."""
    try:
        with translated(server, write=True):
            attempt.run()
    except SchemaMismatch as exc:
        if exc.__cause__ is None or time.monotonic() > deadline:
            raise
        return False
    except TransientError as exc:
        if time.monotonic() > deadline:
            raise
        log.warning("The setup is tried again: %s", exc)
        return False
    return True


class _Setup:
    def __init__(self, driver: DriverSession, settings: DatabaseSettings, clock: Clock) -> None:
        self._driver = driver
        self._settings = settings
        self._clock = clock
        self._owner = uuid.uuid4().hex

    def run(self) -> None:
        if not self._exists("keyspaces"):
            self._execute(f'CREATE KEYSPACE IF NOT EXISTS "{self._settings.keyspace}" WITH {self._keyspace_options()}')
        self._driver.set_keyspace(self._settings.keyspace)
        if not self._exists("tables", "migrations"):
            for statement in bootstrap():
                self._execute(statement)
        check_version(self._version(), incomplete=True)
        if self._version() < len(migrations()):
            self._lock()
            try:
                self._migrate()
            finally:
                self._execute(
                    "UPDATE leases SET owner = null, expires_at = null WHERE name = %s IF owner = %s",
                    _LOCK,
                    self._owner,
                )

    def _migrate(self) -> None:
        for version in range(self._version(), len(migrations())):
            for statement in migrations()[version]:
                self._execute(statement)
            self._execute(statements()["record_migration"].cql.replace("?", "%s"), version + 1, self._clock())

    def _version(self) -> int:
        return max((row[0] for row in self._execute(statements()["applied_migrations"].cql)), default=0)

    def _lock(self) -> None:
        """Takes the lock, or waits until it is given back or has expired."""
        deadline = time.monotonic() + 2 * self._settings.ddl_timeout
        while not self._take():
            if time.monotonic() > deadline:
                raise DatabaseUnavailable("Another setup holds the lock of the migrations; try again when it has ended")
            time.sleep(_PATIENCE)

    def _take(self) -> bool:
        lifetime = int(self._settings.ddl_timeout * (1 + sum(map(len, migrations()))))
        take = f"UPDATE leases USING TTL {lifetime} SET owner = %s, expires_at = %s WHERE name = %s IF owner = null"
        [row] = self._execute(take, self._owner, self._clock() + lifetime * SECOND, _LOCK)
        return bool(row[0]) or self._owner in row  # the driver may have sent it twice

    def _exists(self, kind: str, table: str | None = None) -> bool:
        if table is None:
            return bool(
                self._execute(
                    f"SELECT keyspace_name FROM system_schema.{kind} WHERE keyspace_name = %s", self._settings.keyspace
                )
            )
        query = f"SELECT table_name FROM system_schema.{kind} WHERE keyspace_name = %s AND table_name = %s"
        return bool(self._execute(query, self._settings.keyspace, table))

    def _keyspace_options(self) -> str:
        options = f"replication = {{'class': 'NetworkTopologyStrategy', {replication(self._settings.replication)}}}"
        if self._execute(_KNOWS_TABLETS):
            options += f" AND tablets = {{'enabled': {str(self._settings.tablets).lower()}}}"
        return options

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        return list(self._driver.execute(statement, values or None, timeout=self._settings.ddl_timeout))


def replication(setting: str) -> str:
    """Options of NetworkTopologyStrategy; raises ConfigurationError.

    >>> replication("3"), replication("dc1:3,dc2:2")
    ("'replication_factor': 3", "'dc1': 3, 'dc2': 2")
    """
    if setting.strip().isdigit() and int(setting) > 0:
        return f"'replication_factor': {int(setting)}"
    options = []
    for part in setting.split(","):
        name, _, number = part.strip().rpartition(":")
        if not name or not number.isdigit() or "'" in name:
            raise ConfigurationError(
                f"database.replication: {setting!r} is neither a number nor of the form 'dc1:3,dc2:3'"
            )
        options.append(f"'{name}': {int(number)}")
    return ", ".join(options)
