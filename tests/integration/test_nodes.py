"""Three nodes, one of which hangs: it takes connections and never answers, and nobody has noticed yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from scylla_store.clock import system_clock
from scylla_store.database.cql import ScyllaDB
from scylla_store.errors import DatabaseUnavailable
from scylla_store.identity import ItemId
from scylla_store.rows import Cells
from scylla_store.settings.options import DatabaseSettings
from tests.acceptance.waiting import poll
from tests.integration.test_cql import put
from tests.servers import Cassandra, cassandra_nodes, started

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Cassandra]]:
    with ExitStack() as stack:
        nodes = cassandra_nodes()
        for node in nodes:
            started(node, "SCYLLA_STORE_TEST_CQL", stack)
        yield nodes


@pytest.fixture(scope="module")
def settings(nodes: list[Cassandra]) -> DatabaseSettings:
    settings = DatabaseSettings(
        contact_points=tuple(node.address for node in nodes), keyspace=f"test_{uuid.uuid4().hex[:8]}", replication="3"
    )
    database = ScyllaDB(settings)
    assert poll(lambda: len(database_nodes(settings)) == len(nodes), 90, every=0.5)
    database.setup()
    database.close()
    return settings


def database_nodes(settings: DatabaseSettings) -> set[str]:
    """The nodes that the first one knows, itself included."""
    from tests.acceptance.sources import cql_session

    with cql_session(settings.contact_points[0], "system", "ONE") as session:
        return {str(row[0]) for row in session.execute("SELECT peer FROM peers")} | {settings.contact_points[0]}


@contextmanager
def hanging(node: Cassandra) -> Iterator[None]:
    node.pause()
    try:
        yield
    finally:
        node.resume()


def write(database: ScyllaDB, item: ItemId) -> list[object]:
    with database.writing([item]) as writing:
        return list(writing.commit([put(item)]))


@pytest.mark.parametrize("which", [0, 1])
def test_every_write_and_read_succeeds_while_one_node_hangs(
    nodes: list[Cassandra], settings: DatabaseSettings, which: int
) -> None:
    # Given a process that is connected to all nodes
    database = ScyllaDB(settings)
    items = [ItemId(("n", f"{which} {number}"), "k") for number in range(30)]
    found: dict[ItemId, Cells] = {}
    write(database, items[0])
    assert poll(lambda: len(database.clock().nodes) == len(nodes), 30, every=0.5)
    # When one of them hangs
    with hanging(nodes[which]):
        outcomes = [write(database, item) for item in items]
        for item in items:
            found |= database.read([item])
    # Then nothing fails, whichever node a request would have gone to
    assert outcomes == [[None]] * len(items)
    assert found.keys() == set(items)
    # And it is used again afterwards
    assert poll(lambda: len(database.clock().nodes) == len(nodes), 60, every=0.5)
    database.close()


def test_a_process_connects_while_one_node_hangs(nodes: list[Cassandra], settings: DatabaseSettings) -> None:
    with hanging(nodes[0]):
        database = ScyllaDB(settings)
        item = ItemId(("n", "fresh"), "k")
        assert write(database, item) == [None]
        assert item in database.read([item])
        assert database.clock().now <= system_clock() + 5_000_000
        database.close()


def test_a_node_that_hangs_is_named_before_long(nodes: list[Cassandra], settings: DatabaseSettings) -> None:
    database = ScyllaDB(settings)
    database.ping()
    with hanging(nodes[2]):
        assert poll(lambda: database.unreachable_nodes() == [nodes[2].address], 60, every=0.5)
    assert poll(lambda: not database.unreachable_nodes(), 60, every=0.5)
    database.close()


def test_setup_waits_for_nodes_that_do_not_answer_yet(
    nodes: list[Cassandra], settings: DatabaseSettings, caplog: pytest.LogCaptureFixture
) -> None:
    database = ScyllaDB(settings)
    with ThreadPoolExecutor() as threads:
        # Given that only one of three nodes answers, as when a cluster starts
        with hanging(nodes[1]), hanging(nodes[2]):
            done = threads.submit(database.setup)
            assert poll(lambda: "tried again" in caplog.text or done.done(), 60)
        # When the others come, then it ends well
        done.result(60)
    assert "tried again" in caplog.text
    database.close()


def test_with_two_nodes_that_hang_writes_fail_and_say_so(nodes: list[Cassandra], settings: DatabaseSettings) -> None:
    database = ScyllaDB(settings)
    item = ItemId(("n", "two"), "k")
    write(database, item)
    with hanging(nodes[0]), hanging(nodes[1]), pytest.raises(DatabaseUnavailable):
        write(database, item)
    database.close()
