"""Nodes that owe an answer are asked last, until the driver knows that they are down or they have answered again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

LATE = 0.2
"""Seconds after which a node is late with an answer that takes milliseconds, so that another one is asked too."""

_AVOIDED = 5.0
"""Seconds. The driver notices a node that hangs by its heartbeat only."""


class SlowNodes:
    """Which nodes were late a moment ago, as this process saw it. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Any, float] = {}

    def note(self, node: Any) -> None:
        """It is late with an answer."""
        self._until[node] = self._clock() + _AVOIDED

    def __contains__(self, node: Any) -> bool:
        return self._until.get(node, 0.0) > self._clock()

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return bool(self._until)

    def last(self, nodes: Iterable[Any]) -> list[Any]:
        """The nodes in their order, the slow ones at the end."""
        return sorted(nodes, key=self.__contains__)


def avoiding(slow: SlowNodes, policy: Any) -> Any:
    """A load balancing policy that asks slow nodes last, and else does what the given one says."""
    from cassandra.policies import WrapperPolicy

    class Policy(WrapperPolicy):  # type: ignore[misc]
        def make_query_plan(self, working_keyspace: str | None = None, query: Any = None) -> Iterable[Any]:
            plan: Iterable[Any] = self._child_policy.make_query_plan(working_keyspace, query)
            return slow.last(plan) if slow else plan

    return Policy(policy)
