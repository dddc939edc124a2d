"""The store held against a plain dictionary, on a real CQL server: all operations, crashes anywhere, time that passes."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.model.running import run
from tests.model.server import Server

pytestmark = pytest.mark.integration


def test_the_store_on_a_server_is_a_dictionary_whatever_happens(
    cassandra: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Server(cassandra)) as server, capsys.disabled():
        run(lambda has_engine: server.run(), runs=15, steps=40)
