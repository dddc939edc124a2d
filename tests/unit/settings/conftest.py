"""Settings of the machine that runs the tests have no say."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("SCYLLA_STORE_"):
            monkeypatch.delenv(variable)
