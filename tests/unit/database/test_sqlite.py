"""What only SQLite shows: one file and many processes, forks, locks of others, damaged files, what is left on the disk."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from scylla_store.clock import SECOND, system_clock
from scylla_store.database.base import Database, Refresh
from scylla_store.database.sqlite import SQLite
from scylla_store.database.sqlite.connections import Connections
from scylla_store.database.sqlite.errors import translate
from scylla_store.database.sqlite.outbox import file
from scylla_store.database.sqlite.schema import migrations
from scylla_store.errors import (
    ConfigurationError,
    DatabaseRefused,
    DatabaseUnavailable,
    OutcomeUnknown,
    SchemaMismatch,
    StoreError,
)
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, new_intent
from scylla_store.testing.clock import SettableClock
from tests.contract.database.rows import cells, delete, filed, item, letter, put, write

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PATIENCE = 30.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLite]:
    database = SQLite(tmp_path, timeout=5.0)
    yield database
    database.close()


def plain(folder: Path) -> closing[sqlite3.Connection]:
    """What a plain connection sees."""
    return closing(sqlite3.connect(folder / "store.sqlite3", isolation_level=None))


def write_next(database: Database, of: ItemId) -> int:
    """Writes at the version that the database allows."""
    with database.writing([of]) as writing:
        mutation = put(of, writing.floor(of))
        assert writing.commit([mutation]) == [None]
    return mutation.version


def in_child(action: Callable[[], object]) -> int:
    """Runs the action in a forked child, and returns its process id; the child ends with 0 if nothing was raised."""
    child = os.fork()
    if child:
        return child
    try:
        action()
        os._exit(0)
    finally:
        os._exit(1)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_folder_and_file_are_made_at_first_use_and_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    database = SQLite(folder, timeout=5.0)
    assert not folder.exists()

    database.ping()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "store.sqlite3").exists()
    database.close()


def test_a_closed_store_leaves_one_file(tmp_path: Path, database: SQLite) -> None:
    write(database, put(item(), 1))
    assert database.data_version() > 0

    database.close()

    assert [path.name for path in tmp_path.iterdir()] == ["store.sqlite3"]


def test_commits_are_synced_into_a_write_ahead_log(tmp_path: Path, database: SQLite) -> None:
    database.setup()
    with plain(tmp_path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_fresh_folder_may_be_used_by_many_at_once(tmp_path: Path) -> None:
    databases = [SQLite(tmp_path, timeout=5.0) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write_next, database, item()) for database in databases]:
            done.result()
    for database in databases:
        database.close()


def test_processes_that_share_the_file_get_growing_versions_and_lose_nothing(tmp_path: Path) -> None:
    # Given five processes with a clock that stands still
    namespace = item().namespace

    def write_many(number: int) -> None:
        database = SQLite(tmp_path, timeout=20.0, clock=lambda: 0)
        versions = [write_next(database, ItemId(namespace, f"{number}-{count}")) for count in range(100)]
        database.close()
        assert versions == sorted(set(versions))

    # When they write at once
    children = [in_child(partial(write_many, number)) for number in range(5)]
    assert [ended(child) for child in children] == [0] * 5

    # Then all of it is there, and no version was given twice
    database = SQLite(tmp_path, timeout=5.0)
    found = database.keys(namespace, after=None, limit=1000)
    assert len(found) == 500
    assert sorted(row.version for row in found) == list(range(1, 501))
    database.close()


def test_the_largest_version_survives_the_row_that_had_it(tmp_path: Path) -> None:
    clock = SettableClock(system_clock())
    database = SQLite(tmp_path, timeout=5.0, clock=clock)
    of, ahead = item(), clock() + 3600 * SECOND
    write(database, put(of, ahead), put(item(), ahead + 10))
    write(database, delete(of, ahead + 20, ttl=1))

    clock.advance(2)
    database.outbox.sweep(clock(), 10, lambda entries: [])

    with plain(tmp_path) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (1,)
    with database.writing([of]) as writing:
        assert writing.floor(of) == ahead + 21
    assert database.compare_and_set(None, put(of, 0))
    assert cells(database, of).version == ahead + 21  # type: ignore[union-attr]
    database.close()


def test_a_sweep_removes_what_is_over_and_keeps_what_is_not(tmp_path: Path) -> None:
    # Given deleted items, one with a letter, one with a refresh that lives longer, one that was put again
    clock = SettableClock(system_clock())
    database = SQLite(tmp_path, timeout=5.0, clock=clock)
    gone, lettered, refreshed, again = (item() for _ in range(4))
    write(database, *(delete(of, 100, ttl=10) for of in (gone, lettered, refreshed, again)))
    database.bury(letter(lettered, 200))
    database.refresh([Refresh(refreshed, b"granted", 200, 60)])
    newer = put(again, 200)
    write(database, newer)

    # When their time is over
    clock.advance(10)
    seen = database.read([gone, lettered, refreshed, again])
    database.outbox.sweep(clock(), 10, lambda entries: [])

    # Then a reader saw it before, and sees the same afterwards
    assert database.read([gone, lettered, refreshed, again]) == seen
    assert set(seen) == {lettered, refreshed, again}
    assert seen[again].head == newer.head

    def rows() -> set[str]:
        with plain(tmp_path) as connection:
            return {row[0] for row in connection.execute("SELECT json_extract(namespace, '$[1]') FROM items")}

    assert rows() == {of.namespace[1] for of in (lettered, refreshed, again)}
    clock.advance(60)
    database.outbox.sweep(clock(), 10, lambda entries: [])
    assert rows() == {of.namespace[1] for of in (lettered, again)}
    database.close()


def test_the_data_version_changes_with_the_writes_of_others(tmp_path: Path, database: SQLite) -> None:
    other = SQLite(tmp_path, timeout=5.0)
    before = database.data_version()
    assert database.data_version() == before

    write(other, put(item(), 1))

    assert database.data_version() != before
    other.close()


def test_another_process_that_keeps_the_lock_fails_writes_in_time_and_no_reads(tmp_path: Path) -> None:
    database = SQLite(tmp_path, timeout=0.2)
    row = put(item(), 1)
    write(database, row)

    with plain(tmp_path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match=r"locked by another process.*database\.timeout"):
            write(database, put(item(), 2))
        assert cells(database, row.id) is not None
        other.execute("ROLLBACK")

    write(database, put(item(), 3))
    database.close()


def test_another_thread_that_keeps_the_lock_fails_writes_in_time_and_no_reads(tmp_path: Path) -> None:
    database = SQLite(tmp_path, timeout=0.2)
    row = put(item(), 1)
    write(database, row)

    with database.writing([row.id]), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write, database, put(item(), 2))
        with pytest.raises(DatabaseUnavailable, match=r"Other threads.*database\.timeout"):
            waiting.result()
        assert pool.submit(cells, database, row.id).result() is not None

    write(database, put(item(), 3))
    database.close()


def test_closing_does_not_wait_for_a_thread_that_hangs_and_its_connection_is_closed_when_it_comes_back(
    tmp_path: Path,
) -> None:
    database = SQLite(tmp_path, timeout=5.0)
    database.setup()
    inside, leave = threading.Event(), threading.Event()

    def hang() -> list[StoreError | None]:
        with database.writing([item()]) as writing:
            inside.set()
            assert leave.wait(PATIENCE)
            return writing.commit([put(item(), 1)])

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(hang)
        assert inside.wait(PATIENCE)
        database.close()
        leave.set()
        assert hanging.result() == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["store.sqlite3"]


def test_a_connection_that_comes_back_in_a_transaction_does_not_keep_the_lock(tmp_path: Path) -> None:
    connections = Connections(tmp_path / "store.sqlite3", timeout=0.2)

    with connections.reading() as connection:
        connection.execute("BEGIN IMMEDIATE")

    with connections.writing() as connection:
        connection.execute("CREATE TABLE t (a)")
    connections.close()


def open_files() -> list[str]:
    paths = []
    for name in os.listdir("/proc/self/fd"):
        try:
            paths.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return [path for path in paths if "store.sqlite3" in path]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_child_inherits_no_connection(database: SQLite) -> None:
    write(database, put(item(), 1))
    database.data_version()
    assert open_files()

    def inherits_nothing() -> None:
        assert open_files() == []

    assert ended(in_child(inherits_nothing)) == 0


def test_a_process_that_forks_after_use_works_in_both_halves(database: SQLite) -> None:
    namespace = item().namespace
    write_next(database, ItemId(namespace, "before"))
    before = database.data_version()

    def use() -> None:
        write_next(database, ItemId(namespace, "child"))
        assert len(database.keys(namespace, after=None, limit=10)) >= 2
        assert database.data_version() > 0
        database.close()

    child = in_child(use)
    write_next(database, ItemId(namespace, "parent"))

    assert ended(child) == 0
    assert {row.id.key for row in database.keys(namespace, after=None, limit=10)} == {"before", "child", "parent"}
    assert database.data_version() >= before


def test_forks_while_other_threads_write_work_in_both_halves(tmp_path: Path) -> None:
    database = SQLite(tmp_path, timeout=20.0)
    namespace, stop = item().namespace, threading.Event()

    def keep_writing(name: str) -> int:
        count = 0
        while not stop.is_set():
            write_next(database, ItemId(namespace, f"{name}-{count}"))
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(keep_writing, str(number)) for number in range(3)]
        items = [ItemId(namespace, f"child-{number}") for number in range(10)]
        children = [in_child(partial(write_next, database, of)) for of in items]
        codes = [ended(child) for child in children]
        stop.set()
        counts = [thread.result() for thread in threads]

    assert codes == [0] * 10
    assert len(database.keys(namespace, after=None, limit=1_000_000)) == sum(counts) + 10
    with plain(tmp_path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_child_that_was_forked_in_the_middle_of_a_transaction_is_refused(tmp_path: Path) -> None:
    database = SQLite(tmp_path, timeout=0.2)
    database.setup()
    of = item()

    def is_refused() -> None:
        with pytest.raises(DatabaseUnavailable, match="forked while its parent"):
            database.read([of])
        database.close()
        database.close()

    with database.writing([of]) as writing:
        child = in_child(is_refused)
        assert writing.commit([put(of, 1)]) == [None]
    assert ended(child) == 0
    assert cells(database, of) is not None
    database.close()


def test_a_schema_that_is_newer_than_the_code_is_refused(tmp_path: Path) -> None:
    first = SQLite(tmp_path, timeout=5.0)
    first.setup()
    first.close()
    with plain(tmp_path) as connection:
        connection.execute("PRAGMA user_version = 999")

    database = SQLite(tmp_path, timeout=5.0)
    for use in (database.connect, database.setup, database.ping):
        with pytest.raises(SchemaMismatch, match="999"):
            use()
    database.close()


def test_a_file_of_an_earlier_version_gets_what_it_lacks_and_keeps_what_it_holds(tmp_path: Path) -> None:
    # Given a file that only the first migration was applied to, with an intent that waits
    with plain(tmp_path) as connection:
        for statement in migrations()[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        file(connection, [new_intent(item(), bytes(16), 1, Kind.AGAIN, now=5, due=7)])
    # When this version opens it
    database = SQLite(tmp_path, timeout=5.0)
    # Then that is there, and the next one finds nothing to do
    assert (database.outbox.summary(10).pending, database.outbox.summary(10).oldest_filed_at) == (1, 5)
    database.close()
    with plain(tmp_path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
    with closing(SQLite(tmp_path, timeout=5.0)) as again:
        assert again.outbox.summary(10).pending == 1


def test_a_path_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    for folder in (occupied, occupied / "below"):
        database = SQLite(folder, timeout=5.0)
        with pytest.raises(ConfigurationError, match=f"path = '{folder}'"):
            database.ping()
        database.close()


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"something else " * 1000)
    database = SQLite(tmp_path, timeout=5.0)
    with pytest.raises(ConfigurationError, match="is not a SQLite database"):
        database.ping()
    database.close()


def test_a_damaged_file_is_named_with_the_cure(tmp_path: Path) -> None:
    database = SQLite(tmp_path, timeout=5.0)
    namespace = item().namespace
    write(database, *(filed(put(ItemId(namespace, f"k{number}"), 1)) for number in range(1000)))
    database.close()
    path = tmp_path / "store.sqlite3"
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * (path.stat().st_size - 4096 * 3))

    database = SQLite(tmp_path, timeout=5.0)
    with pytest.raises(DatabaseRefused, match="is damaged: restore it"):
        database.keys(namespace, after=None, limit=1000)
    database.close()


def test_a_file_that_was_replaced_in_use_is_named(tmp_path: Path, database: SQLite) -> None:
    database.setup()
    with plain(tmp_path) as connection:
        connection.execute("DROP TABLE items")
    with pytest.raises(SchemaMismatch, match="lacks a table"):
        database.read([item()])


def failure(*statements: str) -> sqlite3.Error:
    """What sqlite3 raises."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        try:
            for statement in statements:
                connection.execute(statement)
        except sqlite3.Error as error:
            return error
    raise AssertionError("nothing was raised")


def test_a_full_disk_and_a_read_only_file_are_named_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    full = translate(
        failure("CREATE TABLE t (b)", "PRAGMA max_page_count = 3", "INSERT INTO t VALUES (zeroblob(100000))"), path
    )
    read_only = translate(failure("CREATE TABLE t (b)", "PRAGMA query_only = 1", "INSERT INTO t VALUES (1)"), path)

    assert (type(full), "free some space" in str(full), str(path) in str(full)) == (DatabaseUnavailable, True, True)
    assert (type(read_only), "permissions" in str(read_only)) == (ConfigurationError, True)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite3.OperationalError("database is locked"), DatabaseUnavailable),
        (sqlite3.OperationalError("unable to open database file"), DatabaseUnavailable),
        (sqlite3.OperationalError("interrupted"), DatabaseUnavailable),
        (sqlite3.OperationalError("disk I/O error"), DatabaseUnavailable),
        (sqlite3.IntegrityError("NOT NULL constraint failed: items.key"), DatabaseRefused),
        (sqlite3.DataError("string or blob too big"), DatabaseRefused),
    ],
)
def test_each_failure_has_a_name(error: sqlite3.Error, kind: type[StoreError]) -> None:
    assert type(translate(error, Path("f"))) is kind


def test_a_commit_that_the_disk_does_not_confirm_has_an_unknown_outcome() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    assert type(translate(error, Path("f"), write=True)) is OutcomeUnknown
    assert type(translate(sqlite3.OperationalError("database is locked"), Path("f"), write=True)) is DatabaseUnavailable


def test_a_write_that_fails_half_way_writes_nothing_and_says_so_at_each_position(tmp_path: Path) -> None:
    database = SQLite(tmp_path, timeout=5.0)
    database.setup()
    with plain(tmp_path) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON items WHEN new.key = 'bad' BEGIN SELECT raise(ABORT, 'no'); END"
        )
    good, bad = filed(put(item("good"), 1)), filed(put(item("bad"), 1))

    with database.writing([good.id, bad.id]) as writing:
        errors = writing.commit([good, bad])

    assert [type(error) for error in errors] == [DatabaseRefused, DatabaseRefused]
    assert database.read([good.id, bad.id]) == {}
    assert database.outbox.summary(10).pending == 0
    write(database, good)
    database.close()
