"""What a write does when the nodes that have to remember its batch do not answer: intents first, then the items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cassandra import WriteTimeout, WriteType

from scylla_store.database.base import Mutation
from scylla_store.database.cql.cluster import retry_policy
from scylla_store.database.cql.errors import is_batch_log_timeout, translate
from scylla_store.database.cql.items import Items
from scylla_store.errors import OutcomeUnknown, StoreError
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, new_intent
from scylla_store.settings.options import DatabaseSettings

ITEM = ItemId(("docs",), "k")


def timeout(kind: int) -> StoreError:
    """What the session makes of the driver's exception."""
    cause = WriteTimeout("too late", write_type=kind, consistency=2, required_responses=2, received_responses=1)
    error = translate(cause, "server", write=True)
    assert error is not None
    error.__cause__ = cause
    return error


@dataclass
class Bound:
    name: str
    values: Sequence[bytes | None]


@dataclass
class Recorded:
    """A session that answers batches with an error, and writes down what it is asked."""

    error: StoreError
    settings: DatabaseSettings = field(default_factory=DatabaseSettings)
    has_batch_log: bool = True
    sent: list[list[str]] = field(default_factory=list)

    def deadline(self) -> None:
        return None

    def avoid_batch_log(self) -> None:
        self.has_batch_log = False

    def bound(self, name: str, values: Sequence[bytes | None]) -> Bound:
        return Bound(name, values)

    def batch(self, statements: list[Bound]) -> list[Bound]:
        return statements

    def each(self, requests: Iterable[Any], deadline: None, *, write: bool) -> Iterator[list[Any]]:
        return iter([[] for _ in requests])

    def outcomes(self, requests: Iterable[Any], deadline: None, *, write: bool) -> Iterator[Any]:
        for request in requests:
            is_batch = isinstance(request, list)
            self.sent.append([one.name for one in request] if is_batch else [request.name])
            yield self.error if is_batch else []


def write(session: Recorded) -> list[StoreError | None]:
    intent = new_intent(ITEM, b"w" * 16, 7, Kind.WRITE, now=1, due=2)
    with Items(session).writing([ITEM]) as writing:  # type: ignore[arg-type]
        return writing.commit([Mutation(ITEM, 7, b"head", b"body", (intent,))])


def test_a_batch_that_no_node_remembered_is_written_intent_first_and_the_next_one_at_once() -> None:
    session = Recorded(timeout(WriteType.BATCH_LOG))

    assert write(session) == [None]
    assert session.sent == [["write_item", "file_intent"], ["file_intent"], ["write_item"]]

    assert write(session) == [None]
    assert session.sent[3:] == [["file_intent"], ["write_item"]]


def test_a_batch_that_was_begun_is_left_to_the_caller() -> None:
    session = Recorded(timeout(WriteType.BATCH))

    (error,) = write(session)

    assert isinstance(error, OutcomeUnknown)
    assert session.sent == [["write_item", "file_intent"]]
    assert session.has_batch_log


@pytest.mark.parametrize(("kind", "expected"), [(WriteType.BATCH_LOG, True), (WriteType.SIMPLE, False)])
def test_only_the_timeout_of_the_batch_log_is_taken_for_one(kind: int, expected: bool) -> None:
    assert is_batch_log_timeout(timeout(kind)) is expected
    assert not is_batch_log_timeout(OutcomeUnknown("of unknown cause"))


def test_the_driver_does_not_send_such_a_batch_again() -> None:
    policy = retry_policy()
    for kind in (WriteType.BATCH_LOG, WriteType.SIMPLE):
        decision, _ = policy.on_write_timeout(
            None, consistency=2, write_type=kind, required_responses=2, received_responses=1, retry_num=0
        )
        assert decision == policy.RETHROW
