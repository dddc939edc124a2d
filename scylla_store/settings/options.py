"""Every option, once: its type, default, unit, range and meaning. The reference page and config/settings.toml are made from this.

Times are seconds unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scylla_store.settings import shapes
from scylla_store.settings.section import Section
from scylla_store.settings.shapes import Shape


def option(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
    shape: Shape = shapes.TEXT,
) -> Any:
    """A dataclass field that carries what the documentation and the validation need: `catalogue.Option`."""
    return field(
        default=default,
        metadata={
            "meaning": meaning,
            "unit": unit,
            "least": least,
            "most": most,
            "choices": choices,
            "secret": secret,
            "shape": shape,
        },
    )


@dataclass(frozen=True, repr=False)
class TlsSettings(Section):
    """TLS towards one server."""

    enabled: bool = option(False, "Whether the connection is encrypted.")
    ca_file: str | None = option(None, "File of the certificate authorities to trust; none: the system's.")
    cert_file: str | None = option(None, "File of the client's certificate.")
    key_file: str | None = option(None, "File of the client's private key.")
    verify: bool = option(True, "Whether the server's certificate and host name are checked.")


@dataclass(frozen=True, repr=False)
class DatabaseSettings(Section):
    """The database. Without contact points it is SQLite, in `path`."""

    contact_points: tuple[str, ...] = option(
        (), "Hosts (or host:port) of the ScyllaDB or Cassandra cluster; none: SQLite.", shape=shapes.CONTACT_POINT
    )
    port: int = option(9042, "Port of the native protocol.", least=1, most=65535)
    keyspace: str = option("scylla_store", "Keyspace: letters, digits and underscores.", shape=shapes.KEYSPACE)
    local_datacenter: str | None = option(
        None, "Data centre whose nodes are asked; none: that of the first contact point."
    )
    replication: str = option(
        "1",
        "Replicas: a number for every data centre, or 'dc1:3,dc2:3'. Used when setup makes the keyspace.",
        shape=shapes.REPLICATION,
    )
    tablets: bool = option(
        False, "Whether a keyspace that setup makes uses tablets (ScyllaDB). LWT needs them off before 2025.4."
    )
    username: str | None = option(None, "User name; none: no authentication.")
    password: str | None = option(None, "Password.", secret=True)
    consistency: str = option(
        "LOCAL_QUORUM", "Consistency of writes and of reads that decide.", choices=("LOCAL_QUORUM", "QUORUM")
    )
    serial_consistency: str = option(
        "LOCAL_SERIAL", "Serial consistency of conditional writes and leases.", choices=("LOCAL_SERIAL", "SERIAL")
    )
    timeout: float = option(
        5.0, "How long one call of the store may wait for the database.", unit="s", least=0.05, most=600
    )
    connect_timeout: float = option(5.0, "How long connecting may take.", unit="s", least=0.05, most=600)
    ddl_timeout: float = option(60.0, "How long one schema statement may take.", unit="s", least=1, most=600)
    max_batch_bytes: int = option(
        40_000,
        "Size of a logged batch. Cassandra refuses those over 50 KiB, ScyllaDB those over 1 MiB.",
        unit="bytes",
        least=1024,
        most=1_000_000,
    )
    concurrency: int = option(16, "Requests in flight of one call that needs many.", least=1, most=1024)
    tls: TlsSettings = field(default_factory=TlsSettings)


@dataclass(frozen=True, repr=False)
class IndexSettings(Section):
    """The vector index. Without a URL it is Qdrant's engine in process, in `path`."""

    url: str | None = option(
        None,
        "URL of the Qdrant server, such as http://localhost:6333; none: the engine in process.",
        shape=shapes.HTTP_URL,
    )
    api_key: str | None = option(None, "API key of the Qdrant server.", secret=True)
    collection: str = option(
        "scylla_store", "Collection: letters, digits, underscores and dashes.", shape=shapes.COLLECTION
    )
    prefer_grpc: bool = option(False, "Whether requests go by gRPC.")
    grpc_port: int = option(6334, "Port of gRPC.", least=1, most=65535)
    timeout: float = option(5.0, "How long one request may take.", unit="s", least=0.05, most=600)
    replication_factor: int = option(1, "Replicas of the collection that setup makes.", least=1, most=32)
    shard_number: int = option(1, "Shards of the collection that setup makes.", least=1, most=1024)
    fields: tuple[str, ...] = option(
        (),
        "Paths that are embedded when a write names none ('title', 'sections[*].text'); none: all strings, joined in document order.",
    )
    range_fields: tuple[str, ...] = option(
        (),
        "Paths that search and find may compare by $gt, $gte, $lt and $lte, and find may order by ('year', 'price.amount'), at most 16, without [*].",
    )
    tls: TlsSettings = field(default_factory=TlsSettings)


@dataclass(frozen=True, repr=False)
class EmbedderSettings(Section):
    """What turns texts into vectors."""

    name: str = option(
        "wordllama",
        "'wordllama' (offline, 256 dimensions), 'hashing' (deterministic, for tests), or 'package.module:attribute'.",
        shape=shapes.EMBEDDER,
    )
    timeout: float = option(30.0, "How long one call may take before it is abandoned.", unit="s", least=0.05, most=3600)
    concurrency: int = option(
        1, "Calls at a time; also the most that an embedder which hangs can leave behind.", least=1, most=64
    )
    max_batch_items: int = option(256, "Texts in one call.", least=1, most=100_000)
    max_batch_bytes: int = option(
        1_000_000, "UTF-8 bytes of all texts of one call.", unit="bytes", least=1024, most=100_000_000
    )


@dataclass(frozen=True, repr=False)
class ChunkingSettings(Section):
    """How long texts are cut before they are embedded."""

    unit: str = option(
        "tokens",
        "What size and overlap count; tokens are words and punctuation marks.",
        choices=("tokens", "characters"),
    )
    size: int = option(256, "Longest chunk.", unit="tokens or characters", least=8, most=100_000)
    overlap: int = option(
        32, "What two neighbours share; less than half of the size.", unit="tokens or characters", least=0, most=50_000
    )


@dataclass(frozen=True, repr=False)
class CelerySettings(Section):
    """The task layer. Without a broker, tasks run in a thread of the process."""

    broker_url: str | None = option(
        None, "URL of the broker, such as redis://localhost:6379/0; none: in process.", secret=True, shape=shapes.URL
    )
    result_backend: str | None = option(
        None, "URL of the result backend; none: results are not stored.", secret=True, shape=shapes.URL
    )
    queue: str = option("scylla_store", "Queue of the sync tasks.", shape=shapes.QUEUE)
    maintenance_queue: str = option(
        "scylla_store.maintenance",
        "Queue of drain and reconcile, so that a backlog does not delay them.",
        shape=shapes.QUEUE,
    )
    publish_timeout: float = option(1.0, "How long publishing one task may take.", unit="s", least=0.05, most=60)
    visibility_timeout: float = option(
        600.0,
        "After how long Redis gives a task that was not acknowledged to another worker; at least twice sync.time_limit.",
        unit="s",
        least=30,
        most=86_400,
    )
    retries: int = option(3, "Short retries of one sync task before the outbox takes over.", least=0, most=20)
    retry_backoff: float = option(1.0, "Base of the short retries' backoff.", unit="s", least=0.01, most=60)
    drain_interval: float = option(10.0, "How often beat starts a drain.", unit="s", least=0.1, most=3600)
    tls: TlsSettings = field(default_factory=TlsSettings)


@dataclass(frozen=True, repr=False)
class PublisherSettings(Section):
    """The background publisher of a process that writes."""

    batch_size: int = option(100, "Refs in one task.", least=1, most=1000)
    linger_ms: float = option(20.0, "How long a ref waits for others.", unit="ms", least=0, most=10_000)
    queue_size: int = option(
        100_000, "Refs that wait in memory; what does not fit is left to the outbox.", least=1, most=10_000_000
    )


@dataclass(frozen=True, repr=False)
class SyncSettings(Section):
    """Bringing items to the index."""

    margin: float = option(
        30.0, "When an intent is first due, and how long its write may be on its way.", unit="s", least=0.1, most=3600
    )
    time_limit: float = option(
        120.0,
        "Longest run of one sync task; past it a worker sends no more index requests.",
        unit="s",
        least=1,
        most=3600,
    )
    max_attempts: int = option(8, "Attempts of a document before it goes to the dead letters.", least=1, most=100)
    backoff: float = option(
        10.0, "Base of the outbox's exponential backoff (with full jitter).", unit="s", least=0.01, most=3600
    )
    backoff_most: float = option(3600.0, "Longest backoff.", unit="s", least=0.1, most=86_400)
    outage_delay: float = option(
        15.0,
        "When a write is tried again after an outage of the index or the embedder.",
        unit="s",
        least=0.1,
        most=3600,
    )
    restarts: int = option(5, "How often one sync starts again because the row changed under it.", least=0, most=100)
    max_queue: int = option(
        200,
        "The drain dispatches nothing while more tasks than this wait in the queue.",
        unit="tasks",
        least=1,
        most=1_000_000,
    )
    drain_limit: int = option(20_000, "Outbox rows that one drain dispatches at most.", least=1, most=1_000_000)


@dataclass(frozen=True, repr=False)
class BreakerSettings(Section):
    """Circuit breakers: one around the index and one around the embedder, in each process."""

    failures: int = option(5, "Outages in a row after which calls fail at once, without asking.", least=1, most=1000)
    reset: float = option(
        10.0, "How long they do; then one call tries whether it is back.", unit="s", least=0.05, most=3600
    )


@dataclass(frozen=True, repr=False)
class ReconcileSettings(Section):
    """Comparing documents and index."""

    interval: float = option(300.0, "How often beat goes on with a reconciliation.", unit="s", least=1, most=86_400)
    run_time: float = option(30.0, "How long one such piece takes at most.", unit="s", least=0.1, most=3600)
    max_rate: float = option(
        50_000.0,
        "Rows and points that one reconciliation compares in a second at most.",
        unit="1/s",
        least=1,
        most=1_000_000,
    )
    grace: float = option(
        5.0,
        "How old a change must be before what it should have done to the index is missed.",
        unit="s",
        least=0.1,
        most=3600,
    )
    max_pending: int = option(
        10_000, "Beat's reconciliation waits while as many writes are pending.", unit="writes", least=1, most=1_000_000
    )
    reports: int = option(20, "Reports that are kept.", least=1, most=1000)
    drift_threshold: int = option(0, "More differences than this are an error in the log.", least=0, most=1_000_000_000)


@dataclass(frozen=True, repr=False)
class ClockSettings(Section):
    """How far clocks may differ."""

    max_clock_skew: float = option(
        5.0, "Largest difference between this machine's clock and the database's.", unit="s", least=0.1, most=300
    )
    max_node_clock_difference: float = option(
        0.5, "Largest difference between the database's nodes; so long a conditional write waits after a plain one.", unit="s", least=0.01, most=60
    )
    check_interval: float = option(60.0, "How often the clock is compared.", unit="s", least=1, most=3600)


@dataclass(frozen=True, repr=False)
class LimitSettings(Section):
    """Limits of documents and of single calls."""

    max_document_bytes: int = option(1_048_576, "Largest document in JSON.", unit="bytes", least=1024, most=8_388_608)
    max_depth: int = option(100, "Deepest nesting of a document.", least=1, most=150)
    max_scanned: int = option(
        10_000,
        "Rows that one call looks at: with a filter, or past deleted and expired ones.",
        unit="rows",
        least=1,
        most=10_000_000,
    )


@dataclass(frozen=True, repr=False)
class TtlSettings(Section):
    """How long documents live."""

    defaults: tuple[str, ...] = option(
        (),
        "TTLs of documents whose put names none: 'sessions=3600' is an hour for all under that prefix, 'sessions/kept=never' an exception; the longest prefix holds, '/' is all.",
    )


@dataclass(frozen=True, repr=False)
class BulkSettings(Section):
    """What holds `put_many` and pipelines up, never `put`."""

    max_pending: int = option(
        0,
        "About how many writes may wait for the index while more are stored in bulk; 0: any number.",
        least=0,
        most=100_000_000,
    )
    patience: float = option(
        60.0, "How long a bulk write waits for fewer before it fails; 0: not at all.", unit="s", least=0, most=86_400
    )


@dataclass(frozen=True, repr=False)
class MonitoringSettings(Section):
    """What is reported to other systems; off unless set."""

    sentry_dsn: str | None = option(None, "DSN of Sentry.", secret=True, shape=shapes.DSN)
    statsd_host: str | None = option(None, "Host of the StatsD server.", shape=shapes.HOST)
    statsd_port: int = option(8125, "Port of the StatsD server.", least=1, most=65535)
    statsd_prefix: str = option("scylla_store", "Prefix of every metric.")
    log_format: str = option(
        "text",
        "How the command line, its worker and its beat write their logs; json: one object a line.",
        choices=("text", "json"),
    )


@dataclass(frozen=True, repr=False)
class Settings(Section):
    """All settings of one store."""

    path: str = option("scylla_store_data", "Folder of the embedded database and index.")
    encoder: str | Callable[[Any], Any] | None = option(  # noqa: RUF009
        None,
        "Dotted path ('package.module:function') or function that turns values which JSON cannot hold into those it can.",
        shape=shapes.DOTTED_PATH,
    )
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    embedder: EmbedderSettings = field(default_factory=EmbedderSettings)
    chunking: ChunkingSettings = field(default_factory=ChunkingSettings)
    celery: CelerySettings = field(default_factory=CelerySettings)
    publisher: PublisherSettings = field(default_factory=PublisherSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    ttl: TtlSettings = field(default_factory=TtlSettings)
    bulk: BulkSettings = field(default_factory=BulkSettings)
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)

    def __post_init__(self) -> None:
        """Raises ConfigurationError with everything that is wrong: there are no settings that are not valid."""
        from scylla_store.settings.validation import validate

        super().__post_init__()
        validate(self)
