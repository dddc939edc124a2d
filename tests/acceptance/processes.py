"""Processes of ours that tests start, kill and start again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Child:
    """A Python process in a session of its own, so that its children die with it.

    Args:
        name: names its log file too.
        arguments: what comes after `python`.
        environment: on top of ours.
        folder: where `<name>.log` is appended to.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.out"
        self._arguments = list(arguments)
        self._wrapper: tuple[str, ...] = ()
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def change(self, environment: Mapping[str, str]) -> None:
        """Another environment on top of ours, from the next start on."""
        self._environment = {**os.environ, **environment}

    def run_through(self, *wrapper: str) -> None:
        """From the next start on its module is run by another one, which these arguments name; by itself again without any."""
        self._wrapper = wrapper

    def start(self) -> None:
        """Starts it unless it runs."""
        if self.is_running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command()],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        if not self._wrapper:
            return self._arguments
        assert self._arguments[0] == "-m", "only a module can be run by another one"
        return ["-m", *self._wrapper, *self._arguments[1:]]

    def give_way(self) -> None:
        """Leaves the processors to others from now on, with all its children."""
        assert self._process is not None
        os.setpriority(os.PRIO_PGRP, self._process.pid, 19)
        # Linux weighs sessions against each other first: in a session of its own, niceness alone changes nothing.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/autogroup").write_text("19")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started; negative: the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """SIGKILL to it and all its children."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP to it and all its children."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM to it alone."""
        assert self._process is not None
        self._process.terminate()

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM, and SIGKILL to what is left after `seconds`."""
        if self._process is not None and self.is_running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self._end(signal.SIGKILL)

    def kill_one_child(self, position: float) -> bool:
        """SIGKILL to one child process (a pool process of a worker), chosen by `position` in [0, 1); False: it has none."""
        assert self._process is not None
        listing = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            children = [int(pid) for pid in listing.read_text().split()]
            if not children:
                return False
            os.kill(children[int(position * len(children))], signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    def wait(self, seconds: float) -> int:
        """Its exit code; raises subprocess.TimeoutExpired."""
        assert self._process is not None
        return self._process.wait(seconds)

    def tail(self, characters: int = 3000) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._signal(number)
            self._process.wait(10)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.killpg(self._process.pid, number)
