"""What only the server brings: faults on the way, collections of others, keys, and requests that it would refuse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from scylla_store.errors import CollectionMismatch, IndexRefused, IndexThrottled, IndexUnavailable
from scylla_store.index.base import VECTOR
from scylla_store.index.payloads import indexed_fields
from scylla_store.index.server import QdrantServer
from scylla_store.settings.options import IndexSettings
from tests.contract.index.points import DIMENSIONS, NOW, SPECIFICATION, count, fresh_name, keys, point, stored
from tests.contract.index.qdrant import StrictQdrant, started
from tests.faults.proxy import FaultProxy
from tests.servers import Qdrant

_WRITES = "wait="


@pytest.fixture
def proxy(strict_qdrant: StrictQdrant) -> Iterator[FaultProxy]:
    with FaultProxy(strict_qdrant.port, http=True) as proxy:
        yield proxy


@pytest.fixture
def index(strict_qdrant: StrictQdrant, proxy: FaultProxy) -> Iterator[QdrantServer]:
    """An index behind the proxy, with a point."""
    index = strict_qdrant.factory(url=f"http://127.0.0.1:{proxy.port}", timeout=20.0)()
    index.setup(SPECIFICATION)
    index.upsert([point()], at_most=NOW)
    yield index
    index.close()


@pytest.fixture
def client(strict_qdrant: StrictQdrant) -> Iterator[QdrantClient]:
    """Another program that uses the same server."""
    client = QdrantClient(url=strict_qdrant.url, check_compatibility=False, timeout=60)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (("refuse",), IndexUnavailable),
        (("answer", 429), IndexThrottled),
        (("answer", 500), IndexUnavailable),
        (("answer", 200), IndexUnavailable),  # not Qdrant, but something before it
        (("answer", 503), IndexUnavailable),
        (("answer", 404), IndexUnavailable),
        (("answer", 400), IndexRefused),
        (("drop_answers",), IndexUnavailable),
    ],
)
def test_a_server_in_trouble_is_named_and_used_again_when_it_is_well(
    index: QdrantServer, proxy: FaultProxy, fault: tuple[Any, ...], expected: type[Exception]
) -> None:
    # Given a server in trouble
    getattr(proxy, fault[0])(*fault[1:])
    # When it is asked and written to, then the error names it
    for request in (lambda: keys(index), lambda: index.upsert([point("b")], at_most=NOW), lambda: index.ping()):
        with pytest.raises(expected, match=f"127.0.0.1:{proxy.port}") as caught:
            request()
        assert type(caught.value) is expected
    # When it is well again, then it is used again
    proxy.heal()
    assert "k" in keys(index)


@pytest.mark.parametrize("prefer_grpc", [False, True], ids=["REST", "gRPC"])
def test_a_server_that_never_answers_is_waited_for_no_longer_than_the_timeout(
    strict_qdrant: StrictQdrant, prefer_grpc: bool
) -> None:
    # Given a server that accepts and never answers, and no patience
    with FaultProxy(strict_qdrant.grpc_port if prefer_grpc else strict_qdrant.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        index = strict_qdrant.factory(url=url, grpc_port=proxy.port, prefer_grpc=prefer_grpc, timeout=0.3)()
        proxy.hang()
        # When it is asked, then it counts as unavailable
        for _ in range(2):
            with pytest.raises(IndexUnavailable):
                stored(index)
        index.close()


def test_nothing_is_sent_when_a_vector_is_wrong(index: QdrantServer, proxy: FaultProxy) -> None:
    proxy.answer(500, only=_WRITES)

    with pytest.raises(Exception, match="not finite"):
        index.upsert([point("b", vector=[float("nan")] * DIMENSIONS)], at_most=NOW)


def test_no_server_is_needed_to_make_and_close_an_index() -> None:
    index = QdrantServer(IndexSettings(url="http://127.0.0.1:1", timeout=0.5))

    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1"):
        index.connect()

    index.close()


@pytest.mark.parametrize(
    ("vectors", "named"),
    [
        (models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE), "not made by"),
        ({"other": models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)}, "not made by"),
        ({VECTOR: models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)}, "not made by"),
    ],
    ids=["without a name", "another name", "the same vector"],
)
def test_a_collection_of_others_is_refused_and_left_alone(
    strict_qdrant: StrictQdrant, client: QdrantClient, vectors: Any, named: str
) -> None:
    # Given a collection that somebody else made
    name = fresh_name()
    client.create_collection(name, vectors)
    before = client.get_collection(name)
    # When it is set up as ours
    index = strict_qdrant.factory(collection=name)()
    with pytest.raises(CollectionMismatch, match=named):
        index.setup(SPECIFICATION)
    index.close()
    # Then it is refused and as it was
    after = client.get_collection(name)
    assert (after.config.params, after.payload_schema) == (before.config.params, before.payload_schema)


def test_a_collection_with_another_distance_is_refused_naming_both(
    strict_qdrant: StrictQdrant, client: QdrantClient
) -> None:
    name = fresh_name()
    client.create_collection(
        name,
        {VECTOR: models.VectorParams(size=DIMENSIONS, distance=models.Distance.DOT)},
        metadata={"scylla_store": {"format": 1, "model": SPECIFICATION.model}},
    )
    index = strict_qdrant.factory(collection=name)()

    with pytest.raises(CollectionMismatch, match=r"distance Dot.*distance Cosine"):
        index.setup(SPECIFICATION)
    index.close()


def test_setup_makes_what_the_settings_say_and_adds_indexes_that_are_missing(
    strict_qdrant: StrictQdrant, client: QdrantClient
) -> None:
    # Given a collection made with two shards and three replicas
    name = fresh_name()
    index = strict_qdrant.factory(collection=name, shard_number=2, replication_factor=3)()
    index.setup(SPECIFICATION)
    made = client.get_collection(name)
    params = made.config.params
    assert (params.shard_number, params.replication_factor, params.write_consistency_factor) == (2, 3, 2)
    assert {field: schema.data_type.value for field, schema in made.payload_schema.items()} == indexed_fields(
        SPECIFICATION.ranges
    )
    tenant = made.payload_schema["tenant"].params
    assert isinstance(tenant, models.KeywordIndexParams)
    assert tenant.is_tenant is True
    # When an index is lost, then requests wait for setup
    client.delete_payload_index(name, "prefixes", wait=True)
    with pytest.raises(IndexUnavailable, match="setup"):
        keys(index, prefix=("docs",))
    # And setup brings it back
    index.setup(SPECIFICATION)
    index.upsert([point()], at_most=NOW)
    assert keys(index, prefix=("docs",)) == ["k"]
    assert index.vectors([(point().id, "f")]).keys() == {point().id}
    index.close()


def test_a_collection_that_is_lost_and_made_anew_with_another_size_is_noticed(
    strict_qdrant: StrictQdrant, client: QdrantClient
) -> None:
    # Given an index in use whose collection is lost
    name = fresh_name()
    index = strict_qdrant.factory(collection=name)()
    index.setup(SPECIFICATION)
    index.upsert([point()], at_most=NOW)
    client.delete_collection(name)
    # When it is used, then it says what to do
    with pytest.raises(IndexUnavailable, match="setup"):
        index.upsert([point()], at_most=NOW)
    # When setup makes it anew, then it works
    index.setup(SPECIFICATION)
    index.upsert([point()], at_most=NOW)
    assert count(index) == 1
    index.close()


def test_a_key_is_sent_and_a_wrong_one_is_an_outage_that_does_not_show_it(strict_qdrant: StrictQdrant) -> None:
    with started(Qdrant(options={"QDRANT__SERVICE__API_KEY": "the right key"})) as server:
        for grpc in (False, True):
            settings = {"url": server.url, "grpc_port": server.grpc_port, "prefer_grpc": grpc, "timeout": 20.0}
            index = strict_qdrant.factory(**settings, api_key="the right key")()
            index.setup(SPECIFICATION)
            assert count(index) == 0
            index.close()
            wrong = strict_qdrant.factory(**settings, api_key="a wrong key")()
            with pytest.raises(IndexUnavailable, match=r"index\.api_key") as caught:
                count(wrong)
            assert "wrong key" not in str(caught.value)
            wrong.close()


@pytest.mark.parametrize("prefer_grpc", [False, True], ids=["REST", "gRPC"])
def test_both_halves_of_a_fork_go_on(strict_qdrant: StrictQdrant, prefer_grpc: bool) -> None:
    # Given an index that was used before the fork
    index = strict_qdrant.factory(prefer_grpc=prefer_grpc)()
    index.setup(SPECIFICATION)
    index.upsert([point("before")], at_most=NOW)
    # When the child writes, and the parent while the child lives
    child = os.fork()
    if child == 0:
        status = 1
        try:
            index.upsert([point("child")], at_most=NOW)
            status = 0 if "child" in keys(index) else 2
        finally:
            os._exit(status)
    index.upsert([point("parent")], at_most=NOW)
    assert os.waitpid(child, 0)[1] == 0
    # Then both have
    assert set(keys(index)) == {"before", "child", "parent"}
    index.close()


def test_who_uses_the_collection_of_another_store_is_refused_before_the_first_request(
    strict_qdrant: StrictQdrant, client: QdrantClient
) -> None:
    # Given a collection that one store set up and uses
    name = fresh_name()
    settings = strict_qdrant.settings(collection=name)
    index, other = QdrantServer(settings, store=lambda: "one"), QdrantServer(settings, store=lambda: "other")
    index.setup(replace(SPECIFICATION, store="one"))
    index.upsert([point()], at_most=NOW)
    # When another one uses it, set up or not, then it reads and writes nothing
    for request in (
        lambda: stored(other),
        lambda: other.upsert([point("b")], at_most=NOW),
        lambda: other.delete([(point().id, str(point().payload["fingerprint"]))]),
        other.ping,
    ):
        with pytest.raises(CollectionMismatch, match=f"{name}.*another store"):
            request()
    assert keys(index) == ["k"]
    # And when its owner's name is taken off, as it was before there were any, it works for all, and the next setup takes it
    client.update_collection(
        name, metadata={"scylla_store": {"format": 1, "model": SPECIFICATION.model, "store": None}}
    )
    assert keys(other) == ["k"]
    other.setup(replace(SPECIFICATION, store="other"))
    assert client.get_collection(name).config.metadata == {
        "scylla_store": {"format": 1, "model": SPECIFICATION.model, "store": "other"}
    }
    index.close()
    other.close()
