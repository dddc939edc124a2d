"""Which nodes of a cluster are asked last."""

from __future__ import annotations

from typing import Any

from cassandra.policies import RoundRobinPolicy

from scylla_store.database.cql.nodes import SlowNodes, avoiding


def test_a_node_that_was_late_is_asked_last_for_some_seconds() -> None:
    now = [100.0]
    slow = SlowNodes(lambda: now[0])

    slow.note("b")

    assert slow.last("abc") == ["a", "c", "b"]
    now[0] += 6
    assert slow.last("abc") == ["a", "b", "c"]


def test_of_nodes_that_are_all_late_none_is_passed_over() -> None:
    slow = SlowNodes()
    for node in "abc":
        slow.note(node)
    assert slow.last("abc") == ["a", "b", "c"]


def test_the_policy_begins_with_a_node_that_is_not_slow() -> None:
    slow = SlowNodes()
    policy: Any = avoiding(slow, RoundRobinPolicy())
    policy.populate(None, ["a", "b", "c"])
    assert {next(iter(policy.make_query_plan())) for _ in range(6)} == {"a", "b", "c"}

    slow.note("b")

    assert {next(iter(policy.make_query_plan())) for _ in range(6)} == {"a", "c"}
    assert {list(policy.make_query_plan())[-1] for _ in range(6)} == {"b"}
