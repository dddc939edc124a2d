"""What a child process makes anew."""

from __future__ import annotations

import os
import threading

import pytest

from scylla_store.forks import follow


class Shared:
    """Something that threads share, with a lock that is held."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        follow(self)

    def after_fork(self) -> None:
        self.lock = threading.Lock()


class Broken:
    def __init__(self) -> None:
        follow(self)

    def after_fork(self) -> None:
        raise RuntimeError("no")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_one_that_fails_leaves_no_other_without_a_new_lock() -> None:
    shared, broken = [Shared() for _ in range(20)], [Broken() for _ in range(20)]

    child = os.fork()
    if child == 0:
        os._exit(sum(one.lock.locked() for one in shared))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert all(one.lock.locked() for one in shared), "the parent's locks stay as they are"
    assert broken
