"""Settings: every option with its default, from file, environment and arguments, validated into frozen objects."""

from scylla_store.settings.loading import Loaded, load, load_with_origins
from scylla_store.settings.options import (
    CelerySettings,
    ChunkingSettings,
    ClockSettings,
    DatabaseSettings,
    EmbedderSettings,
    IndexSettings,
    LimitSettings,
    MonitoringSettings,
    PublisherSettings,
    Settings,
    SyncSettings,
    TlsSettings,
)

__all__ = [
    "CelerySettings",
    "ChunkingSettings",
    "ClockSettings",
    "DatabaseSettings",
    "EmbedderSettings",
    "IndexSettings",
    "LimitSettings",
    "Loaded",
    "MonitoringSettings",
    "PublisherSettings",
    "Settings",
    "SyncSettings",
    "TlsSettings",
    "load",
    "load_with_origins",
]
