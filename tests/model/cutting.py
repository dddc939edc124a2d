"""Requests that are cut: the process ends there, the request fails, or its answer is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scylla_store.database.base import Mutation
from scylla_store.errors import DatabaseUnavailable, OutcomeUnknown, StoreError

CRASHES = ("crash before", "crash after", "crash between")
FAILURES = ("fails", "lost before", "lost after")

_WRITES = frozenset({"compare_and_set", "refresh", "register", "unregister", "bury", "exhume", "set_state", "file", "ack", "update"})
_FREE = frozenset({"connect", "close", "setup", "clock", "exists", "ping", "data_version", "release"})


class Crash(BaseException):
    """The process ends: nothing of it goes on, whatever it was at."""


@dataclass(frozen=True)
class Cut:
    """The request of this number, counted from 0, is cut so."""

    request: int
    how: str


class Cutter:
    """Counts requests and cuts one of them. After a crash every request of the dead process crashes too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: int | None = None
        self._how = ""
        self.is_dead = False
        self.has_cut = False

    @contextmanager
    def armed(self, cut: Cut | None) -> Iterator[None]:
        """Cuts a request within the block."""
        self.has_cut = False
        self._left, self._how = (None, "") if cut is None else (cut.request, cut.how)
        try:
            yield
        finally:
            self._left = None

    def revive(self) -> None:
        """Another process begins."""
        self.is_dead = False

    def chosen(self, kinds: Sequence[str]) -> str | None:
        """How the request at hand is cut; None: it is not. Only those that may be cut in one of these ways are counted."""
        with self._lock:
            if self.is_dead:
                raise Crash
            if self._left is None or self._how not in kinds:
                return None
            self._left -= 1
            if self._left >= 0:
                return None
            self._left, self.has_cut = None, True
            return self._how

    def die(self) -> None:
        """The process ends here."""
        self.is_dead = True
        raise Crash

    def request(self, action: Callable[[], Any], *, is_write: bool, kinds: Sequence[str] = CRASHES + FAILURES) -> Any:
        """Does the action, or cuts it."""
        how = self.chosen(kinds)
        if how in ("crash before", "crash between"):
            self.die()
        if how is not None and not (is_write or how == "crash after"):
            raise DatabaseUnavailable("made to fail")
        if how == "fails":
            raise DatabaseUnavailable("made to fail")
        result = action() if how != "lost before" else None
        if how == "crash after":
            self.die()
        if how is not None:
            raise OutcomeUnknown("made to be lost")
        return result

    def commit(self, commit: Callable[[Sequence[Mutation]], list[Any]], mutations: Sequence[Mutation]) -> list[Any]:
        """A commit of several writes may be done by half: then the others have failed."""
        how = self.chosen(CRASHES + FAILURES)
        if how == "crash before":
            self.die()
        half = len(mutations) // 2
        done = commit(mutations[:half] if how in ("crash between", "fails", "lost before") else mutations)
        if how in CRASHES:
            self.die()
        if how is None:
            return done
        error: StoreError = DatabaseUnavailable("made to fail") if how == "fails" else OutcomeUnknown("made to be lost")
        return [*done[:half], *[error for _ in mutations[half:]]]


class CutOutbox:
    """An outbox whose requests may be cut."""

    def __init__(self, target: Any, cutter: Cutter) -> None:
        self._target = target
        self._cutter = cutter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name in _FREE:
            return found
        is_write = name in _WRITES

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._cutter.request(lambda: found(*args, **kwargs), is_write=is_write)

        return call


class CutDatabase(CutOutbox):
    """A database whose requests may be cut. It knows which leases the dead left, so that their time can be over at once."""

    def __init__(self, target: Any, cutter: Cutter) -> None:
        super().__init__(target, cutter)
        self.outbox = CutOutbox(target.outbox, cutter)
        self.leases: set[tuple[str, str]] = set()

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        self.leases.add((name, owner))
        return bool(self._cutter.request(lambda: self._target.lease(name, owner, seconds), is_write=False))

    def release(self, name: str, owner: str) -> None:
        if not self._cutter.is_dead:
            self._target.release(name, owner)

    @contextmanager
    def writing(self, ids: Sequence[Any]) -> Iterator[CutWriting]:
        self._cutter.request(lambda: None, is_write=False)
        with self._target.writing(ids) as writing:
            yield CutWriting(writing, self._cutter)


class CutWriting:
    """What is between the heads and the commit."""

    def __init__(self, writing: Any, cutter: Cutter) -> None:
        self._writing = writing
        self._cutter = cutter
        self.heads = writing.heads
        self.floor = writing.floor

    def commit(self, mutations: Sequence[Mutation]) -> list[StoreError | None]:
        return self._cutter.commit(self._writing.commit, mutations)


class CutIndex:
    """An index at whose requests the process may end. Its failures are outages, which tests of their own are about."""

    def __init__(self, target: Any, cutter: Cutter) -> None:
        self._target = target
        self._cutter = cutter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name in _FREE:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._cutter.request(lambda: found(*args, **kwargs), is_write=True, kinds=CRASHES)

        return call
