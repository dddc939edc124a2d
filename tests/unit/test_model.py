"""The store held against a plain dictionary, on SQLite and Qdrant's engine: all operations, crashes anywhere, time that passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.running import run
from tests.model.world import Files, make_template


def test_the_store_is_a_dictionary_whatever_happens(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    template = make_template(tmp_path / "template")
    with capsys.disabled():
        run(lambda has_engine: Files(template if has_engine else None), runs=250, steps=40)
