"""The disk of an embedded store is full for a while: a small file system of its own, filled by a file and freed again."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.cluster import as_environment
from tests.acceptance.judge import judged
from tests.acceptance.processes import Child
from tests.acceptance.record import attempts, begun
from tests.acceptance.sources import database_file, embedded_outbox
from tests.acceptance.waiting import poll, wait_until_calm
from tests.campaign.control import VARIABLE, embedding, writing
from tests.campaign.run import Result, columns_of, compared, embedded, errors_of
from tests.campaign.signs import Signs, first_of_each_channel
from tests.campaign.site import now
from tests.campaign.writer import record_of
from tests.servers import Missing

NAME = "disk of the embedded store full"
_ROOM, _ROOM_OF_ONE = 192 * 2**20, 16 * 2**10
"""Bytes of the small disk: for an empty store, and for each operation. What was written is to fit on it when the filler is gone."""

_ROOT = "disk"
_PATIENCE = 60.0
_SETTINGS = {"sync__margin": 1.0, "sync__backoff": 0.5, "sync__backoff_most": 2.0, "sync__outage_delay": 1.0}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system in memory of so many bytes; raises Missing where that is not allowed."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise Missing(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(path: Path) -> None:
    """A file that leaves nothing."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def run(folder: Path, *, operations: int, rate: float, commit: str) -> Result:
    """One writer with an embedded store, which is started again whenever it dies."""
    (folder / "embedded").mkdir(parents=True)
    result = Result(NAME, commit, operations)
    control, seconds = writing(folder), operations / rate
    control.tell(root=_ROOT, keys=max(20, operations // 10), rate=rate, run=True)
    embedding(folder).tell(seconds=0.0)
    signs = Signs(folder)
    signs.start()
    with small_disk(folder / "disk", _ROOM + operations * _ROOM_OF_ONE) as disk:
        settings = {**_SETTINGS, "path": str(disk / "store"), "embedder__name": "tests.campaign.embedder:Told"}
        environment = {**as_environment(settings), VARIABLE: str(folder)}
        writer = Child("writer0", ["-m", "tests.campaign.writer", "0"], environment, folder)
        watcher = Child("watcher", ["-m", "tests.campaign.watcher"], environment, folder)
        try:
            began, broken, healed = _phases(writer, watcher, disk, folder, operations, seconds)
            result.held = round(healed - broken, 1)
            control.tell(run=False)
            watcher.kill()
            _wait_until_calm(writer, disk / "store", folder, result, healed)
        finally:
            writer.kill()
            watcher.kill()
        _judge(folder, disk, environment, result)
    signs.close()
    known = {f"{sign.channel} {sign.key}" for sign in signs.between(began, broken)}
    result.visible = first_of_each_channel(signs.between(broken, broken + 30), known, broken)
    done = attempts(record_of(folder, _ROOT, 0))
    result.acknowledged = sum(one.acknowledged == one.writes for one in done)
    result.errors, result.foreign = errors_of(done)
    timed = [(one.began, one.seconds) for one in done if one.seconds is not None and one.writes == 1]
    result.put = compared(
        [took for at, took in timed if began <= at < broken], [took for at, took in timed if broken <= at < healed]
    )
    return result


def _judge(folder: Path, disk: Path, environment: dict[str, str], result: Result) -> None:
    """As it is, and after the reconciliation by the command, which carries out the repairs itself before it ends."""

    def verdict() -> dict[str, Any]:
        return columns_of(judged("--records", folder / "records" / _ROOT, "--folder", disk / "store"))

    result.before = verdict()
    held, began = _texts(folder), now()
    command = Child("reconcile", ["-m", "scylla_store.cli", "reconcile", "--full", "--wait"], environment, folder)
    command.start()
    try:
        result.reconciled = command.wait(10 * _PATIENCE) == 0
    finally:
        command.kill()
    if not result.reconciled:
        result.notes.append(f"reconcile ended with {command.exit_code}: {command.tail()[-500:]}")
    result.after = verdict()
    result.embedded["without need"] = len([text for at, text in embedded(folder) if at >= began and text in held])


def _phases(
    writer: Child, watcher: Child, disk: Path, folder: Path, operations: int, seconds: float
) -> tuple[float, float, float]:
    """Healthy, full, healthy; the writer is kept running."""
    filler = disk / "filler"
    writer.start()
    assert poll(lambda: bool(attempts(record_of(folder, _ROOT, 0))), _PATIENCE), writer.tail()
    watcher.start()
    began = now()
    _keep(writer, seconds * 0.35)
    broken = now()
    fill(filler)
    _keep(writer, max(10.0, seconds * 0.4), lambda: fill(filler))
    filler.unlink()
    healed = now()
    _keep(writer, seconds, lambda: begun(record_of(folder, _ROOT, 0)) >= operations)
    return began, broken, healed


def _texts(folder: Path) -> set[str]:
    """Hashes of what was embedded so far: the most that the index may hold."""
    return {text for _, text in embedded(folder)}


def _keep(writer: Child, seconds: float, is_over: Callable[[], object] = bool) -> None:
    """What dies is started again, as a supervisor would, for so long or until it is over."""

    def is_enough() -> bool:
        if not writer.is_running:
            with writer.log.open("a") as log:
                log.write(f"ERROR the process ended with {writer.exit_code} and is started again\n")
            writer.start()
        return bool(is_over())

    poll(is_enough, seconds, every=0.5)


def _wait_until_calm(writer: Child, store: Path, folder: Path, result: Result, healed: float) -> None:
    """The writer's own executor goes on; then it ends in peace."""
    writer.start()
    connection = sqlite3.connect(database_file(store))
    try:
        wait_until_calm(lambda: embedded_outbox(connection), _PATIENCE * 2)
        result.calm = round(now() - healed, 1)
    except AssertionError as exc:
        result.notes.append(str(exc)[:500])
    finally:
        connection.close()
    writing(folder).tell(end=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        result.notes += [] if writer.wait(_PATIENCE) == 0 else [f"the writer ended with {writer.exit_code}"]
