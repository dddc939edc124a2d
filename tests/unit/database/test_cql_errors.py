"""Exceptions of the CQL driver become ours."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import cassandra
import pytest
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException, ConnectionShutdown
from cassandra.protocol import ErrorMessage

from scylla_store.database.cql.errors import FATES, translate, translated
from scylla_store.errors import (
    ConfigurationError,
    DatabaseRefused,
    DatabaseUnavailable,
    OutcomeUnknown,
    SchemaMismatch,
    StoreError,
    TombstoneLimit,
)

PRODUCTS = ("cassandra.cqlengine", "cassandra.datastax", "cassandra.graph")
"""Parts of the driver that the library does not use."""


def driver_exceptions() -> set[str]:
    found = set()
    for module in pkgutil.iter_modules(cassandra.__path__, "cassandra."):
        if module.name in PRODUCTS or module.ispkg:
            continue
        try:
            loaded = importlib.import_module(module.name)
        except ImportError:
            continue
        for kind in vars(loaded).values():
            if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__.startswith("cassandra"):
                found.add(f"{kind.__module__}.{kind.__qualname__}")
    return {name for name in found if not name.startswith(PRODUCTS)}


def test_every_exception_of_the_driver_is_mapped() -> None:
    assert driver_exceptions() - set(FATES) == set()


@pytest.mark.parametrize(
    ("raised", "write", "expected"),
    [
        (cassandra.OperationTimedOut(), False, DatabaseUnavailable),
        (cassandra.OperationTimedOut(), True, OutcomeUnknown),
        (cassandra.WriteTimeout("late", write_type=cassandra.WriteType.SIMPLE), True, OutcomeUnknown),
        (cassandra.Unavailable("two of three nodes are down"), True, DatabaseUnavailable),
        (cassandra.InvalidRequest("bad"), True, DatabaseRefused),
        (cassandra.InvalidRequest("unconfigured table items"), False, SchemaMismatch),
        (cassandra.InvalidRequest("table migrations does not exist"), False, SchemaMismatch),
        (cassandra.InvalidRequest("Keyspace 'x' does not exist"), False, SchemaMismatch),
        (cassandra.AuthenticationFailed("no"), False, ConfigurationError),
        (cassandra.Unauthorized("no"), False, ConfigurationError),
        (cassandra.ReadFailure("1 failures: READ_TOO_MANY_TOMBSTONES"), False, TombstoneLimit),
        (cassandra.ReadFailure("1 failures: UNKNOWN"), False, DatabaseUnavailable),
        (ErrorMessage(0x1700, "CAS operation result is unknown", {}), False, OutcomeUnknown),
        (ConnectionShutdown("cut"), True, OutcomeUnknown),
        (ConnectionRefusedError("refused"), False, DatabaseUnavailable),
        (NoHostAvailable("none", {"a": ConnectionException("the pool is shut down")}), True, DatabaseUnavailable),
        (NoHostAvailable("none", {"a": ConnectionShutdown("cut in the middle")}), True, OutcomeUnknown),
        (NoHostAvailable("none", {"a": cassandra.AuthenticationFailed("no")}), False, ConfigurationError),
    ],
)
def test_what_the_driver_raises_says_what_may_have_happened(
    raised: Exception, write: bool, expected: type[StoreError]
) -> None:
    error = translate(raised, "db:9042", write=write)
    assert type(error) is expected


def test_the_message_names_the_server_and_the_cause_is_kept() -> None:
    cause = cassandra.OperationTimedOut()
    with pytest.raises(DatabaseUnavailable, match="db:9042") as caught, translated("db:9042", write=False):
        raise cause
    assert caught.value.__cause__ is cause


def test_a_mistake_of_ours_is_not_disguised() -> None:
    with pytest.raises(KeyError), translated("db:9042", write=True):
        raise KeyError("ours")
