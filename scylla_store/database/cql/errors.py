"""The driver's exceptions, translated in one place.

They are named, not imported: the driver is loaded when a process connects. A test compares the names with the driver's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scylla_store.errors import (
    ConfigurationError,
    DatabaseRefused,
    DatabaseUnavailable,
    OutcomeUnknown,
    SchemaMismatch,
    StoreError,
    TombstoneLimit,
)

CAS_UNKNOWN = 0x1700
"""Code of "CAS operation result is unknown", which the driver raises as a bare ErrorMessage."""


class Fate(enum.Enum):
    """What an exception says about the request."""

    NOT_DONE = "it was not done; later it may be"
    LOST = "the answer was lost: a write may have happened"
    UNKNOWN = "the server does not know whether the write happened"
    REFUSED = "the server will refuse it again"
    MISCONFIGURED = "a setting is wrong"


FATES = {
    "OSError": Fate.LOST,
    "cassandra.DriverException": Fate.LOST,
    "cassandra.RequestExecutionException": Fate.LOST,
    "cassandra.Unavailable": Fate.NOT_DONE,
    "cassandra.Timeout": Fate.LOST,
    "cassandra.ReadTimeout": Fate.LOST,
    "cassandra.WriteTimeout": Fate.UNKNOWN,
    "cassandra.CDCWriteFailure": Fate.LOST,
    "cassandra.CoordinationFailure": Fate.LOST,
    "cassandra.ReadFailure": Fate.LOST,
    "cassandra.WriteFailure": Fate.UNKNOWN,
    "cassandra.FunctionFailure": Fate.REFUSED,
    "cassandra.RequestValidationException": Fate.REFUSED,
    "cassandra.ConfigurationException": Fate.REFUSED,
    "cassandra.AlreadyExists": Fate.REFUSED,
    "cassandra.InvalidRequest": Fate.REFUSED,
    "cassandra.RateLimitReached": Fate.NOT_DONE,  # scylla-driver
    "cassandra.Unauthorized": Fate.MISCONFIGURED,
    "cassandra.AuthenticationFailed": Fate.MISCONFIGURED,
    "cassandra.OperationTimedOut": Fate.LOST,
    "cassandra.UnsupportedOperation": Fate.MISCONFIGURED,
    "cassandra.UnresolvableContactPoints": Fate.NOT_DONE,
    "cassandra.DependencyException": Fate.MISCONFIGURED,
    "cassandra.cluster.NoHostAvailable": Fate.LOST,
    "cassandra.cluster.UserTypeDoesNotExist": Fate.REFUSED,
    "cassandra.cluster.QueryExhausted": Fate.REFUSED,
    "cassandra.connection.ConnectionException": Fate.LOST,
    "cassandra.connection.ConnectionShutdown": Fate.LOST,
    "cassandra.connection.ProtocolVersionUnsupported": Fate.MISCONFIGURED,
    "cassandra.connection.ConnectionBusy": Fate.NOT_DONE,
    "cassandra.connection.ProtocolError": Fate.LOST,
    "cassandra.connection.CrcMismatchException": Fate.LOST,
    "cassandra.segment.CrcException": Fate.LOST,
    "cassandra.metadata.NoMurmur3": Fate.MISCONFIGURED,
    "cassandra.pool.NoConnectionsAvailable": Fate.NOT_DONE,
    "cassandra.query.TraceUnavailable": Fate.REFUSED,
    "cassandra.protocol.NotSupportedError": Fate.MISCONFIGURED,
    "cassandra.protocol.InternalError": Fate.LOST,
    "cassandra.protocol.ErrorMessage": Fate.LOST,
    "cassandra.protocol.ErrorMessageSub": Fate.LOST,
    "cassandra.protocol.RequestExecutionException": Fate.LOST,
    "cassandra.protocol.RequestValidationException": Fate.REFUSED,
    "cassandra.protocol.ServerError": Fate.LOST,
    "cassandra.protocol.ProtocolException": Fate.MISCONFIGURED,
    "cassandra.protocol.BadCredentials": Fate.MISCONFIGURED,
    "cassandra.protocol.UnavailableErrorMessage": Fate.NOT_DONE,
    "cassandra.protocol.OverloadedErrorMessage": Fate.LOST,
    "cassandra.protocol.IsBootstrappingErrorMessage": Fate.NOT_DONE,
    "cassandra.protocol.TruncateError": Fate.LOST,
    "cassandra.protocol.WriteTimeoutErrorMessage": Fate.UNKNOWN,
    "cassandra.protocol.ReadTimeoutErrorMessage": Fate.LOST,
    "cassandra.protocol.ReadFailureMessage": Fate.LOST,
    "cassandra.protocol.FunctionFailureMessage": Fate.REFUSED,
    "cassandra.protocol.WriteFailureMessage": Fate.UNKNOWN,
    "cassandra.protocol.CDCWriteException": Fate.LOST,
    "cassandra.protocol.SyntaxException": Fate.REFUSED,
    "cassandra.protocol.UnauthorizedErrorMessage": Fate.MISCONFIGURED,
    "cassandra.protocol.InvalidRequestException": Fate.REFUSED,
    "cassandra.protocol.ConfigurationException": Fate.REFUSED,
    "cassandra.protocol.PreparedQueryNotFound": Fate.NOT_DONE,
    "cassandra.protocol.AlreadyExistsException": Fate.REFUSED,
    "cassandra.protocol.ClientWriteError": Fate.LOST,
}

_NEVER_SENT = ("ConnectionException", "ConnectionBusy", "NoConnectionsAvailable", "ConnectionRefusedError")
_SETUP = "run `scylla-store setup` (or store.setup())"


class NotAnswered(OutcomeUnknown):
    """A request was not answered in the time that the caller has patience; it may still be carried out."""


@contextmanager
def translated(server: str, *, write: bool) -> Iterator[None]:
    """Raises what the driver raises as an error of ours; other exceptions pass."""
    try:
        yield
    except Exception as exc:
        error = translate(exc, server, write=write)
        if error is None:
            raise
        raise error from exc


def is_batch_log_timeout(error: StoreError) -> bool:
    """Whether nodes that are to remember a batch first did not answer, by what the database says or how long it takes."""
    if isinstance(error, NotAnswered):
        return True
    cause = error.__cause__
    if f"{type(cause).__module__}.{type(cause).__qualname__}" != "cassandra.WriteTimeout":
        return False
    from cassandra import WriteType

    return bool(getattr(cause, "write_type", None) == WriteType.BATCH_LOG)


def translate(exc: Exception, server: str, *, write: bool) -> StoreError | None:
    """The error of ours that an exception of the driver means, or None when it is none of the driver's.

    Args:
        server: names the database for the message.
        write: whether the request may have changed something, so that a lost answer leaves the outcome open.
    """
    fate = _fate(exc)
    kind: type[StoreError]
    if fate is None:
        return None
    if fate is Fate.MISCONFIGURED:
        kind, what = ConfigurationError, "cannot be used with these settings"
    elif fate is Fate.REFUSED:
        kind, what = _refusal(exc)
    elif "tombstone" in str(exc).lower():
        return TombstoneLimit(f"{TombstoneLimit.__doc__} ({_summary(exc)})")
    elif fate is Fate.UNKNOWN or (write and fate is Fate.LOST):
        kind, what = OutcomeUnknown, "did not say whether the write happened"
    else:
        kind, what = DatabaseUnavailable, "did not answer"
    return kind(f"The database ({server}) {what}: {_summary(exc)}")


def _fate(exc: Exception) -> Fate | None:
    if getattr(exc, "code", None) == CAS_UNKNOWN:
        return Fate.UNKNOWN
    for kind in type(exc).__mro__:
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        fate = FATES.get(f"{module}{kind.__qualname__}")
        if fate is not None:
            return _fate_of_hosts(exc, fate)
    return None


def _fate_of_hosts(exc: Exception, fate: Fate) -> Fate:
    """NoHostAvailable carries what each host said: credentials may be wrong, or nothing may have been sent at all."""
    errors: Any = getattr(exc, "errors", None)
    if type(exc).__name__ != "NoHostAvailable":
        return fate
    said = list(errors.values()) if isinstance(errors, dict) else []
    if any(_fate(error) is Fate.MISCONFIGURED for error in said):
        return Fate.MISCONFIGURED
    if all(type(error).__name__ in _NEVER_SENT for error in said):
        return Fate.NOT_DONE
    return fate


def _refusal(exc: Exception) -> tuple[type[StoreError], str]:
    message = str(exc).lower()
    if "keyspace" in message and ("does not exist" in message or "can't find" in message):
        return SchemaMismatch, f"has no such keyspace; {_SETUP}"
    is_missing = "table" in message and "does not exist" in message
    if is_missing or any(sign in message for sign in ("unconfigured table", "undefined column", "unknown identifier")):
        return SchemaMismatch, f"lacks a table or column; {_SETUP}"
    return DatabaseRefused, "refused the statement"


def _summary(exc: Exception) -> str:
    return f"{type(exc).__name__}: {str(exc)[:500]}"
