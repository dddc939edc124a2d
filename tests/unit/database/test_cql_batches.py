"""What a write does when the nodes that have to remember its batch do not answer: intents first, then the items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from cassandra import WriteTimeout, WriteType

from scylla_store.database.base import Mutation
from scylla_store.database.cql.cluster import retry_policy
from scylla_store.database.cql.errors import NotAnswered, is_batch_log_timeout, translate
from scylla_store.database.cql.items import Items
from scylla_store.errors import DatabaseUnavailable, OutcomeUnknown, StoreError
from scylla_store.identity import ItemId
from scylla_store.intents import Kind, new_intent
from scylla_store.settings.options import DatabaseSettings

ITEM = ItemId(("docs",), "k")
SAID_NOTHING = NotAnswered("The database did not answer within 0.5 s")


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
    """A session that answers batches with an error, all else with another one if told, and writes down what it is asked."""

    error: StoreError
    other_error: StoreError | None = None
    nodes: int = 3
    settings: DatabaseSettings = field(default_factory=DatabaseSettings)
    has_batch_log: bool = True
    sent: list[list[str]] = field(default_factory=list)
    patience: list[float | None] = field(default_factory=list)

    def deadline(self) -> None:
        return None

    def others(self) -> list[int]:
        return list(range(self.nodes))

    def avoid_batch_log(self) -> None:
        self.has_batch_log = False

    def bound(self, name: str, values: Sequence[bytes | None]) -> Bound:
        return Bound(name, values)

    def batch(self, statements: list[Bound]) -> list[Bound]:
        return statements

    def each(self, requests: Iterable[Any], deadline: None, *, write: bool) -> Iterator[list[Any]]:
        return iter([[] for _ in requests])

    def outcomes(
        self, requests: Iterable[Any], deadline: None, *, write: bool, patience: float | None
    ) -> Iterator[Any]:
        for request in requests:
            is_batch = isinstance(request, list)
            self.sent.append([one.name for one in request] if is_batch else [request.name])
            self.patience.append(patience)
            yield self.error if is_batch else (self.other_error or [])


def write(session: Recorded, *namespaces: str) -> list[StoreError | None]:
    items = [ItemId((namespace,), "k") for namespace in namespaces or ("docs",)]
    with Items(session).writing(items) as writing:  # type: ignore[arg-type]
        return writing.commit(
            [
                Mutation(item, 7, b"head", b"body", (new_intent(item, b"w" * 16, 7, Kind.WRITE, now=1, due=2),))
                for item in items
            ]
        )


def test_a_batch_that_no_node_remembered_is_written_intent_first_and_the_next_one_at_once() -> None:
    session = Recorded(timeout(WriteType.BATCH_LOG))

    assert write(session) == [None]
    assert session.sent == [["write_item", "file_intent"], ["file_intent"], ["write_item"]]

    assert write(session) == [None]
    assert session.sent[3:] == [["file_intent"], ["write_item"]]


def test_a_document_above_the_limit_of_a_batch_comes_after_its_intent_and_not_without_it() -> None:
    large = Mutation(ITEM, 7, b"head", bytes(60_000), (new_intent(ITEM, b"w" * 16, 7, Kind.WRITE, now=1, due=2),))
    session = Recorded(timeout(WriteType.BATCH))
    with Items(session).writing([ITEM]) as writing:  # type: ignore[arg-type]
        assert writing.commit([large]) == [None]
    assert session.sent == [["file_intent"], ["write_item"]]

    session = Recorded(timeout(WriteType.BATCH), DatabaseUnavailable())
    with Items(session).writing([ITEM]) as writing:  # type: ignore[arg-type]
        assert isinstance(writing.commit([large])[0], DatabaseUnavailable)
    assert session.sent == [["file_intent"]]


def test_a_batch_that_was_begun_is_left_to_the_caller() -> None:
    session = Recorded(timeout(WriteType.BATCH))

    (error,) = write(session)

    assert isinstance(error, OutcomeUnknown)
    assert session.sent == [["write_item", "file_intent"]]
    assert session.has_batch_log


def test_a_batch_that_is_not_answered_soon_is_written_intent_first_too() -> None:
    session = Recorded(SAID_NOTHING)

    assert write(session) == [None]
    assert session.sent == [["write_item", "file_intent"], ["file_intent"], ["write_item"]]
    assert session.patience == [0.5, None, None]


def test_a_write_that_fails_in_both_ways_may_have_happened() -> None:
    session = Recorded(SAID_NOTHING, other_error=DatabaseUnavailable("two of three nodes are down"))

    (error,) = write(session)

    assert type(error) is OutcomeUnknown
    assert "two of three nodes are down" in str(error)


@pytest.mark.parametrize(("nodes", "namespaces"), [(1, ("docs",)), (3, ("docs", "mail"))])
def test_one_node_alone_and_several_batches_have_all_the_time_there_is(nodes: int, namespaces: tuple[str, ...]) -> None:
    session = Recorded(timeout(WriteType.BATCH), nodes=nodes)

    write(session, *namespaces)

    assert session.patience == [None] * len(namespaces)


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
