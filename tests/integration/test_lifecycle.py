"""The life of a store in a process: forks, the end, and servers that are gone or never answer."""

from __future__ import annotations

import gc
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from scylla_store import (
    DatabaseUnavailable,
    EmbedderUnavailable,
    IndexUnavailable,
    Put,
    ScyllaStore,
    StoreClosed,
    SyncTimeout,
    TransientError,
)
from scylla_store.testing import HangingEmbedder
from tests.acceptance.waiting import poll
from tests.faults.proxy import FaultProxy

PATIENCE = 30.0
NAMESPACE = ("lifecycle",)

pytestmark = pytest.mark.integration


@pytest.fixture
def servers(cassandra: str, redis_server: str, qdrant: str) -> dict[str, Any]:
    """Settings of a store on the session's servers, in a keyspace, a collection and a queue of its own."""
    name = f"lifecycle_{uuid.uuid4().hex[:8]}"
    settings = {
        "database__contact_points": [cassandra],
        "database__keyspace": name,
        "index__url": qdrant,
        "index__collection": name,
        "index__timeout": 1.0,
        "embedder__name": "hashing",
        "celery__broker_url": redis_server,
        "celery__queue": name,
        "celery__publish_timeout": 0.5,
    }
    with ScyllaStore.from_settings(**settings) as store:
        store.setup()
    return settings


@pytest.fixture
def proxies(servers: dict[str, Any]) -> Iterator[dict[str, FaultProxy]]:
    """Faulty ways to the broker and to Qdrant, which the settings lead through."""
    broker = FaultProxy(_port(servers["celery__broker_url"]))
    index = FaultProxy(_port(servers["index__url"]), http=True)
    servers["celery__broker_url"] = f"redis://127.0.0.1:{broker.port}/0"
    servers["index__url"] = f"http://127.0.0.1:{index.port}"
    with broker, index:
        yield {"broker": broker, "index": index}


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/")[0])


def test_a_process_that_forks_after_use_works_in_both_halves(servers: dict[str, Any]) -> None:
    # Given a store that has written, read, published and searched
    with ScyllaStore.from_settings(**servers) as store:
        store.put(NAMESPACE, "before", {"text": "before the fork"})
        assert store.flush()
        store.search(NAMESPACE, "before")
        # When the process forks
        child = in_child(lambda: _use(store, "child"))
        _use(store, "parent")
        # Then both halves work, and both have published
        assert child() == 0
        assert store.get(NAMESPACE, "child") is not None
        assert store.flush()
        assert store.parts.dispatcher.backlog() == 3


def _use(store: ScyllaStore, key: str) -> None:
    store.put(NAMESPACE, key, {"text": key})
    found = store.get(NAMESPACE, key)
    assert found is not None
    assert found.value == {"text": key}
    assert store.flush()
    store.search(NAMESPACE, key)


def test_an_embedded_store_that_forks_goes_on_writing_in_the_child(tmp_path: Path) -> None:
    with ScyllaStore.from_settings(path=str(tmp_path), embedder__name="hashing") as store:
        store.put(NAMESPACE, "before", {"text": "before"}, wait=PATIENCE)
        # When the child of a fork writes and reads
        child = in_child(lambda: _write_embedded(store))
        assert child() == 0
        # Then the parent sees it, and indexes it
        assert poll(lambda: store.count(NAMESPACE) == 2, PATIENCE)
        assert [hit.item.key for hit in store.search(NAMESPACE, "child", limit=1)] == ["child"]


def _write_embedded(store: ScyllaStore) -> None:
    store.put(NAMESPACE, "child", {"text": "child"})
    assert store.get(NAMESPACE, "before") is not None
    with pytest.raises(IndexUnavailable, match=r"index\.url"):
        store.search(NAMESPACE, "before")
    store.close()


def test_a_fork_while_another_thread_holds_any_lock_leaves_a_child_that_works(servers: dict[str, Any]) -> None:
    with ScyllaStore.from_settings(**servers, clock__check_interval=1) as store:
        store.put(NAMESPACE, "before", {"text": "before the fork"})
        store.search(NAMESPACE, "before")
        store.find(NAMESPACE)
        store.reconcile()
        with _held_by_a_thread(_locks_of(store)):
            child = in_child(lambda: _use_all(store))
        assert child() == 0


def _use_all(store: ScyllaStore) -> None:
    _use(store, "child")
    store.find(NAMESPACE)
    store.put_many([Put(NAMESPACE, "many", {"text": "many"})])
    assert poll(
        store.parts.guard._is_due, PATIENCE
    )  # the clock has to be checked again, as when a fork meets the check
    store.put(NAMESPACE, "later", {"text": "later"})
    assert store.status().pending >= 0
    assert store.reconcile().scanned > 0
    store.close()


def test_an_embedded_child_of_a_fork_under_held_locks_writes_and_reads(tmp_path: Path) -> None:
    with ScyllaStore.from_settings(path=str(tmp_path), embedder__name="hashing") as store:
        store.put(NAMESPACE, "before", {"text": "before"}, wait=PATIENCE)
        with _held_by_a_thread(_locks_of(store)):
            child = in_child(lambda: _write_embedded(store))
        assert child() == 0


def _locks_of(store: ScyllaStore) -> list[tuple[str, Any]]:
    """Every lock that an object of ours holds on to, reachable from the store, with its class and name.

    A fork itself waits for the writing lock of SQLite: that one cannot be held by another thread meanwhile.
    """
    kinds = (type(threading.Lock()), type(threading.RLock()))
    locks: list[tuple[str, Any]] = []
    seen: set[int] = set()
    ahead: list[Any] = [store, store.parts]
    while ahead:
        thing = ahead.pop()
        thing = getattr(thing, "__self__", thing)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            ahead += thing.values()
        elif isinstance(thing, (list, tuple)):
            ahead += thing
        elif type(thing).__module__.startswith("scylla_store"):
            for name, value in list(getattr(thing, "__dict__", {}).items()):
                if isinstance(value, kinds) and name != "_write_lock":
                    locks.append((f"{type(thing).__name__}.{name}", value))
                ahead.append(value)
    return locks


@contextmanager
def _held_by_a_thread(locks: list[tuple[str, Any]]) -> Iterator[None]:
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for _, lock in locks:
                stack.enter_context(lock)
            holding.set()
            done.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(PATIENCE)
        assert {"SkewGuard._lock", "Rebuild._lock", "Registry._lock", "ScyllaStore._lock"} <= {
            name for name, _ in locks
        }
        yield
    finally:
        done.set()
        thread.join()


def in_child(work: Callable[[], None]) -> Callable[[], int]:
    """Runs the work in a forked child; the result waits for it and returns its exit code (killed after PATIENCE)."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a forked child tells and ends here
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def wait() -> int:
        code: list[int] = []

        def ended() -> bool:
            done, status = os.waitpid(pid, os.WNOHANG)
            code[:] = [os.waitstatus_to_exitcode(status)] if done else []
            return bool(done)

        if not poll(ended, PATIENCE):
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return -9
        return code[0]

    return wait


def test_close_leaves_no_thread_and_no_socket(servers: dict[str, Any]) -> None:
    # Given what there was before (the first use imports and starts what stays for the whole process)
    _work_and_close(servers)
    before = _threads(), _sockets()
    # When a store has used everything, and is closed twice
    _work_and_close(servers)
    # Then nothing of it is left
    assert poll(lambda: (_threads(), _sockets()) == before, PATIENCE), (before, _threads(), _sockets())


def test_close_of_an_embedded_store_leaves_no_thread_and_no_lock(tmp_path: Path) -> None:
    before = _threads()
    for _ in range(2):
        with ScyllaStore.from_settings(path=str(tmp_path), embedder__name="hashing") as store:
            store.put(NAMESPACE, "k", {"text": "words"}, wait=PATIENCE)
            assert store.search(NAMESPACE, "words")
        store.close()

    assert poll(lambda: _threads() == before, PATIENCE)


def _work_and_close(settings: dict[str, Any]) -> None:
    store = ScyllaStore.from_settings(**settings)
    store.put(NAMESPACE, "k", {"text": "words"})
    store.search(NAMESPACE, "words")
    store.health()
    assert store.flush()
    store.close()
    store.close()
    with pytest.raises(StoreClosed):
        store.put(NAMESPACE, "k", {"text": "too late"})


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.is_alive()}


def _sockets() -> int:
    gc.collect()
    return len([one for one in psutil.Process().net_connections() if one.status != psutil.CONN_TIME_WAIT])


def test_put_get_and_delete_do_not_notice_that_everything_else_is_gone(
    servers: dict[str, Any], proxies: dict[str, FaultProxy]
) -> None:
    for break_ in (FaultProxy.refuse, FaultProxy.hang):
        # Given a broker and an index that refuse, or never answer, from the start
        for proxy in proxies.values():
            break_(proxy)
        with ScyllaStore.from_settings(**servers) as store:
            # When documents are written, read, deleted and listed
            receipt = store.put(NAMESPACE, "k", {"text": "words"})
            assert store.get(NAMESPACE, "k") is not None
            assert store.list(NAMESPACE).items
            assert store.delete(NAMESPACE, "k").existed
            # Then all of that works, and what needs the others says so
            assert receipt.version is not None
            with pytest.raises(IndexUnavailable):
                store.search(NAMESPACE, "words")
            with pytest.raises(SyncTimeout):
                receipt.wait(0.1)
            health = store.health()
            assert (health["database"].state, health["index"].state, health["broker"].state) == ("ok", "down", "down")


def test_a_put_whose_database_is_away_names_it(servers: dict[str, Any]) -> None:
    with ScyllaStore.from_settings(**{**servers, "database__contact_points": ["127.0.0.1:1"]}) as store:
        with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1"):
            store.put(NAMESPACE, "k", {"text": "words"})
        assert isinstance(DatabaseUnavailable(), TransientError)


def test_a_search_whose_embedder_hangs_ends_in_its_time(tmp_path: Path) -> None:
    embedder = HangingEmbedder()
    settings = replace(
        ScyllaStore.from_settings(path=str(tmp_path), embedder__timeout=0.2).settings, path=str(tmp_path)
    )
    with ScyllaStore(settings, embedder=embedder) as store, pytest.raises(EmbedderUnavailable):
        store.search(NAMESPACE, "words")
    embedder.release.set()
    assert poll(lambda: not any("embed" in name for name in _threads()), PATIENCE), _threads()
