"""The fault proxy misbehaves exactly as it was told."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.faults.proxy import FaultProxy, Faults, ProxyProcess

HOST = "127.0.0.1"


class Echo:
    """A server that sends back what it receives, and remembers it."""

    def __init__(self) -> None:
        self.received = b""
        self.new = threading.Condition()
        self.listener = socket.create_server((HOST, 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            while data := _received(connection):
                with self.new:
                    self.received += data
                    self.new.notify_all()
                connection.sendall(data)


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers 200 and remembers method, path and body."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, bytes]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.command, self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_PUT

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture(params=[FaultProxy, ProxyProcess])
def proxy(request: pytest.FixtureRequest, echo: Echo) -> Iterator[Faults]:
    with request.param(echo.port) as proxy:
        yield proxy


@pytest.fixture
def web() -> Iterator[http.server.ThreadingHTTPServer]:
    handler = type("Handler", (Recorder,), {"seen": []})
    with http.server.ThreadingHTTPServer((HOST, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_healthy_proxy_passes_both_ways(proxy: Faults) -> None:
    assert ask(proxy.port, b"hello") == b"hello"


def test_a_large_message_arrives_whole(proxy: Faults) -> None:
    message = bytes(range(256)) * 20_000
    with connect(proxy.port) as client:
        threading.Thread(target=client.sendall, args=(message,), daemon=True).start()
        received = b""
        while len(received) < len(message):
            received += client.recv(1 << 20)
    assert received == message


def test_a_refusing_proxy_refuses_and_cuts_and_serves_again_on_the_same_port_when_healed(proxy: Faults) -> None:
    with connect(proxy.port) as before:
        assert exchange(before, b"1") == b"1"
        proxy.refuse()
        assert _received(before) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy.port)
    proxy.heal()
    assert ask(proxy.port, b"again") == b"again"


def test_a_hanging_proxy_accepts_and_never_answers_and_what_it_held_never_arrives(proxy: Faults, echo: Echo) -> None:
    with connect(proxy.port) as before:
        assert exchange(before, b"before") == b"before"
        proxy.hang()
        with connect(proxy.port) as during:
            for client in (before, during):
                client.sendall(b"lost")
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.recv(10)
            proxy.heal()
            assert _received(during) == b""
    assert ask(proxy.port, b"after") == b"after"
    assert echo.received == b"beforeafter"


def test_cut_ends_connections_and_serves_new_ones(proxy: Faults) -> None:
    with connect(proxy.port) as client:
        assert exchange(client, b"1") == b"1"
        proxy.cut()
        assert _received(client) == b""
    assert ask(proxy.port, b"2") == b"2"


def test_delayed_answers_come_no_earlier_than_asked(proxy: Faults) -> None:
    proxy.delay(0.2)
    began = time.monotonic()
    assert ask(proxy.port, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.2


def test_a_dropped_answer_was_preceded_by_the_work(proxy: Faults, echo: Echo) -> None:
    proxy.drop_answers()
    assert ask(proxy.port, b"done") == b""
    assert echo.received == b"done"


def test_a_swallowed_answer_leaves_the_client_waiting_after_the_work(proxy: Faults, echo: Echo) -> None:
    proxy.drop_answers(cut=False)
    with connect(proxy.port) as client:
        client.sendall(b"done")
        with echo.new:
            assert echo.new.wait_for(lambda: echo.received == b"done", timeout=10)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(10)


def test_a_server_that_is_down_cuts_the_client(proxy: Faults, echo: Echo) -> None:
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    assert ask(proxy.port, b"anyone?") == b""


@pytest.mark.parametrize("kind", [FaultProxy, ProxyProcess])
def test_http_requests_are_answered_by_the_proxy_and_do_not_reach_the_server(
    kind: Callable[..., Faults], web: http.server.ThreadingHTTPServer
) -> None:
    with kind(web.server_port, http=True) as proxy:
        connection = http.client.HTTPConnection(HOST, proxy.port, timeout=10)
        for status in (429, 500):
            proxy.answer(status, only="wait=")
            assert put(connection, "/points?wait=true", b"refused") == status
            assert put(connection, "/query", b"passed") == 200
        proxy.heal()
        assert put(connection, "/points?wait=true", b"stored") == 200
        connection.close()
    assert [body for _, _, body in web.RequestHandlerClass.seen] == [b"passed", b"passed", b"stored"]  # type: ignore[attr-defined]


def test_a_late_request_reaches_the_server_after_its_client_was_cut_and_after_a_later_one(
    web: http.server.ThreadingHTTPServer,
) -> None:
    seen = web.RequestHandlerClass.seen  # type: ignore[attr-defined]
    with FaultProxy(web.server_port, http=True) as proxy:
        proxy.late(0.5, only="wait=")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            put(http.client.HTTPConnection(HOST, proxy.port, timeout=10), "/points?wait=true", b"late")
        proxy.heal()
        assert put(http.client.HTTPConnection(HOST, proxy.port, timeout=10), "/points?wait=true", b"later") == 200
        assert eventually(lambda: len(seen) == 2)
    assert [body for _, _, body in seen] == [b"later", b"late"]


def test_http_faults_need_an_http_proxy(proxy: Faults) -> None:
    with pytest.raises(ValueError, match="http=True"):
        proxy.answer(429)
    assert ask(proxy.port, b"still") == b"still"


def test_closing_twice_is_fine_and_frees_the_port(echo: Echo) -> None:
    proxy = FaultProxy(echo.port)
    proxy.close()
    proxy.close()
    socket.create_server((HOST, proxy.port)).close()


def connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=10)


def ask(port: int, message: bytes) -> bytes:
    with connect(port) as client:
        return exchange(client, message)


def exchange(client: socket.socket, message: bytes) -> bytes:
    try:
        client.sendall(message)
    except OSError:
        return b""
    return _received(client)


def _received(client: socket.socket) -> bytes:
    """The next bytes; nothing when the connection ended, in whichever way."""
    try:
        return client.recv(65536)
    except ConnectionError:
        return b""


def put(connection: http.client.HTTPConnection, path: str, body: bytes) -> int:
    with closing(connection):
        connection.request("PUT", path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while not condition() and time.monotonic() < deadline:
        tick.wait(0.01)
    return condition()
