"""What stands between a client and a server: an asyncio relay that misbehaves on command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_LARGEST_HEADER = 256 * 1024
_REASONS = {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True)
class Fault:
    """What the relay does now.

    Attributes:
        name: heal, refuse, hang, delay, drop, swallow, answer or late.
        seconds: of delay and late.
        status: HTTP status of answer.
        only: answer and late apply to requests whose request line holds this; Qdrant's writes hold `wait=`.
    """

    name: str = "heal"
    seconds: float = 0.0
    status: int = 0
    only: str = ""


class Relay:
    """Relays one port to another. All methods belong to the event loop.

    Args:
        target_port: port of the real server on this machine.
        http: whether clients speak HTTP/1.1, so that single requests can be answered or held back.
    """

    def __init__(self, target_port: int, *, http: bool = False) -> None:
        self._target = target_port
        self._http = http
        self._fault = Fault()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None]] = set()
        # A bound socket that does not listen keeps the port ours while connections to it are refused.
        self._reservation = _bound_socket(0)
        self.port: int = self._reservation.getsockname()[1]

    async def start(self) -> None:
        """Begins to listen."""
        sock = _bound_socket(self.port)
        self._server = await asyncio.start_server(self._accept, sock=sock, limit=_LARGEST_HEADER)

    async def become(self, fault: Fault) -> None:
        """Replaces the fault. Requests swallowed by a hang never reach the server: their connections are cut."""
        if fault.name in ("answer", "late") and not self._http:
            raise ValueError(f"{fault.name} needs a proxy made with http=True")
        was, self._fault = self._fault, fault
        if was.name in ("hang", "swallow") or fault.name == "refuse":
            await self.cut()
        if fault.name == "refuse":
            await self._stop_listening()
        elif self._server is None:
            await self.start()

    async def cut(self) -> None:
        """Cuts all connections that exist."""
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def close(self) -> None:
        """Cuts everything, late requests included, and frees the port."""
        await self._stop_listening()
        for task in self._late:
            task.cancel()
        # A connection accepted just now has a task that has not begun: cancelled so early, it would never close its socket.
        while asyncio.all_tasks() - {asyncio.current_task()}:
            await self.cut()
            await asyncio.sleep(0)
        self._reservation.close()

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass  # either side went away, or the connection was cut by command: both end in a reset below
        finally:
            self._clients.discard(task)
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._while_hanging()
        target_reader, target_writer = await asyncio.open_connection(HOST, self._target, limit=_LARGEST_HEADER)
        requests = (
            self._http_requests(reader, writer, target_writer)
            if self._http
            else self._raw_requests(reader, target_writer)
        )
        pumps = [asyncio.ensure_future(requests), asyncio.ensure_future(self._answers(target_reader, writer))]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            for pump in pumps:
                pump.cancel()
            _reset(target_writer)  # before the wait, which a second cut would end
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _while_hanging(self) -> None:
        """Waits for ever while the relay hangs: leaving that state cuts whoever waits here."""
        if self._fault.name == "hang":
            await asyncio.Event().wait()

    async def _raw_requests(self, reader: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._while_hanging()
            target.write(data)
            await target.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._while_hanging()
            if self._fault.name == "drop":
                return
            if self._fault.name == "swallow":
                continue
            if self._fault.name == "delay":
                await asyncio.sleep(self._fault.seconds)
            writer.write(data)
            await writer.drain()

    async def _http_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: asyncio.StreamWriter
    ) -> None:
        while (request := await _read_request(reader)) is not None:
            await self._while_hanging()
            fault = self._fault
            concerned = fault.only.encode() in request.split(b"\r\n", 1)[0]
            if fault.name == "answer" and concerned:
                writer.write(_answer(fault.status))
                await writer.drain()
            elif fault.name == "late" and concerned:
                self._send_later(request, fault.seconds)
                return
            else:
                target.write(request)
                await target.drain()

    def _send_later(self, request: bytes, seconds: float) -> None:
        task = asyncio.ensure_future(self._deliver(request, seconds))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _deliver(self, request: bytes, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError):  # a server that is down by then loses the request, as a network would
            reader, writer = await asyncio.open_connection(HOST, self._target)
            try:
                writer.write(request)
                await reader.read(_CHUNK)
            finally:
                _reset(writer)


async def _read_request(reader: asyncio.StreamReader) -> bytes | None:
    """One whole request, or None when the client closed the connection between two of them."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise
        return None
    headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if line)
    if b"transfer-encoding" in headers:
        raise ValueError("The proxy reads requests with a Content-Length only")
    return head + await reader.readexactly(int(headers.get(b"content-length", b"0")))


def _answer(status: int) -> bytes:
    body = f'{{"status": {{"error": "the proxy answers {status}"}}, "time": 0}}'.encode()
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Fault')}\r\nContent-Type: application/json\r\n"
    retry = "Retry-After: 1\r\n" if status == 429 else ""
    return f"{head}{retry}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _bound_socket(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((HOST, port))
    return sock


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
