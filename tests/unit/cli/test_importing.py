"""`scylla-store import` that is told to end while it waits: for back-pressure, and for the index."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scylla_store import ScyllaStore
from scylla_store.cli import main
from scylla_store.embedders import HashingEmbedder
from scylla_store.pressure import Pressure

COUNT = 3
RELEASE = threading.Event()
ASKED = threading.Event()


class Held:
    """An embedder that answers when it is let."""

    name = "held"
    dimensions = 256

    def embed(self, texts: list[str]) -> Any:
        ASKED.set()
        RELEASE.wait(60)
        return HashingEmbedder().embed(texts)


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Some lines, and an embedder that is held until the end of the test."""
    monkeypatch.setenv("SCYLLA_STORE_EMBEDDER__NAME", f"{__name__}:Held")
    monkeypatch.chdir(tmp_path)
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(f'{{"key": "k{number}", "value": {{"text": "tea"}}}}\n' for number in range(COUNT)))
    RELEASE.clear()
    ASKED.clear()
    yield lines
    RELEASE.set()


def run(*options: str) -> Result:
    return CliRunner().invoke(main, ["--path", "data", "import", "lines.jsonl", "--namespace", "docs", *options])


def stored() -> list[str]:
    with ScyllaStore.from_settings(path="data") as store:
        return [item.key for item in store.list(("docs",)).items]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_import_that_waits_for_back_pressure(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    # Given a full outbox and an import that has met it; the signal comes while it looks
    pending, looks = Pressure._pending, []

    def signalled(pressure: Pressure) -> int:
        found = pending(pressure)
        if found:
            looks.append(found)
            assert len(looks) < 10, "it goes on waiting"
            if len(looks) == 2:
                signal.raise_signal(number)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Pressure, "_pending", signalled)
        # When
        stopped = run("--batch", "1", "--no-wait", "-o", "bulk.max_pending=1", "-o", "bulk.patience=600")
    # Then it ends there, with what was stored and where it was
    assert stopped.exit_code == 128 + number, stopped.output
    assert (
        "Stopped after 1 of lines.jsonl, 1 stored by this run; the same command goes on from there." in stopped.stderr
    )
    assert stored() == ["k0"]
    # And the same command goes on
    assert run("--no-wait").exit_code == 0
    assert stored() == ["k0", "k1", "k2"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_waits_for_the_index_is_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    # Given an import that waits for an embedder at work
    status = ScyllaStore.status

    def signalled(store: ScyllaStore, **options: Any) -> Any:
        monkeypatch.setattr(ScyllaStore, "status", status)
        assert ASKED.wait(30)
        signal.raise_signal(number)
        return status(store, **options)

    monkeypatch.setattr(ScyllaStore, "status", signalled)
    # When the signal comes
    stopped = run()
    # Then everything is stored, which is said, and the exit code is the signal's
    assert stopped.exit_code == 128 + number, stopped.output
    assert f"all of lines.jsonl is stored, {COUNT} writes are not searchable yet" in stopped.stderr
    assert len(stored()) == COUNT
