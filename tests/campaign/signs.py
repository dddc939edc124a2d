"""What an operator could have seen: status, health, logs and metrics, each with the time when it was first there."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANNELS = ("status", "health", "logs", "metrics")
OLD = 10.0
"""Seconds: a pending write or a summary older than this is a sign."""

_LEVELS = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback")
_STAMP = re.compile(r"^\[?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,\d]*[:\]]?\s*")
_NUMBERS = re.compile(r"[0-9a-f]{6,}|\d+")
_TELLING = re.compile(r"fail|dead|error|open|breaker|skew|refused|emptied|troubled")


@dataclass(frozen=True)
class Sign:
    """One sign. `key` is the same for signs that say the same."""

    at: float
    channel: str
    key: str
    text: str


class Signs:
    """Collects in a thread, from a watcher's file, the processes' logs and a UDP port that receives StatsD."""

    def __init__(self, campaign: Path) -> None:
        self._campaign = campaign
        self._positions: dict[Path, int] = {}
        self._found: list[Sign] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._follow, self._receive)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    def between(self, start: float, end: float = float("inf")) -> list[Sign]:
        """Signs seen in this time (monotonic)."""
        with self._lock:
            return [sign for sign in self._found if start <= sign.at < end]

    def _add(self, signs: Iterator[Sign]) -> None:
        found = list(signs)
        with self._lock:
            self._found += found

    def _follow(self) -> None:
        while not self._ended.wait(0.25):
            for path in (self._campaign / "watched.jsonl", *self._campaign.glob("*.out")):
                lines = self._new_lines(path)
                of = signs_of_sample if path.suffix == ".jsonl" else signs_of_log
                for line in lines:
                    self._add(of(line, path.stem))

    def _new_lines(self, path: Path) -> list[str]:
        """Whole lines that were appended since the last time."""
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._positions.get(path, 0))
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._positions[path] = self._positions.get(path, 0) + len(whole)
        return whole.decode(errors="replace").splitlines()

    def _receive(self) -> None:
        while not self._ended.is_set():
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            for line in data.decode(errors="replace").splitlines():
                self._add(signs_of_metric(line))


def signs_of_log(line: str, process: str) -> Iterator[Sign]:
    """A warning or worse."""
    if _LEVELS.search(line):
        text = _STAMP.sub("", line)[:200]
        yield Sign(
            time.monotonic(), "logs", f"{process.rstrip('0123456789')} {_NUMBERS.sub('#', text)}", f"{process}: {text}"
        )


def signs_of_metric(line: str) -> Iterator[Sign]:
    """A counter of failures that counts, or a gauge above what is normal."""
    name, _, rest = line.partition(":")
    try:
        value = float(rest.partition("|")[0])
    except ValueError:
        return
    name = name.partition(".")[2]
    if name == "workers.alive":
        yield Sign(time.monotonic(), "metrics", f"{name} {value:g}", f"{name} {value:g}")
    if (
        (_TELLING.search(name) and value > 0)
        or (name.endswith("retrying") and value > 0)
        or (name.endswith("oldest_seconds") and value > OLD)
    ):
        yield Sign(time.monotonic(), "metrics", name, f"{name} {value:g}")


def signs_of_sample(line: str, _: str) -> Iterator[Sign]:
    """Whatever in status and health is not as it is on a good day."""
    try:
        sample = json.loads(line)
    except ValueError:
        return
    now = sample["monotonic"]
    for key, text in _of_status(sample["status"]):
        yield Sign(now, "status", key, text)
    for key, text in _of_health(sample["health"]):
        yield Sign(now, "health", key, text)


def _of_status(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "error" in status:
        yield f"error {status['error']}", f"{status['error']}: {status['message']}"
        return
    for name in ("retrying", "dead"):
        if status.get(name):
            yield name, f"{name} {status[name]}"
    for name in ("oldest_pending_seconds", "age_seconds"):
        if (status.get(name) or 0.0) > OLD:
            yield name, f"{name} {status[name]:.0f}"
    for name, state in (status.get("breakers") or {}).items():
        state = state.get("state", state) if isinstance(state, dict) else state
        if state != "closed":
            yield f"breaker {name}", f"breaker of {name}: {state}"
    for trouble in status.get("troubles") or ():
        yield f"trouble {trouble['name']}", f"{trouble['processes']} processes, {trouble['name']}: {trouble['reason']}"
    if status.get("workers") is not None:
        yield f"workers {status['workers']}", f"{status['workers']} workers"


def _of_health(health: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "error" in health:
        yield f"error {health['error']}", f"{health['error']}: {health['message']}"
        return
    for name, line in health.items():
        if line["state"] != "ok":
            yield f"{name} {line['state']}", f"{name} {line['state']}: {line['reason']}"


def first_of_each_channel(signs: list[Sign], known: set[str], since: float) -> dict[str, tuple[float, str]]:
    """For each channel the first sign that was not there before: seconds since the fault began, and what it says."""
    found: dict[str, tuple[float, str]] = {}
    for sign in sorted(signs, key=lambda sign: sign.at):
        if sign.channel not in found and f"{sign.channel} {sign.key}" not in known:
            found[sign.channel] = (round(max(0.0, sign.at - since), 1), sign.text)
    return found
