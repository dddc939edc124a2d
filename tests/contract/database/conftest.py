"""The three databases: the stub, SQLite and a real CQL server with one keyspace for all tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from scylla_store.database.base import Database
from scylla_store.database.memory import MemoryDatabase
from scylla_store.database.sqlite import SQLite
from scylla_store.settings.options import DatabaseSettings
from tests.contract.database.subject import ShiftedClock, Subject

KINDS = ("memory", "sqlite", "cassandra")


@pytest.fixture(scope="session")
def cassandra_subject(cassandra: str) -> Iterator[Subject]:
    """A keyspace takes seconds to make, so tests share one: they use names of their own."""
    from scylla_store.database.cql import ScyllaDB

    settings = DatabaseSettings(contact_points=(cassandra,), keyspace=f"contract_{uuid.uuid4().hex[:8]}")
    clock = ShiftedClock()
    with ExitStack() as stack:

        def open_() -> Database:
            database = ScyllaDB(settings, clock=clock)
            stack.callback(database.close)
            return database

        database = open_()
        database.setup()
        plain = stack.enter_context(_plain_session(cassandra, settings.keyspace))

        def empty_outbox() -> None:
            for table in ("outbox", "outbox_slots"):
                plain.execute(f"TRUNCATE {table}", timeout=60)
            database.outbox.summary(1)  # sets the watermark, as setup does

        yield Subject("cassandra", database, open_, empty_outbox, clock, has_own_clock=True, has_one_writer=False)


@contextmanager
def _plain_session(contact: str, keyspace: str) -> Iterator[Any]:
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import RoundRobinPolicy

    host, _, port = contact.partition(":")
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy())
    cluster = Cluster([host], port=int(port), protocol_version=4, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    try:
        yield cluster.connect(keyspace)
    finally:
        cluster.shutdown()


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A database that is set up."""
    if request.param == "cassandra":
        yield request.getfixturevalue("cassandra_subject")
        return
    clock = ShiftedClock()
    with ExitStack() as stack:

        def open_() -> Database:
            is_memory = request.param == "memory"
            database = MemoryDatabase(clock=clock) if is_memory else SQLite(tmp_path, timeout=5.0, clock=clock)
            stack.callback(database.close)
            return database

        database = open_()
        database.setup()
        is_sqlite = request.param == "sqlite"
        yield Subject(
            request.param, database, open_, lambda: None, clock, has_own_clock=False, has_one_writer=is_sqlite
        )


@pytest.fixture
def database(subject: Subject) -> Database:
    """The database itself."""
    return subject.database
