"""Opens and shuts down the driver's cluster object as the settings say."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
from typing import TYPE_CHECKING, Any

from scylla_store.database.cql.nodes import SlowNodes, avoiding
from scylla_store.errors import ConfigurationError

if TYPE_CHECKING:
    from cassandra.cluster import Cluster, Session

    from scylla_store.settings.options import DatabaseSettings, TlsSettings

logger = logging.getLogger(__name__)

CONDITIONAL = "conditional"
"""Name of the execution profile that never sends anything twice."""

_PROTOCOL = 4
_HEARTBEAT = 5
"""Seconds between two looks at connections that nothing came from: a node that hangs is told from a quiet one by nothing else."""

_CLOSE_SECONDS = 0.9


def open_cluster(settings: DatabaseSettings, slow: SlowNodes | None = None) -> tuple[Cluster, Session]:
    """Connects, to no keyspace; what the driver raises is not translated here.

    Args:
        slow: nodes that are asked last.
    """
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster
    from cassandra.policies import ExponentialReconnectionPolicy, FallthroughRetryPolicy

    points = [contact_point(point, settings.port) for point in settings.contact_points]
    slow = SlowNodes() if slow is None else slow
    cluster = Cluster(
        contact_points=points,
        port=settings.port,
        protocol_version=_PROTOCOL,
        auth_provider=_credentials(settings),
        ssl_context=_tls(settings.tls),
        # Requests over 4 KB are sent in pieces: with Nagle's algorithm each waits 40 ms for a delayed acknowledgement.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        compression=False,
        connect_timeout=settings.connect_timeout / len(points),
        control_connection_timeout=settings.connect_timeout / len(points),
        # The driver's default ends with ten minutes between attempts.
        reconnection_policy=ExponentialReconnectionPolicy(1.0, 10.0),
        idle_heartbeat_interval=_HEARTBEAT,
        idle_heartbeat_timeout=settings.connect_timeout,
        execution_profiles={
            EXEC_PROFILE_DEFAULT: _profile(settings, slow, retry_policy()),
            CONDITIONAL: _profile(settings, slow, FallthroughRetryPolicy()),
        },
    )
    try:
        return cluster, cluster.connect()
    except BaseException:
        shut_down(cluster)
        raise


def retry_policy() -> Any:
    """The driver's, but a batch that no node remembered is not sent again: `items` knows another way, and its time is short."""
    from cassandra import WriteType
    from cassandra.policies import RetryPolicy

    class Policy(RetryPolicy):  # type: ignore[misc]
        def on_write_timeout(self, query: Any, **answer: Any) -> Any:
            if answer["write_type"] == WriteType.BATCH_LOG:
                return self.RETHROW, None
            return super().on_write_timeout(query, **answer)

    return Policy()


def shut_down(cluster: Cluster) -> None:
    """Ends within 2 s. Only a connection attempt that hangs can outlast it; it ends by its own timeout."""
    thread = threading.Thread(target=_shut_down, args=(cluster,), name="scylla-store-close", daemon=True)
    thread.start()
    thread.join(_CLOSE_SECONDS)
    if thread.is_alive():
        logger.warning("A connection attempt to the database still hangs; it is left to its timeout.")


def contact_point(point: str, port: int) -> tuple[str, int]:
    """Host and port of "host", "host:port", "[v6]:port" or a bare IPv6 address; raises ConfigurationError."""
    host, colon, after = point.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return point.strip("[]"), port
    if not after.isdigit() or not 1 <= int(after) <= 65535:
        raise ConfigurationError(f"database.contact_points: {point!r} has no port between 1 and 65535 after the colon")
    return host.strip("[]"), int(after)


def _shut_down(cluster: Cluster) -> None:
    # Sessions first: a heartbeat that waits for a silent server ends when its connection is closed.
    for session in list(cluster.sessions):
        session.shutdown()
    cluster.shutdown()
    # From the event loop's own thread, which alone may touch its timer.
    cluster.connection_class.create_timer(0.01, _end_event_loop)
    loop = _event_loop()
    thread = getattr(loop, "_thread", None)
    if thread is not None and not getattr(loop, "_live_conns", True):
        thread.join(1.0)


def _end_event_loop() -> None:
    """Lets the driver's event loop end when nobody in this process is connected any more.

    It would end by itself, but its timer repeats for ever once a request had a timeout (driver 3.30). The next connection
    starts the loop again.
    """
    loop = _event_loop()
    timer = getattr(loop, "_loop_timer", None)
    if timer is not None and not getattr(loop, "_live_conns", True):
        timer.stop()


def _event_loop() -> Any:
    return getattr(sys.modules.get("cassandra.io.libevreactor"), "_global_loop", None)


def _profile(settings: DatabaseSettings, slow: SlowNodes, retry_policy: Any) -> Any:
    from cassandra import ConsistencyLevel
    from cassandra.cluster import ExecutionProfile
    from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
    from cassandra.query import tuple_factory

    nearby = DCAwareRoundRobinPolicy(local_dc=settings.local_datacenter or "")
    return ExecutionProfile(
        load_balancing_policy=avoiding(slow, TokenAwarePolicy(nearby)),
        retry_policy=retry_policy,
        consistency_level=ConsistencyLevel.name_to_value[settings.consistency],
        serial_consistency_level=ConsistencyLevel.name_to_value[settings.serial_consistency],
        request_timeout=settings.timeout,
        row_factory=tuple_factory,
    )


def _credentials(settings: DatabaseSettings) -> Any:
    if settings.username is None:
        return None
    from cassandra.auth import PlainTextAuthProvider

    return PlainTextAuthProvider(settings.username, settings.password or "")


def _tls(settings: TlsSettings) -> ssl.SSLContext | None:
    if not settings.enabled:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigurationError(f"database.tls: a file cannot be used: {exc}") from exc
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
