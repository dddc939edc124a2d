"""Mutations -> statements -> logged batches within the server's limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scylla_store.database.base import Mutation
from scylla_store.database.cql.encoding import bigint, integer, labels, size, smallint, text
from scylla_store.identity import Namespace
from scylla_store.intents import Intent

if TYPE_CHECKING:
    from cassandra.query import BoundStatement

    from scylla_store.database.cql.session import Session, Values

FILED = bigint(1)
"""Write time of an outbox row: below that of any bookkeeping, which is below that of any ack (see `outbox`)."""

_STATEMENT_OVERHEAD = 64
_MANY_PARTITIONS = 8
"""Writes alone in their partitions: from here on they are faster with all their intents first than in a batch each."""


@dataclass(slots=True)
class Part:
    """What is sent as one request: the statements of some mutations, named by their positions in the commit."""

    statements: list[BoundStatement] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, position: int, statements: Iterable[BoundStatement], size: int) -> None:
        """Puts statements of a mutation into the request."""
        self.statements += statements
        self.positions.append(position)
        self.size += size


@dataclass(slots=True)
class Plan:
    """What a commit sends: batches of items with their intents; and intents, and then the items that they belong to."""

    batches: list[Part] = field(default_factory=list)
    intents: list[Part] = field(default_factory=list)
    items: list[Part] = field(default_factory=list)


class Encoder:
    """Encodes mutations; namespaces only once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._labels: dict[Namespace, bytes] = {}

    def labels(self, namespace: Namespace) -> bytes:
        """The namespace as a partition key."""
        encoded = self._labels.get(namespace)
        if encoded is None:
            encoded = self._labels[namespace] = labels(namespace)
        return encoded

    def item(self, mutation: Mutation) -> BoundStatement:
        """The statement that writes head and body."""
        namespace, key = self.labels(mutation.id.namespace), text(mutation.id.key)
        if mutation.ttl is None:
            values: Values = (bigint(mutation.version), mutation.head, mutation.body, namespace, key)
            return self._session.bound("write_item", values)
        values = (bigint(mutation.version), integer(mutation.ttl), mutation.head, namespace, key)
        return self._session.bound("delete_item", values)

    def intent(self, intent: Intent) -> BoundStatement:
        """The statement that files an intent."""
        slot, shard, due, ident = key_values(intent.key.slot, intent.key.shard, intent.key.due, intent.key.intent)
        version = None if intent.version is None else bigint(intent.version)
        values = (
            slot, shard, due, ident, self.labels(intent.item.namespace), text(intent.item.key), intent.write_id,
            version, text(intent.kind.value), bigint(intent.filed_at), FILED,
        )  # fmt: skip
        return self._session.bound("file_intent", values)

    def plan(self, mutations: Sequence[Mutation], limit: int, *, batches: bool = True) -> Plan:
        """Requests of at most `limit` bytes, those of one partition together; without `batches` all intents come first."""
        plan = Plan()
        groups = _by_partition(mutations)
        alone = [group[0] for group in groups.values() if len(group) == 1]
        scattered = set(alone) if len(alone) >= _MANY_PARTITIONS else set()
        if not batches:
            scattered = set(range(len(mutations)))
        first: list[tuple[int, Intent]] = []
        for group in groups.values():
            current = Part()
            for position in group:
                mutation = mutations[position]
                item = self.item(mutation)
                intents = [self.intent(intent) for intent in mutation.intents]
                needed = weight([item, *intents])
                if needed > limit or position in scattered:
                    first += ((position, intent) for intent in mutation.intents)
                    plan.items.append(Part([item], [position], needed))
                    continue
                if current.size + needed > limit:
                    plan.batches.append(current)
                    current = Part()
                current.add(position, [item, *intents], needed)
            if current.positions:
                plan.batches.append(current)
        plan.intents = self._filing(first, limit)
        return plan

    def _filing(self, intents: Iterable[tuple[int, Intent]], limit: int) -> list[Part]:
        """Requests that file intents, those of one partition together."""
        groups: dict[tuple[int, int], list[Part]] = {}
        for position, intent in intents:
            statement = self.intent(intent)
            needed = weight([statement])
            parts = groups.setdefault((intent.key.slot, intent.key.shard), [Part()])
            if parts[-1].size + needed > limit:
                parts.append(Part())
            parts[-1].add(position, [statement], needed)
        return [part for parts in groups.values() for part in parts if part.positions]


def key_values(slot: int, shard: int, due: int, intent: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The primary key of an outbox row."""
    return bigint(slot), smallint(shard), bigint(due), intent


def weight(statements: Iterable[BoundStatement]) -> int:
    """About how many bytes of a batch the server counts for these statements."""
    return sum(size(statement.values) + _STATEMENT_OVERHEAD for statement in statements)


def chunks(statements: Iterable[BoundStatement], limit: int) -> Iterator[list[BoundStatement]]:
    """Statements in groups of at most `limit` bytes (one alone may be larger)."""
    group: list[BoundStatement] = []
    total = 0
    for statement in statements:
        needed = weight([statement])
        if group and total + needed > limit:
            yield group
            group, total = [], 0
        group.append(statement)
        total += needed
    if group:
        yield group


def _by_partition(mutations: Sequence[Mutation]) -> dict[Namespace, list[int]]:
    groups: dict[Namespace, list[int]] = {}
    for position, mutation in enumerate(mutations):
        groups.setdefault(mutation.id.namespace, []).append(position)
    return groups
