"""Conditions without an engine: what they say of one payload."""

from __future__ import annotations

from typing import Any

from scylla_store.conditions import Condition, Every, No, OneOf, Within


def holds(where: Condition, payload: dict[str, Any]) -> bool:
    """Whether the condition holds."""
    if isinstance(where, OneOf):
        found: Any = payload.get(where.field)
        return any(value in where.values for value in (found if isinstance(found, list) else [found]))
    if isinstance(where, Within):
        return _is_within(where, payload.get(where.field))
    if isinstance(where, No):
        return not holds(where.part, payload)
    join = all if isinstance(where, Every) else any
    return join(holds(part, payload) for part in where.parts)


def _is_within(where: Within, found: Any) -> bool:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    return (where.above is None or found > where.above) and (where.below is None or found < where.below)
