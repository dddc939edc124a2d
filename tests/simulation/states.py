"""How many different states of the stores the schedules went through.

A state is what database, index, outbox and broker hold, up to names and times: writes are numbered in the order in which
they began, and of a time only counts whether it is over. So the same situation under other ids and at another hour is the
same state.
"""

from __future__ import annotations

from collections.abc import Hashable

from scylla_store.identity import item_digest
from scylla_store.rows import Row
from tests.simulation.world import World


class States:
    """Looks at a world after each step of it."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, others: States) -> None:
        """Those that another process has seen: a fork of the same one, so that hashes are the same."""
        self._seen |= others._seen

    def watch(self, world: World) -> None:
        """Looks from now on."""
        world.scheduler.after_step = lambda: self._seen.add(hash(state_of(world)))


def state_of(world: World) -> Hashable:
    """What the stores hold now."""
    numbers: dict[str, int] = {}
    for ids in world.faults.written.values():
        for ident in sorted(ids):
            numbers.setdefault(ident.hex(), len(numbers))
    return (
        tuple(_row(world.judge.row(item), numbers, world.scheduler.now) for item in world.items),
        _points(world, numbers),
        _outbox(world, numbers),
        tuple(sorted(len(message.refs) for message in world.broker.messages)),
    )


def _row(row: Row | None, numbers: dict[str, int], now: int) -> Hashable:
    if row is None:
        return None
    return numbers.get(row.head.write_id.hex()), row.head.deleted, row.is_live(now), row.letter is not None


def _points(world: World, numbers: dict[str, int]) -> Hashable:
    digests = [item_digest(item) for item in world.items]
    found = world.index.points_of(digests)
    return tuple(
        tuple(
            (point.payload["ordinal"], numbers.get(point.payload["write"]), point.payload["text_hash"] == "")
            for point in found.get(digest, ())
        )
        for digest in digests
    )


def _outbox(world: World, numbers: dict[str, int]) -> Hashable:
    tables, rows = world.database.tables, []
    for slot, shard in tables.partitions(None, 1000)[0]:
        for entry in tables.page(slot, shard, after=None, limit=1000).entries:
            intent = entry.intent
            rows.append(
                (
                    intent.item.key, intent.kind.value, numbers.get(intent.write_id.hex(), -1), entry.attempts,
                    entry.error is not None, entry.next_attempt <= world.scheduler.now,
                )
            )  # fmt: skip
    return tuple(sorted(rows))
