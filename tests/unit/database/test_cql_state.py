"""Named values in CQL: which time they are written at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from scylla_store.clock import SECOND
from scylla_store.database.cql.encoding import bigint
from scylla_store.database.cql.registry import State

NOW = 1_700_000_000 * SECOND


class Stored:
    """A session that has one value's time, and writes down what it is asked to write."""

    def __init__(self, time: int | None) -> None:
        self.time = time
        self.written: list[tuple[str, Sequence[Any]]] = []

    def rows(self, name: str, values: Sequence[Any]) -> list[tuple[int | None]]:
        assert name == "state_time"
        return [] if self.time is None else [(self.time,)]

    def write(self, name: str, values: Sequence[Any]) -> None:
        self.written.append((name, values))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(None, NOW, id="the first one"),
        pytest.param(NOW - SECOND, NOW, id="an older one"),
        pytest.param(NOW, NOW + 1, id="one of this microsecond"),
        pytest.param(NOW + 3600 * SECOND, NOW + 3600 * SECOND + 1, id="one of a machine whose clock is an hour fast"),
    ],
)
def test_a_value_is_written_after_the_one_that_is_there(stored: int | None, expected: int) -> None:
    session = Stored(stored)

    State(session, lambda: NOW).set_state("drain.summary", b"{}")  # type: ignore[arg-type]

    [(name, values)] = session.written
    assert (name, values[:2]) == ("set_state", [bigint(expected), b"{}"])
