"""Real servers for tests, acceptance and benches: found by setting, else started from what the machine has.

As a pytest plugin it gives the session fixtures `cassandra`, `redis_server` and `qdrant`; the classes work without pytest too:

    with Redis() as redis:
        ...  # redis.url
        redis.kill()
        redis.start()
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

import pytest

CASSANDRA_VERSION = "5.0.4"
CACHE = Path.home() / ".cache" / "scylla-store-tests"
_FILES = Path(__file__).parent / "cassandra"
_QUICK = ("-XX:TieredStopAtLevel=1",)
"""Three Java machines that all compile thoroughly would have a small machine to themselves for minutes."""
_TOKENS = (0, -6148914691236517205, 6148914691236517205)
_CQL_OPTIONS = bytes.fromhex("040000000500000000")
_CQL_SUPPORTED = 6

AnyServer = TypeVar("AnyServer", bound="Server")


class Missing(Exception):
    """What this machine lacks to start a server, and the command that would help."""


class Server:
    """A server process on a port and in a folder of its own; both stay the same when it is started again."""

    name: ClassVar[str]
    patience: ClassVar[float] = 20.0

    def __init__(self, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.host = host
        self.port = port or free_port()
        self.folder = Path(tempfile.gettempdir()) / f"scylla-store-{self.name}-{uuid.uuid4().hex[:12]}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: AnyServer) -> AnyServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The command line and additional environment; raises Missing."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it answers; OSError means not yet."""
        raise NotImplementedError

    def start(self, *, empty: bool = False) -> None:
        """Starts it, with what its folder holds unless `empty`, and returns when it answers."""
        self.launch(empty=empty)
        self.wait()

    def launch(self, *, empty: bool = False) -> None:
        """Starts it without waiting."""
        command, environment = self.command()
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Returns when it answers."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            assert self._process is not None, f"{self.name} was not started"
            if self._process.poll() is not None:
                break
            with suppress(OSError):
                if self.is_ready():
                    return
            time.sleep(0.05)
        log = (self.folder / "output.log").read_text(errors="replace")[-3000:]
        self.kill()
        raise RuntimeError(f"{self.name} did not answer on {self.address} within {self.patience} s:\n{log}")

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after ten seconds."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: it accepts connections and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Kills it and removes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} is not running"
        os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Redis(Server):
    """redis-server with an append-only file, so that it comes back with its data unless started `empty`."""

    name = "redis"

    @property
    def url(self) -> str:
        """URL of database 0."""
        return f"redis://{self.address}/0"

    def command(self) -> tuple[list[str], dict[str, str]]:
        program = _program("redis-server", "apt-get install redis-server")
        options = [
            "--bind",
            self.host,
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
            "--save",
            "",
        ]
        return [program, *options], {}

    def is_ready(self) -> bool:
        with socket.create_connection((self.host, self.port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(100).startswith(b"+PONG")


class Qdrant(Server):
    """The Qdrant server."""

    name = "qdrant"

    def __init__(
        self, *, host: str = "127.0.0.1", port: int | None = None, options: dict[str, str] | None = None
    ) -> None:
        super().__init__(host=host, port=port)
        self.grpc_port = free_port()
        self.options = options or {}

    @property
    def url(self) -> str:
        """URL of its REST interface."""
        return f"http://{self.address}"

    def command(self) -> tuple[list[str], dict[str, str]]:
        program = _program(
            "qdrant", "take the binary from https://github.com/qdrant/qdrant/releases and put it on the PATH"
        )
        return [program], {
            "QDRANT__SERVICE__HOST": self.host,
            "QDRANT__SERVICE__HTTP_PORT": str(self.port),
            "QDRANT__SERVICE__GRPC_PORT": str(self.grpc_port),
            "QDRANT__STORAGE__STORAGE_PATH": str(self.folder / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(self.folder / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
            "QDRANT__LOG_LEVEL": "WARN",
            **self.options,
        }

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            return error.code == 401


class Cassandra(Server):
    """One Cassandra node. Several of them on 127.0.0.1 to 127.0.0.3 form a cluster: see `cassandra_nodes`.

    With the commit log's default (`commitlog_sync: periodic`) a SIGKILL may cost what was acknowledged in the last ten
    seconds, as on any single node; pass `options` that say `group` where a test must not lose it.

    Args:
        options: lines of cassandra.yaml that differ.
        flags: of the Java machine, the last one of a kind wins.
    """

    name = "cassandra"
    patience = 90.0

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        storage_port: int | None = None,
        token: int = 0,
        seed: str | None = None,
        options: dict[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        super().__init__(host=host, port=port)
        self.storage_port = storage_port or free_port()
        self._flags = flags
        self._token = token
        self._seed = seed or f"{host}:{self.storage_port}"
        self._options = options or {}

    def command(self) -> tuple[list[str], dict[str, str]]:
        java = _program("java", "apt-get install openjdk-17-jre-headless")
        jars = sorted(cassandra_jars().glob("*.jar"))
        agent = next(jar for jar in jars if jar.name.startswith("jamm-"))
        options = (_FILES / "jvm.options").read_text().splitlines()
        return [
            java,
            f"-javaagent:{agent}",
            *(option for option in options if not option.startswith("#")),
            *self._flags,
            f"-Dlogback.configurationFile={_FILES / 'logback.xml'}",
            f"-Dcassandra.config=file://{self._configuration()}",
            f"-Dcassandra.storagedir={self.folder}",
            "-cp",
            ":".join(map(str, jars)),
            "org.apache.cassandra.service.CassandraDaemon",
        ], {}

    def is_ready(self) -> bool:
        with socket.create_connection((self.host, self.port), 1) as connection:
            connection.sendall(_CQL_OPTIONS)
            return connection.recv(9)[4:5] == bytes([_CQL_SUPPORTED])

    def _configuration(self) -> Path:
        path = self.folder.with_suffix(".yaml")
        lines = (_FILES / "cassandra.yaml").read_text().splitlines()
        lines = [line for line in lines if not _is_replaced(line.partition(":")[0], self._options)]
        lines += [f"{name}: {value}" for name, value in self._options.items()]
        text = string.Template("\n".join(lines)).substitute(
            host=self.host,
            port=self.port,
            storage_port=self.storage_port,
            token=self._token,
            seed=self._seed,
            folder=self.folder,
        )
        path.write_text(text)
        return path

    def close(self) -> None:
        super().close()
        self.folder.with_suffix(".yaml").unlink(missing_ok=True)


def _is_replaced(name: str, options: dict[str, str]) -> bool:
    """Whether the options say something else: the period belongs to one kind of sync, and is an error with another."""
    return name in options or (name == "commitlog_sync_period" and "commitlog_sync" in options)


def cassandra_nodes(*, quick: bool = True) -> list[Cassandra]:
    """Three nodes of one cluster, not started: start them one after another, the first one is the seed.

    Args:
        quick: they compile in haste, for a run of minutes. Over an hour thorough compilers pay.
    """
    port, storage_port = free_port(), free_port()
    flags = _QUICK if quick else ()
    seed = f"127.0.0.1:{storage_port}"
    return [
        Cassandra(host=f"127.0.0.{number}", port=port, storage_port=storage_port, token=token, seed=seed, flags=flags)
        for number, token in enumerate(_TOKENS, start=1)
    ]


def cassandra_jars() -> Path:
    """The folder of Cassandra's jars, filled by Maven once; raises Missing."""
    folder = CACHE / f"cassandra-{CASSANDRA_VERSION}"
    if not folder.exists():
        maven = _program("mvn", "apt-get install maven")
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="cassandra-", dir=CACHE))
        fetch = [maven, "-q", "-B", "-f", str(_FILES / "pom.xml"), "dependency:copy-dependencies"]
        try:
            subprocess.run(
                [*fetch, f"-Dcassandra.version={CASSANDRA_VERSION}", f"-DoutputDirectory={fresh}"],
                check=True,
                capture_output=True,
            )
            fresh.rename(folder)
        except subprocess.CalledProcessError as error:
            raise Missing(
                f"Maven could not fetch Cassandra {CASSANDRA_VERSION}: {error.stdout.decode()[-500:]}"
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def free_port() -> int:
    """A port that was free on all addresses a moment ago."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _program(name: str, cure: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"there is no {name} on the PATH ({cure})")
    return path


def started(server: Server, variable: str, stack: ExitStack) -> None:
    """Starts a server for the session; skips the test without it, but fails in CI."""
    stack.callback(server.close)
    try:
        server.start()
    except Missing as missing:
        reason = f"no {server.name} server: {missing}; or set {variable} to one that runs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def cassandra() -> Iterator[str]:
    """host:port of a CQL server."""
    with ExitStack() as stack:
        address = os.environ.get("SCYLLA_STORE_TEST_CQL")
        if address is None:
            server = Cassandra()
            started(server, "SCYLLA_STORE_TEST_CQL", stack)
            address = server.address
        yield address


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a Redis server, database 0."""
    with ExitStack() as stack:
        url = os.environ.get("SCYLLA_STORE_TEST_REDIS")
        if url is None:
            server = Redis()
            started(server, "SCYLLA_STORE_TEST_REDIS", stack)
            url = server.url
        yield url


@pytest.fixture(scope="session")
def qdrant_ports() -> Iterator[tuple[str, int]]:
    """URL and gRPC port of a Qdrant server."""
    with ExitStack() as stack:
        url = os.environ.get("SCYLLA_STORE_TEST_QDRANT")
        grpc_port = int(os.environ.get("SCYLLA_STORE_TEST_QDRANT_GRPC", "6334"))
        if url is None:
            server = Qdrant()
            started(server, "SCYLLA_STORE_TEST_QDRANT", stack)
            url, grpc_port = server.url, server.grpc_port
        yield url, grpc_port


@pytest.fixture(scope="session")
def qdrant(qdrant_ports: tuple[str, int]) -> str:
    """URL of a Qdrant server."""
    return qdrant_ports[0]


@pytest.fixture(scope="session")
def qdrant_grpc_port(qdrant_ports: tuple[str, int]) -> int:
    """Port of gRPC of the server of `qdrant`."""
    return qdrant_ports[1]
