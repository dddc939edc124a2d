"""What only a real CQL server shows: migrations, the schema's refusals, forks, closing, deadlines, batch limits, write times."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from scylla_store import ScyllaStore
from scylla_store.clock import SECOND, system_clock
from scylla_store.database.base import Mutation, Position, Refresh, behind
from scylla_store.database.cql import ScyllaDB
from scylla_store.embedders import HashingEmbedder
from scylla_store.errors import (
    ClockSkew,
    DatabaseUnavailable,
    OutcomeUnknown,
    SchemaMismatch,
    StoreClosed,
    TombstoneLimit,
)
from scylla_store.identity import ItemId, sort_key
from scylla_store.index.memory import MemoryIndex
from scylla_store.intents import Bookkeeping, Kind, new_intent
from scylla_store.rows import Head
from scylla_store.settings.options import DatabaseSettings, Settings
from scylla_store.testing import SettableClock
from tests.servers import Cassandra

DELETED_FOR = 3600


@pytest.fixture(scope="module")
def settings(cassandra: str) -> DatabaseSettings:
    return DatabaseSettings(contact_points=(cassandra,), keyspace=f"test_{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def database(settings: DatabaseSettings) -> Iterator[ScyllaDB]:
    database = ScyllaDB(settings)
    database.setup()
    yield database
    drop(settings)
    database.close()


@pytest.fixture
def namespace() -> tuple[str, ...]:
    return ("test", uuid.uuid4().hex)


def drop(settings: DatabaseSettings) -> None:
    execute(replace(settings, keyspace="system"), f"DROP KEYSPACE IF EXISTS {settings.keyspace}")


def execute(settings: DatabaseSettings, statement: str) -> list[tuple[object, ...]]:
    """What a plain driver says."""
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import RoundRobinPolicy

    host, _, port = settings.contact_points[0].partition(":")
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=60)
    cluster = Cluster([host], port=int(port), protocol_version=4, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    try:
        return list(cluster.connect(settings.keyspace).execute(statement))
    finally:
        cluster.shutdown()


def put(item: ItemId, *, value: bytes = b'{"a":1}', version: int | None = None, index: bool = True) -> Mutation:
    version = version or system_clock()
    write_id = os.urandom(16)
    intents = (
        [new_intent(item, write_id, version, Kind.WRITE, now=version, due=version + 30 * SECOND, shard=0)]
        if index
        else []
    )
    return Mutation(item, version, Head(write_id, version).encode(), write_id + value, tuple(intents))


def delete(item: ItemId, version: int) -> Mutation:
    return Mutation(item, version, Head(os.urandom(16), version, deleted=True).encode(), None, ttl=DELETED_FOR)


def write(database: ScyllaDB, *mutations: Mutation) -> None:
    with database.writing([mutation.id for mutation in mutations]) as writing:
        assert writing.commit(mutations) == [None] * len(mutations)


def test_without_setup_the_message_says_what_to_run(settings: DatabaseSettings) -> None:
    database = ScyllaDB(replace(settings, keyspace="never_made"))
    with pytest.raises(SchemaMismatch, match="scylla-store setup"):
        database.read([ItemId(("a",), "b")])
    database.close()


def test_four_setups_at_once_are_fine(settings: DatabaseSettings) -> None:
    fresh = replace(settings, keyspace=f"test_{uuid.uuid4().hex[:8]}")
    databases = [ScyllaDB(fresh) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(database.setup) for database in databases]:
            done.result()
    for database in databases:
        database.connect()
        database.close()
    drop(fresh)


def test_a_schema_that_is_newer_than_the_code_is_refused(settings: DatabaseSettings) -> None:
    fresh = replace(settings, keyspace=f"test_{uuid.uuid4().hex[:8]}")
    first = ScyllaDB(fresh)
    first.setup()
    first.close()
    execute(fresh, "INSERT INTO migrations (id, version) VALUES ('schema', 999)")

    database = ScyllaDB(fresh)
    with pytest.raises(SchemaMismatch, match="999"):
        database.connect()
    with pytest.raises(SchemaMismatch, match="999"):
        database.setup()
    database.close()
    drop(fresh)


def test_a_batch_over_many_partitions_and_sizes_writes_all_of_it(
    database: ScyllaDB, namespace: tuple[str, ...]
) -> None:
    mutations = [put(ItemId(namespace, f"k{number}"), value=b'"%s"' % (b"x" * number * 40)) for number in range(400)]
    mutations += [put(ItemId((*namespace, str(number)), "k")) for number in range(100)]
    mutations += [put(ItemId(namespace, "large"), value=b"x" * 1_000_000)]

    write(database, *mutations)

    found = database.read([mutation.id for mutation in mutations])
    assert {mutation.id: mutation.body for mutation in mutations} == {item: cells.body for item, cells in found.items()}
    assert {mutation.id: mutation.version for mutation in mutations} == {
        item: cells.version for item, cells in found.items()
    }
    keys = [intent.key for mutation in mutations for intent in mutation.intents]
    assert set(database.outbox.get(keys)) == set(keys)


def test_the_heads_before_a_write_tell_the_version_to_exceed(database: ScyllaDB, namespace: tuple[str, ...]) -> None:
    first, second = put(ItemId(namespace, "a")), ItemId(namespace, "b")
    write(database, first)
    with database.writing([first.id, second]) as writing:
        assert set(writing.heads) == {first.id}
        assert writing.heads[first.id].body is None
        assert writing.floor(first.id) == first.version + 1
        assert writing.floor(second) == 0


def test_an_older_put_that_comes_late_cannot_revive_a_deleted_item(
    database: ScyllaDB, namespace: tuple[str, ...]
) -> None:
    item = ItemId(namespace, "k")
    now = system_clock()
    late = put(item, version=now)
    write(database, delete(item, now + 1))
    write(database, late)
    cells = database.read([item])[item]
    assert (cells.version, cells.body) == (now + 1, None)


def test_a_delete_leaves_nothing_but_a_head_that_expires(
    database: ScyllaDB, settings: DatabaseSettings, namespace: tuple[str, ...]
) -> None:
    item = ItemId(namespace, "k")
    now = system_clock()
    write(database, put(item, version=now))
    database.refresh([Refresh(item, b"granted", now, 60)])
    write(database, delete(item, now + 1))
    labels = ", ".join(f"'{label}'" for label in namespace)
    rows = execute(settings, f"SELECT TTL(head), body, refresh FROM items WHERE namespace = [{labels}] AND bucket = 0")
    [(ttl, body, refresh)] = rows
    assert 0 < int(str(ttl)) <= DELETED_FOR
    assert (body, refresh) == (None, None)


def test_a_compare_and_set_replaces_only_the_head_that_was_read(database: ScyllaDB, namespace: tuple[str, ...]) -> None:
    item = ItemId(namespace, "k")
    first, second, third = put(item), put(item), put(item)

    assert database.compare_and_set(None, first)
    assert not database.compare_and_set(None, second)
    assert database.compare_and_set(first.head, second)
    assert not database.compare_and_set(first.head, third)
    gone = delete(item, 0)
    assert database.compare_and_set(second.head, gone)

    assert database.read([item], serial=True)[item].head == gone.head
    assert database.compare_and_set(gone.head, third)


def test_an_ack_wins_over_bookkeeping_and_over_an_insert_that_come_late(
    database: ScyllaDB, namespace: tuple[str, ...]
) -> None:
    mutation = put(ItemId(namespace, "k"))
    [intent] = mutation.intents
    far = new_intent(mutation.id, os.urandom(16), 1, Kind.EXPIRY, now=1, due=system_clock() + 5000 * 86_400 * SECOND)
    database.outbox.file([intent, far])

    database.outbox.ack([intent.key, far.key])
    database.outbox.update([Bookkeeping(intent.key, intent.key.due, 3, "late")])
    database.outbox.file([intent, far])

    assert database.outbox.get([intent.key, far.key]) == {}


def test_bookkeeping_is_kept_and_the_later_one_wins(database: ScyllaDB, namespace: tuple[str, ...]) -> None:
    [intent] = put(ItemId(namespace, "k")).intents
    database.outbox.file([intent])
    database.outbox.update([Bookkeeping(intent.key, intent.key.due + 1, 1, "first", 5)])
    database.outbox.update([Bookkeeping(intent.key, intent.key.due + 2, 2)])

    [entry] = database.outbox.get([intent.key]).values()
    assert (entry.next_attempt, entry.attempts, entry.error) == (intent.key.due + 2, 2, None)
    assert entry.intent == intent


def test_a_sweep_finds_what_is_due(database: ScyllaDB, namespace: tuple[str, ...]) -> None:
    mutations = [put(ItemId(namespace, f"k{number}")) for number in range(20)]
    write(database, *mutations)
    keys = {intent.key for mutation in mutations for intent in mutation.intents}
    seen = set()

    def push(entries: object) -> list[Bookkeeping]:
        seen.update(entry.intent.key for entry in entries)  # type: ignore[attr-defined]
        return []

    database.outbox.sweep(system_clock() + 40 * SECOND, 100_000, push)
    assert keys <= seen
    assert database.outbox.summary(100_000).pending >= 20
    database.outbox.ack(list(keys))
    assert database.outbox.get(list(keys)) == {}


def test_keys_are_listed_in_the_order_of_their_bytes_and_without_those_that_never_had_a_head(
    database: ScyllaDB, namespace: tuple[str, ...]
) -> None:
    keys = sorted(["a", "é", "z", "\0", "😀", "a\0", "aa"], key=str.encode)
    write(database, *(put(ItemId(namespace, key)) for key in keys))
    listed = database.keys(namespace, after=None, limit=3)
    rest = database.keys(namespace, after=listed[-1].id.key, limit=100)
    assert [cells.id.key for cells in [*listed, *rest]] == keys


def test_a_page_of_large_documents_is_whole(database: ScyllaDB, namespace: tuple[str, ...]) -> None:
    mutations = [put(ItemId(namespace, f"k{number:03}"), value=b"x" * 200_000, index=False) for number in range(30)]
    write(database, *mutations)
    assert len(database.keys(namespace, after=None, limit=30)) == 30
    assert len(database.read([mutation.id for mutation in mutations])) == 30


def test_namespaces_are_listed_by_whole_labels_in_order(database: ScyllaDB) -> None:
    root = uuid.uuid4().hex
    hostile = [
        (root, *rest) for rest in [(), ("a",), ("a", "b"), ("a\0",), ("a\0b",), ("ab",), ("é",), ("😀", "x"), ("\0",)]
    ]
    database.register([*hostile, (f"{root}\0",), (f"{root}x",)], now=system_clock())

    assert [row.namespace for row in database.namespaces((root,), after=None, limit=100)] == sorted(
        hostile, key=sort_key
    )
    assert [row.namespace for row in database.namespaces((root, "a"), after=None, limit=100)] == [
        (root, "a"),
        (root, "a", "b"),
    ]
    paged = []
    after = None
    while page := database.namespaces((root,), after=after, limit=2):
        paged += [row.namespace for row in page]
        after = paged[-1]
    assert paged == sorted(hostile, key=sort_key)


def test_a_namespace_that_was_registered_again_stays(database: ScyllaDB) -> None:
    namespace = (uuid.uuid4().hex,)
    database.register([namespace], now=100)
    [seen] = database.namespaces(namespace, after=None, limit=1)
    database.register([namespace], now=200)
    database.unregister(seen)
    [again] = database.namespaces(namespace, after=None, limit=1)
    assert again.seen_at == 200
    database.unregister(again)
    assert database.namespaces(namespace, after=None, limit=1) == []


def test_a_lease_has_one_owner_until_it_expires(settings: DatabaseSettings, database: ScyllaDB) -> None:
    later = ScyllaDB(settings, clock=lambda: system_clock() + 61 * SECOND)
    name = uuid.uuid4().hex
    assert database.lease(name, "a", 60)
    assert not database.lease(name, "b", 60)
    assert database.lease(name, "a", 60)
    assert later.lease(name, "b", 60)
    database.release(name, "a")
    assert not database.lease(name, "a", 60)
    later.release(name, "b")
    assert database.lease(name, "a", 60)
    later.close()


def test_of_many_who_want_a_lease_one_gets_it(database: ScyllaDB) -> None:
    name = uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda owner: database.lease(name, str(owner), 60), range(8)))
    assert sum(taken) == 1


def test_the_clock_is_that_of_the_nodes(database: ScyllaDB) -> None:
    reading = database.clock()
    assert abs(reading.now - system_clock()) < 5 * SECOND
    assert list(reading.nodes.values()) == [0]


def test_the_clock_is_read_right_outside_of_utc(database: ScyllaDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert abs(database.clock().now - system_clock()) < 5 * SECOND
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_store_that_is_closed_while_it_connects_leaves_no_thread(
    settings: DatabaseSettings, database: ScyllaDB
) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(threading.get_ident).result()
        before = set(threading.enumerate())
        other = ScyllaDB(settings)
        connecting = pool.submit(other.ping)
        deadline = time.monotonic() + 60
        while set(threading.enumerate()) == before and not connecting.done():
            assert time.monotonic() < deadline
        other.close()
        with suppress(StoreClosed, DatabaseUnavailable):
            connecting.result()
        while set(threading.enumerate()) - before:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)


def test_closing_twice_leaves_no_thread_and_ends_the_use(settings: DatabaseSettings, database: ScyllaDB) -> None:
    before = set(threading.enumerate())
    other = ScyllaDB(settings)
    other.ping()
    assert set(threading.enumerate()) - before
    other.close()
    other.close()
    assert set(threading.enumerate()) - before == set()
    with pytest.raises(StoreClosed):
        other.ping()


def test_a_process_that_forks_after_use_works_in_both_halves(database: ScyllaDB, namespace: tuple[str, ...]) -> None:
    write(database, put(ItemId(namespace, "parent")))
    child = os.fork()
    if child == 0:
        try:
            write(database, put(ItemId(namespace, "child")))
            database.close()
            os._exit(0)
        finally:
            os._exit(1)
    for number in range(50):
        write(database, put(ItemId(namespace, f"k{number}")))
    assert os.waitpid(child, 0)[1] == 0
    assert len(database.keys(namespace, after=None, limit=100)) == 52


def test_a_server_that_refuses_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        point = f"127.0.0.1:{unused.getsockname()[1]}"
    database = ScyllaDB(DatabaseSettings(contact_points=(point,)))
    with pytest.raises(DatabaseUnavailable, match=point):
        database.ping()
    database.close()


def test_a_server_that_accepts_and_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point = f"127.0.0.1:{silent.getsockname()[1]}"
        database = ScyllaDB(DatabaseSettings(contact_points=(point,), connect_timeout=0.5))
        with pytest.raises(DatabaseUnavailable, match=point):
            database.ping()
        database.close()


@pytest.fixture(scope="module")
def own_server(cassandra: str) -> Iterator[Cassandra]:
    """A node that a test may stop, and that gives up at 500 deleted rows. Skipped where no server can be started."""
    options = {
        "tombstone_failure_threshold": "500",
        "tombstone_warn_threshold": "400",
        "commitlog_sync": "group",
        "commitlog_sync_group_window": "5ms",
    }
    with Cassandra(options=options) as server:
        yield server


@pytest.fixture
def impatient(own_server: Cassandra) -> Iterator[ScyllaDB]:
    database = ScyllaDB(DatabaseSettings(contact_points=(own_server.address,), timeout=3.0))
    database.setup()
    yield database
    database.close()


def test_a_node_that_hangs_fails_a_write_in_time_and_works_again_afterwards(
    own_server: Cassandra, impatient: ScyllaDB
) -> None:
    item = ItemId(("n",), "k")
    write(impatient, put(item))

    own_server.pause()
    try:
        with pytest.raises(DatabaseUnavailable), impatient.writing([item]):
            raise AssertionError("the heads cannot have been read")
    finally:
        own_server.resume()

    write(impatient, put(item))


def test_a_write_whose_answer_is_lost_says_so(own_server: Cassandra, impatient: ScyllaDB) -> None:
    item = ItemId(("n",), "unknown")
    mutation = put(item)
    with impatient.writing([item]) as writing:
        own_server.pause()
        try:
            [error] = writing.commit([mutation])
        finally:
            own_server.resume()
    assert type(error) is OutcomeUnknown


def test_too_many_deleted_rows_have_an_error_of_their_own(impatient: ScyllaDB) -> None:
    namespace = ("full", uuid.uuid4().hex)
    now = system_clock()
    impatient.exhume([(ItemId(namespace, f"k{number}"), now) for number in range(600)])
    with pytest.raises(TombstoneLimit, match=f"'full', '{namespace[1]}'.*gc_grace_seconds"):
        impatient.keys(namespace, after=None, limit=100)


def test_a_scan_goes_on_behind_namespaces_of_which_everything_was_deleted(impatient: ScyllaDB) -> None:
    # Given namespaces with rows, and some whose rows were all deleted, wherever their tokens lie
    mark = uuid.uuid4().hex
    rows = [ItemId(("zürich ☃", f"{mark}{number}"), f"k{key}") for number in range(20) for key in range(3)]
    for item in rows:
        write(impatient, put(item))
    now = system_clock()
    for number in range(4):
        impatient.exhume([(ItemId(("deleted", f"{mark}{number}"), f"k{key}"), now) for key in range(600)])
    # When everything is scanned
    met: list[ItemId] = []
    tokens: set[int] = set()
    after: Position | None = None
    while True:
        try:
            page = impatient.scan(after=after, limit=7)
        except TombstoneLimit as exc:
            tokens.add(exc.token or 0)
            after = behind(exc)
            continue
        if not page:
            break
        met += [cells.id for cells in page]
        after = page[-1].id
    # Then each row is met once, and each of the others is known by its token
    assert sorted(rows) == sorted(item for item in met if item.namespace[-1].startswith(mark))
    assert len(met) == len(set(met))
    assert len(tokens) >= 4


def test_a_node_that_was_restarted_is_used_again(own_server: Cassandra, impatient: ScyllaDB) -> None:
    item = ItemId(("n",), "restarted")
    write(impatient, put(item))
    own_server.kill()
    own_server.start()
    deadline = time.monotonic() + 60
    while True:
        try:
            assert item in impatient.read([item])
            break
        except DatabaseUnavailable:
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)


@pytest.mark.parametrize("ahead", [1, 3600, 365 * 86_400])
def test_a_named_value_that_a_fast_clock_stored_is_replaced_by_the_next_one(
    settings: DatabaseSettings, database: ScyllaDB, ahead: int
) -> None:
    # Given a value of a machine whose clock is fast, stored with the time that a driver gives it
    name = uuid.uuid4().hex
    then = system_clock() + ahead * SECOND
    execute(settings, f"UPDATE state USING TIMESTAMP {then} SET value = 0x66 WHERE name = '{name}'")

    # When others store theirs, in turns with the fast one, Then each is seen
    fast = ScyllaDB(settings, clock=lambda: system_clock() + ahead * SECOND)
    try:
        for number, writer in enumerate([database, database, fast, database, fast, fast, database]):
            writer.set_state(name, b"%d" % number)
            assert database.state(name) == fast.state(name) == b"%d" % number
    finally:
        fast.close()


def test_setup_of_a_new_keyspace_makes_the_schema_and_is_refused_while_the_clock_is(settings: DatabaseSettings) -> None:
    # Given no keyspace, and a machine whose clock is an hour fast
    made = replace(settings, keyspace=f"new_{uuid.uuid4().hex[:8]}")
    clock = SettableClock(system_clock() + 3600 * SECOND)
    index = MemoryIndex()
    store = ScyllaStore(Settings(database=made), index=index, embedder=HashingEmbedder(8), clock=clock)

    # When, Then
    with store:
        with pytest.raises(ClockSkew, match="This machine's clock"):
            store.setup()
        assert not index.exists()
        # When the clock is right again
        clock.advance(system_clock() / SECOND - clock() / SECOND)
        store.setup()
        assert index.exists()
        assert store.list_namespaces().items == []
    drop(made)
