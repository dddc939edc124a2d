"""ScyllaDB and Apache Cassandra."""

from scylla_store.database.cql.database import ScyllaDB

__all__ = ["ScyllaDB"]
