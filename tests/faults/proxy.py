"""A proxy before a real server that refuses, hangs, cuts, delays, loses answers, and for HTTP answers itself or delivers late.

`FaultProxy` runs in a thread of this process, `ProxyProcess` in a process of its own, which takes no time from a
process that measures. `python -m tests.faults.proxy PORT [--http]` prints its port and reads commands from stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

from tests.faults.relay import Fault, Relay

_DEADLINE = 10.0


class Faults(ABC):
    """What can be asked of a proxy. A fault lasts until the next one or `heal()`; `cut()` happens once.

    Attributes:
        port: where clients connect, on 127.0.0.1.
    """

    port: int

    def heal(self) -> None:
        """Relays faithfully. What a hang held back is lost: it does not reach the server now."""
        self._become("heal")

    def refuse(self) -> None:
        """Cuts all connections and refuses new ones."""
        self._become("refuse")

    def hang(self) -> None:
        """Accepts connections and requests, passes nothing on and never answers."""
        self._become("hang")

    def delay(self, seconds: float) -> None:
        """Answers come this much later."""
        self._become("delay", seconds=seconds)

    def drop_answers(self, *, cut: bool = True) -> None:
        """Requests reach the server, its answers do not reach the client, whose connection is cut (or stays silent)."""
        self._become("drop" if cut else "swallow")

    def answer(self, status: int, *, only: str = "") -> None:
        """Answers HTTP requests with this status itself; the server does not see them.

        Args:
            status: such as 429 or 500.
            only: concerns requests whose request line holds this; Qdrant's writes hold `wait=`.
        """
        self._become("answer", status=status, only=only)

    def late(self, seconds: float, *, only: str = "") -> None:
        """Cuts the client of an HTTP request at once, and passes the request on after `seconds`."""
        self._become("late", seconds=seconds, only=only)

    def cut(self) -> None:
        """Cuts all connections that exist; new ones are served as before."""
        self._command("cut", {})

    def _become(self, name: str, **options: Any) -> None:
        self._command("become", {"name": name, **options})

    @abstractmethod
    def _command(self, name: str, options: dict[str, Any]) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Ends the proxy; may be called twice."""

    def __enter__(self) -> Faults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FaultProxy(Faults):
    """A proxy in a thread of this process.

    Example:
        with FaultProxy(redis.port) as proxy:
            proxy.hang()
    """

    def __init__(self, target_port: int, *, http: bool = False) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._relay = Relay(target_port, http=http)
        self.port = self._relay.port
        asyncio.run_coroutine_threadsafe(self._relay.start(), self._loop).result(_DEADLINE)

    def _command(self, name: str, options: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(_run(self._relay, name, options), self._loop).result(_DEADLINE)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._relay.close(), self._loop).result(_DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE)
        self._loop.close()


class ProxyProcess(Faults):
    """The same in a process of its own. It ends when this process ends, however that happens."""

    def __init__(self, target_port: int, *, http: bool = False) -> None:
        command = [sys.executable, "-m", "tests.faults.proxy", str(target_port), *(["--http"] if http else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._answer())

    def _command(self, name: str, options: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, options]) + "\n")
        self._process.stdin.flush()
        if (answer := self._answer()) != "ok":
            raise ValueError(answer)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The proxy process ended; its error output says why")
        return line.strip()

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(_DEADLINE)


async def _run(relay: Relay, name: str, options: dict[str, Any]) -> None:
    if name == "cut":
        await relay.cut()
    else:
        await relay.become(Fault(**options))


async def _obey(target_port: int, http: bool) -> None:
    """Reads commands from stdin until it ends."""
    relay = Relay(target_port, http=http)
    await relay.start()
    print(relay.port, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, options = json.loads(line)
        try:
            await _run(relay, name, options)
        except ValueError as exc:
            print(exc, flush=True)
        else:
            print("ok", flush=True)
    await relay.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target_port", type=int)
    parser.add_argument("--http", action="store_true")
    options = parser.parse_args()
    asyncio.run(_obey(options.target_port, options.http))


if __name__ == "__main__":
    main()
