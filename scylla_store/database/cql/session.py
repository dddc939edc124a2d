"""Requests to the cluster: named statements, several in flight, and another node asked when one is late."""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scylla_store.database.cql.cluster import CONDITIONAL
from scylla_store.database.cql.connection import Connection
from scylla_store.database.cql.errors import NotAnswered, translate
from scylla_store.database.cql.nodes import LATE
from scylla_store.errors import DatabaseUnavailable, OutcomeUnknown, StoreError

if TYPE_CHECKING:
    from cassandra.cluster import ResponseFuture
    from cassandra.query import BatchStatement, BoundStatement

    from scylla_store.settings.options import DatabaseSettings

logger = logging.getLogger(__name__)

_GRACE = 1.0
"""Seconds that the driver may take to end a request whose time is over."""

_WITHOUT_BATCHES = 30.0
"""Seconds. Cassandra takes a node for dead after 10 to 20 s."""

Values = Sequence["bytes | None"]


class Deadline:
    """How long one call of the store may still wait for the database."""

    __slots__ = ("_end", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; raises DatabaseUnavailable when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise DatabaseUnavailable(f"The database took longer than database.timeout ({self._seconds:g} s)")
        return left

    def extend(self) -> None:
        """The call made progress and has more to do: its next request has the whole time again."""
        self._end = time.monotonic() + self._seconds


@dataclass(slots=True)
class _Sent:
    """A request on its way."""

    request: Any
    future: ResponseFuture
    at: float


class Session(Connection):
    """Runs named statements. Safe to use from several threads, and in a child after a fork."""

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(settings)
        self._batches_from = 0.0

    def deadline(self) -> Deadline:
        """The time that one call of the store has from now on."""
        return Deadline(self.settings.timeout)

    def bound(self, name: str, values: Values) -> BoundStatement:
        """A statement with values that are encoded already (see `encoding`)."""
        if self._driver is None:
            self.connect()
        bound = self._bound_statement(self._prepared[name])
        bound.values = values
        return bound

    @property
    def has_batch_log(self) -> bool:
        """Whether batches are remembered, as far as this process knows."""
        return time.monotonic() >= self._batches_from

    def avoid_batch_log(self) -> None:
        """For half a minute: by then Cassandra knows which node is down, and asks others."""
        if self.has_batch_log:
            logger.warning(
                "Nodes of the database that have to remember a batch do not answer: for %g s intents are written first, "
                "then the items, without a batch.", _WITHOUT_BATCHES,
            )  # fmt: skip
        self._batches_from = time.monotonic() + _WITHOUT_BATCHES

    def batch(self, parts: Iterable[BoundStatement], *, logged: bool = True) -> BatchStatement:
        """A batch, which may be sent twice. Unlogged ones are for a single partition, and another node is asked when one is
        late; a logged one is late for other reasons, too (see `avoid_batch_log`)."""
        batch = self._batch_statement(self._batch_type.LOGGED if logged else self._batch_type.UNLOGGED)
        batch.is_idempotent = not logged
        for part in parts:
            batch.add(part)
        return batch

    def rows(
        self, name: str, values: Values, deadline: Deadline | None = None, *, page: int | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows that a select returns, over all its pages."""
        statement = self.bound(name, values)
        if page is not None:
            statement.fetch_size = page
        return next(self.each([statement], deadline or self.deadline(), write=False))

    def pages(self, name: str, values: Values, *, page: int) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of a select page by page, each asked for when the one before it is there: who stops has fetched one more."""
        statement = self.bound(name, values)
        statement.fetch_size = page
        deadline = self.deadline()
        sent = self._send(statement, deadline, write=False)
        if isinstance(sent, StoreError):
            raise sent
        while True:
            rows = self._rows(sent, write=False, all_pages=False)
            if isinstance(rows, StoreError):
                raise rows
            is_last = not sent.future.has_more_pages
            if not is_last:
                deadline.extend()
                sent.future.start_fetching_next_page()
            yield rows
            if is_last:
                return

    def write(self, name: str, values: Values) -> None:
        """Runs a write."""
        for _ in self.each([self.bound(name, values)], self.deadline(), write=True):
            pass

    def apply(self, name: str, values: Values) -> bool:
        """Runs a conditional write (never sent twice); returns whether it was applied."""
        statement = self.bound(name, values)
        [row] = next(self.each([statement], self.deadline(), write=True, profile=CONDITIONAL))
        return bool(row[0])

    def each(
        self, requests: Iterable[Any], deadline: Deadline, *, write: bool, profile: object = None
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Sends requests, several in flight, and yields the rows of each in order; the first failure is raised."""
        for outcome in self.outcomes(requests, deadline, write=write, profile=profile):
            if isinstance(outcome, StoreError):
                raise outcome
            yield outcome

    def outcomes(
        self,
        requests: Iterable[Any],
        deadline: Deadline,
        *,
        write: bool,
        profile: object = None,
        patience: float | None = None,
    ) -> Iterator[list[tuple[Any, ...]] | StoreError]:
        """Sends requests, several in flight, and yields the rows or the failure of each, in order.

        The time of the call begins again with every answer, so a long list of requests may take long, a silent server not.

        Args:
            patience: seconds after which the caller knows another way: what is not answered then is `NotAnswered`.
        """
        waiting: deque[_Sent | StoreError] = deque()
        for request in requests:
            waiting.append(self._send(request, deadline, write, profile))
            if len(waiting) >= self.settings.concurrency:
                yield self._outcome(waiting.popleft(), deadline, write, patience, more=True)
        while waiting:
            yield self._outcome(waiting.popleft(), deadline, write, patience, more=bool(waiting))

    def _send(self, request: Any, deadline: Deadline, write: bool, profile: object = None) -> _Sent | StoreError:
        try:
            driver = self._driver or self.driver
            timeout, at = deadline.left(), time.monotonic()
            future = driver.execute_async(request, timeout=timeout, execution_profile=profile or self._default)
            return _Sent(request, future, at)
        except StoreError as error:
            return error
        except Exception as exc:  # noqa: BLE001 - what is not the driver's is raised again
            return self._translated(exc, write)

    def _outcome(
        self, sent: _Sent | StoreError, deadline: Deadline, write: bool, patience: float | None, *, more: bool
    ) -> list[tuple[Any, ...]] | StoreError:
        if isinstance(sent, StoreError):
            return sent
        if not sent.request.is_idempotent:
            if patience is not None and not self._is_answered(sent, patience):
                return NotAnswered(f"The database ({self.server}) did not answer within {patience:g} s")
            outcome = self._rows(sent, write)
        elif self._is_answered(sent, LATE):
            outcome = self._rows(sent, write)
        else:
            outcome = self._hedged(sent, deadline, write)
        if more and not isinstance(outcome, StoreError):
            deadline.extend()
        return outcome

    def _is_answered(self, sent: _Sent, seconds: float) -> bool:
        """Whether the answer comes within this time since it was asked for."""
        return bool(sent.future._event.wait(max(0.0, sent.at + seconds - time.monotonic())))

    def _rows(self, sent: _Sent, write: bool, *, all_pages: bool = True) -> list[tuple[Any, ...]] | StoreError:
        try:
            # The driver's own timer ends a request, but not once its cluster is shut down: that would wait for ever.
            if not sent.future._event.wait(self.settings.timeout + _GRACE):
                raise _timed_out()
            found = sent.future.result()
            return list(found) if all_pages and found.has_more_pages else found.current_rows
        except Exception as exc:  # noqa: BLE001 - as above
            return self._translated(exc, write)

    def _hedged(self, late: _Sent, deadline: Deadline, write: bool) -> list[tuple[Any, ...]] | StoreError:
        """Asks another node too; the first answer that is none of a failure counts."""
        for host in late.future.attempted_hosts:
            self._slow.note(host)
        again = self._send(late.request, deadline, write) if self.others() else None
        if not isinstance(again, _Sent):
            return self._rows(late, write)
        answered: queue.SimpleQueue[_Sent] = queue.SimpleQueue()
        for sent in (late, again):
            sent.future.add_callbacks(*[lambda _, sent=sent: answered.put(sent)] * 2)
        first = self._next(answered, late)
        outcome = self._rows(first, write)
        if not isinstance(outcome, StoreError):
            return outcome
        second = self._rows(late if first is again else again, write)
        # What one of them does not know, both do not know.
        return outcome if isinstance(second, StoreError) and isinstance(outcome, OutcomeUnknown) else second

    def _next(self, answered: queue.SimpleQueue[_Sent], late: _Sent) -> _Sent:
        try:
            return answered.get(timeout=self.settings.timeout + _GRACE)
        except queue.Empty:
            return late

    def _translated(self, exc: Exception, write: bool) -> StoreError:
        error = translate(exc, self.server, write=write)
        if error is None:
            raise exc
        error.__cause__ = exc
        return error

def _timed_out() -> Exception:
    from cassandra import OperationTimedOut

    error: Exception = OperationTimedOut()
    return error


