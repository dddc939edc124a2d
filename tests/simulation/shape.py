"""How large a world is and how bad its days are, drawn by seed: many tiny worlds, some large ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.choices import Choices
from tests.simulation.scheduler import SECOND

SKEW = 2 * SECOND
"""`clock.max_clock_skew` of these worlds; no clock is further off."""

NODES = SECOND // 2
"""`clock.max_node_clock_difference`; no node's clock is further off."""

_KINDS = ("put", "put", "put", "put", "ttl", "noindex", "delete", "delete")


@dataclass(frozen=True)
class Shape:
    """One kind of world.

    Attributes:
        ticks, clocks: what time moves by from one step to the next, and how far clocks are off (microseconds).
        sleepiness: how often somebody rests while the others go on.
        fault_rate, kill_rate, jump_rate: how often a request fails, an actor is killed, time jumps; for each step.
        split: how often a write and its intents are not seen at once.
        slow: how often an answer takes time too.
        unsent: how often a writer sends no task.
        is_poisonous: some texts cannot be embedded, and dead letters come soon.
        contenders: conditional writers; counts: whether they do nothing but count, and nobody else writes.
        hides: how often the answer to a conditional write is lost while the write lies in wait.
        nodes: how far the clocks of the database's nodes are off (microseconds).
        lasts: whether it is looked at hours later too.
    """

    items: int
    writers: int
    workers: int
    readers: int
    drains: int
    reconcilers: int
    operations: int
    restarts: int
    ticks: Sequence[int]
    clocks: Sequence[int]
    sleepiness: float
    fault_rate: float
    kill_rate: float
    jump_rate: float
    is_poisonous: bool
    lasts: bool
    kinds: Sequence[str] = _KINDS
    split: float = 0.3
    slow: float = 0.03
    unsent: float = 0.0
    contenders: int = 0
    counts: bool = False
    hides: float = 0.0
    nodes: Sequence[int] = (0,)

    @classmethod
    def drawn(cls, source: Choices, kind: str | None = None) -> Shape:
        """A shape by chance, or one of this kind."""
        kinds = {
            "duel": _duel, "tiny": _tiny, "early": _early, "pair": _pair, "large": _large, "expiring": _expiring,
            "poisoned": _poisoned, "contended": _contended,
        }  # fmt: skip
        if kind is None:
            return source.choice((*kinds.values(), _duel))(source)
        return kinds[kind](source.forced(list(kinds.values()), kinds[kind]))


def _duel(source: Choices) -> Shape:
    """Two writes and two workers at one item in one microsecond, nothing else, and everybody rests before it matters."""
    pick = source.choice
    return Shape(
        items=1,
        writers=2,
        workers=2,
        readers=pick((0, 0, 1)),
        drains=pick((0, 0, 1)),
        reconcilers=pick((0, 0, 0, 1)),
        operations=1,
        restarts=pick((0, 1, 5)),
        ticks=pick(((0,), (0,), (0, SECOND))),
        clocks=(0,),
        sleepiness=pick((0.15, 0.25, 0.35)),
        fault_rate=pick((0.0, 0.0, 0.05)),
        kill_rate=pick((0.0, 0.0, 0.02)),
        jump_rate=0.0,
        is_poisonous=False,
        lasts=False,
        kinds=pick((("put",), ("put", "put", "delete", "noindex"), ("put", "ttl", "ttl"))),
    )


def _tiny(source: Choices) -> Shape:
    """Two or three writes of one item that draw one time, often the same version, and everybody pauses a lot."""
    pick = source.choice
    return Shape(
        items=1,
        writers=pick((2, 2, 3)),
        workers=pick((2, 2, 3)),
        readers=pick((0, 0, 1)),
        drains=1,
        reconcilers=pick((0, 0, 1)),
        operations=1,
        restarts=pick((0, 1, 5)),
        ticks=pick(((0,), (0,), (0, 1, SECOND))),
        clocks=pick(((0,), (0,), (0, SKEW, -SKEW))),
        sleepiness=pick((0.1, 0.2, 0.3)),
        fault_rate=pick((0.0, 0.0, 0.05)),
        kill_rate=pick((0.0, 0.01)),
        jump_rate=pick((0.0, 0.0, 0.03)),
        is_poisonous=False,
        lasts=False,
        kinds=pick((_KINDS, ("put", "put", "delete"), ("put", "ttl"))),
    )


def _early(source: Choices) -> Shape:
    """Intents that are dispatched before their rows are there, and writers that take long."""
    pick = source.choice
    return Shape(
        items=1,
        writers=pick((1, 2, 2)),
        workers=2,
        readers=0,
        drains=pick((1, 2)),
        reconcilers=pick((0, 0, 0, 1)),
        operations=pick((1, 1, 2)),
        restarts=pick((1, 5)),
        ticks=pick(((0,), (0,), (0, 0, 0, 0, SECOND), (*[0] * 15, 12 * SECOND))),
        clocks=pick(((0,), (0, SKEW, -SKEW))),
        sleepiness=pick((0.15, 0.25, 0.35)),
        fault_rate=0.0,
        kill_rate=pick((0.0, 0.0, 0.01)),
        jump_rate=pick((0.0, 0.0, 0.02)),
        is_poisonous=False,
        lasts=False,
        kinds=pick((("put", "delete"), ("put", "put", "noindex"))),
        split=0.9,
        slow=0.3,
        unsent=0.7,
    )


def _pair(source: Choices) -> Shape:
    """Batches of two items of which one is written again meanwhile."""
    pick = source.choice
    return Shape(
        items=2,
        writers=2,
        workers=2,
        readers=0,
        drains=pick((0, 0, 1)),
        reconcilers=pick((0, 0, 0, 1)),
        operations=pick((1, 2)),
        restarts=pick((0, 1, 5)),
        ticks=pick(((0,), (0, 1))),
        clocks=(0,),
        sleepiness=pick((0.15, 0.25, 0.35)),
        fault_rate=pick((0.0, 0.0, 0.05)),
        kill_rate=0.0,
        jump_rate=0.0,
        is_poisonous=False,
        lasts=False,
        kinds=pick((("put",), ("put", "put", "delete"))),
    )


def _large(source: Choices) -> Shape:
    pick = source.choice
    return Shape(
        items=pick((1, 1, 2)),
        writers=pick((1, 2, 2, 3)),
        workers=pick((2, 2, 3)),
        readers=pick((0, 1, 1)),
        drains=pick((1, 1, 2)),
        reconcilers=pick((0, 0, 1, 2)),
        operations=pick((1, 2, 3, 5)),
        restarts=pick((0, 1, 2, 5)),
        ticks=pick(((0,), (0, 0, 0, 1), (0, 1, 50, 1000), (0, 1, SECOND // 10, SECOND))),
        clocks=pick(((0,), (0, 0, SECOND, -SECOND), (0, SKEW, -SKEW))),
        sleepiness=pick((0.0, 0.05, 0.1, 0.2)),
        fault_rate=pick((0.0, 0.02, 0.06)),
        kill_rate=pick((0.0, 0.005, 0.02)),
        jump_rate=pick((0.0, 0.01, 0.03)),
        is_poisonous=source.chance(0.3),
        lasts=source.chance(0.3),
    )


def _expiring(source: Choices) -> Shape:
    """Writes that end while they are indexed, read, refreshed and replaced."""
    pick = source.choice
    return Shape(
        items=1,
        writers=pick((1, 2, 2)),
        workers=2,
        readers=pick((0, 1)),
        drains=2,
        reconcilers=pick((0, 0, 0, 1)),
        operations=pick((1, 2)),
        restarts=pick((0, 1, 5)),
        ticks=pick(((0, SECOND), (0, 0, SECOND // 2), (0, 1, SECOND // 10))),
        clocks=pick(((0,), (0, SKEW, -SKEW))),
        sleepiness=pick((0.15, 0.25, 0.35)),
        fault_rate=pick((0.0, 0.0, 0.05)),
        kill_rate=pick((0.0, 0.01)),
        jump_rate=pick((0.0, 0.0, 0.03)),
        is_poisonous=False,
        lasts=False,
        kinds=pick((("ttl",), ("ttl", "ttl", "put"))),
    )


def _poisoned(source: Choices) -> Shape:
    """Texts that cannot be embedded, or kill their worker, among others."""
    pick = source.choice
    return Shape(
        items=pick((1, 1, 2)),
        writers=pick((1, 2)),
        workers=2,
        readers=0,
        drains=pick((1, 2)),
        reconcilers=pick((0, 0, 0, 1)),
        operations=pick((1, 2, 3)),
        restarts=pick((1, 5)),
        ticks=pick(((0,), (0, 1, SECOND))),
        clocks=pick(((0,), (0, SKEW, -SKEW))),
        sleepiness=pick((0.05, 0.1, 0.2)),
        fault_rate=pick((0.0, 0.03, 0.08)),
        kill_rate=pick((0.0, 0.0, 0.01)),
        jump_rate=pick((0.0, 0.02)),
        is_poisonous=True,
        lasts=False,
        kinds=pick((("put",), ("put", "put", "put", "delete", "ttl"))),
    )


def _contended(source: Choices) -> Shape:
    """Conditional writers of one item, alone or beside plain ones; their answers are lost, and nodes have clocks of their own."""
    pick = source.choice
    counts = source.chance(0.5)
    return Shape(
        items=1,
        writers=0 if counts else pick((0, 1, 1)),
        workers=pick((1, 2)),
        readers=0 if counts else pick((0, 0, 1)),
        drains=1,
        reconcilers=pick((0, 0, 0, 1)),
        operations=pick((1, 2, 2)),
        restarts=pick((1, 5)),
        ticks=pick(((0,), (0, 1), (0, 1, SECOND // 10), (*[0] * 15, 12 * SECOND))),
        clocks=pick(((0,), (0, SKEW, -SKEW))),
        sleepiness=pick((0.1, 0.2, 0.3)),
        fault_rate=pick((0.0, 0.03, 0.08)),
        kill_rate=pick((0.0, 0.0, 0.01)),
        jump_rate=pick((0.0, 0.0, 0.02)),
        is_poisonous=False,
        lasts=False,
        kinds=pick((("put",), ("put", "delete", "ttl"))),
        unsent=0.3,
        contenders=pick((2, 2, 3)),
        counts=counts,
        hides=pick((0.0, 0.1, 0.3)),
        nodes=pick(((0,), (0, NODES, -NODES))),
    )
