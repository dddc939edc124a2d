"""Exceptions of the clients of the index become ours."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import grpc
import httpx
import pydantic
import pytest
import qdrant_client
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from scylla_store.errors import (
    ConfigurationError,
    EmbeddedIndexBusy,
    IndexRefused,
    IndexThrottled,
    IndexUnavailable,
    StoreClosed,
    StoreError,
)
from scylla_store.index.edge import errors as edge
from scylla_store.index.server.errors import FATES, STATUSES, fate_of, translate, translated

UNUSED = ("qdrant_client.local", "qdrant_client.fastembed", "qdrant_client.embed", "qdrant_client.hybrid")
"""Parts of the client that the library does not use."""


def client_exceptions() -> set[str]:
    found = set()
    for module in pkgutil.walk_packages(qdrant_client.__path__, "qdrant_client."):
        if module.name.startswith(UNUSED):
            continue
        try:
            loaded = importlib.import_module(module.name)
        except ImportError:
            continue
        for kind in vars(loaded).values():
            if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__.startswith("qdrant_client"):
                found.add(f"{kind.__module__}.{kind.__qualname__}")
    return found


def test_every_exception_of_the_client_is_mapped() -> None:
    found = client_exceptions()
    assert len(found) >= 5
    assert found - set(FATES) == set()


def test_every_exception_of_its_transports_is_mapped() -> None:
    kinds = [kind for kind in vars(httpx).values() if inspect.isclass(kind) and issubclass(kind, Exception)]
    unknown = [kind for kind in kinds if fate_of(kind.__new__(kind)) is None]
    assert len(kinds) > 20
    assert unknown == []
    assert {status.name for status in grpc.StatusCode} - set(STATUSES) == {"OK"}


class GrpcError(grpc.RpcError):
    """As gRPC raises it: an error that is a call too."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        self._answer = code, details

    def code(self) -> grpc.StatusCode:
        return self._answer[0]

    def details(self) -> str:
        return self._answer[1]


def answer(status: int, content: bytes = b"") -> UnexpectedResponse:
    return UnexpectedResponse(status, "reason", content, httpx.Headers())


def not_an_answer() -> pydantic.ValidationError:
    try:
        pydantic.TypeAdapter(int).validate_python("<html>")
    except pydantic.ValidationError as exc:
        return exc
    raise AssertionError("a page is no number")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (answer(400), IndexRefused),
        (answer(400, b"Index required but not found for item"), IndexUnavailable),
        (answer(401), IndexUnavailable),
        (answer(403), IndexUnavailable),
        (answer(404), IndexUnavailable),
        (answer(408), IndexUnavailable),
        (answer(413), IndexRefused),
        (answer(418), IndexRefused),
        (answer(429), IndexThrottled),
        (answer(500), IndexUnavailable),
        (answer(599), IndexUnavailable),
        (ResourceExhaustedResponse("slow", 1), IndexThrottled),
        (ResponseHandlingException(httpx.ConnectError("refused")), IndexUnavailable),
        (ResponseHandlingException(httpx.ReadTimeout("late")), IndexUnavailable),
        (ResponseHandlingException(httpx.UnsupportedProtocol("ftp")), ConfigurationError),
        (ResponseHandlingException(not_an_answer()), IndexUnavailable),
        (ConnectionResetError("reset"), IndexUnavailable),
        (GrpcError(grpc.StatusCode.UNAVAILABLE), IndexUnavailable),
        (GrpcError(grpc.StatusCode.DEADLINE_EXCEEDED), IndexUnavailable),
        (GrpcError(grpc.StatusCode.RESOURCE_EXHAUSTED), IndexThrottled),
        (GrpcError(grpc.StatusCode.NOT_FOUND), IndexUnavailable),
        (GrpcError(grpc.StatusCode.INVALID_ARGUMENT), IndexRefused),
        (GrpcError(grpc.StatusCode.INVALID_ARGUMENT, "Index required but not found for item"), IndexUnavailable),
        (GrpcError(grpc.StatusCode.UNAUTHENTICATED), IndexUnavailable),
        (GrpcError(grpc.StatusCode.UNIMPLEMENTED), ConfigurationError),
        (grpc.RpcError(), IndexUnavailable),
    ],
)
def test_what_the_client_raises_says_whether_trying_again_helps(raised: Exception, expected: type[StoreError]) -> None:
    assert type(translate(raised, "index:6333")) is expected


def test_the_message_names_the_server_and_the_cause_is_kept() -> None:
    cause = ResponseHandlingException(httpx.ConnectError("refused"))
    with (
        pytest.raises(IndexUnavailable, match=r"index:6333.*ConnectError: refused") as caught,
        translated("index:6333"),
    ):
        raise cause
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("mistake", [KeyError("ours"), ResponseHandlingException(KeyError("ours"))])
def test_a_mistake_of_ours_is_not_disguised(mistake: Exception) -> None:
    with pytest.raises(type(mistake)), translated("index:6333"):
        raise mistake


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Can't init WAL: Kind(WouldBlock)", EmbeddedIndexBusy),
        ("Vector dimension error: expected dim: 4, got 1", IndexRefused),
        ("Service runtime error: Shard is not initialized", StoreClosed),
        ("Service runtime error: No space left on device", IndexUnavailable),
        ("something that nobody has seen", IndexUnavailable),
    ],
)
def test_the_words_of_the_engine_say_whether_trying_again_helps(said: str, expected: type[StoreError]) -> None:
    with pytest.raises(expected) as caught, edge.translated():
        raise Exception(said)
    assert type(caught.value) is expected


def test_a_panic_of_the_engine_is_an_outage() -> None:
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(IndexUnavailable, match="poisoned"), edge.translated():
        raise panic("poisoned")


@pytest.mark.parametrize("mistake", [KeyError("ours"), KeyboardInterrupt()])
def test_what_is_not_the_engines_passes(mistake: BaseException) -> None:
    with pytest.raises(type(mistake)), edge.translated():
        raise mistake
