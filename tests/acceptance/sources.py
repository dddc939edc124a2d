"""How the judge reads: plain CQL, plain sqlite3, plain Qdrant REST, and qdrant_edge on the folder of a closed store."""

from __future__ import annotations

import itertools
import json
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.acceptance.cells import StoredRow
from tests.acceptance.points import StoredPoint

_PAGE = 1000
_SAMPLE = 1000
"""About how many points are read with their vectors, spread over all."""


@dataclass(frozen=True)
class Waiting:
    """An intent in the outbox; `due` in microseconds."""

    item: tuple[tuple[str, ...], str]
    kind: str
    due: int
    attempts: int = 0
    error: str | None = None


@dataclass
class State:
    """Everything that database and index hold; `dimensions`: numbers in a vector."""

    rows: list[StoredRow] = field(default_factory=list)
    points: list[StoredPoint] = field(default_factory=list)
    outbox: list[Waiting] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    dimensions: int | None = None


def under(root: str, state: State) -> State:
    """What belongs to namespaces that begin with this label, and points that name no namespace. Dead letters all."""
    return State(
        rows=[row for row in state.rows if row.namespace[0] == root],
        points=[point for point in state.points if (point.payload.get("namespace") or [root])[0] == root],
        outbox=[entry for entry in state.outbox if entry.item[0][0] == root],
        letters=state.letters,
        dimensions=state.dimensions,
    )


def read_cluster(contact: str, keyspace: str, url: str, collection: str) -> State:
    """Reads a Cassandra node (host:port) and a Qdrant server."""
    with cql_session(contact, keyspace) as session:
        rows = session.execute("SELECT namespace, key, WRITETIME(head), head, body, refresh FROM items")
        state = State(rows=[StoredRow(tuple(row[0]), *row[1:]) for row in rows if row[3] is not None])
        state.outbox = read_outbox(session)
        state.letters = [str(row[0]) for row in session.execute("SELECT id FROM dead_letters")]
    state.points = _with_vectors(url, collection, list(_rest_points(url, collection)))
    state.dimensions = _dimensions(url, collection)
    return state


def cql_session(contact: str, keyspace: str, consistency: str = "QUORUM") -> Any:
    """A context manager of a session of its own, which gives tuples and reads what a reader is promised."""
    from contextlib import contextmanager

    from cassandra import ConsistencyLevel
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import WhiteListRoundRobinPolicy
    from cassandra.query import tuple_factory

    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy([contact.rsplit(":", 1)[0]]),
        consistency_level=ConsistencyLevel.name_to_value[consistency],
        request_timeout=60,
        row_factory=tuple_factory,
    )

    @contextmanager
    def session() -> Iterator[Any]:
        host, port = contact.rsplit(":", 1)
        profiles = {EXEC_PROFILE_DEFAULT: profile}
        with Cluster([host], port=int(port), connect_timeout=30, execution_profiles=profiles) as cluster:
            yield cluster.connect(keyspace)

    return session()


_OUTBOX = "SELECT namespace, key, kind, due, attempts, error FROM outbox WHERE token(slot, shard) > %s AND token(slot, shard) <= %s"
_RANGES = 64
_TOKENS = [-(2**63) + number * (2**64 // _RANGES) for number in range(_RANGES)] + [2**63 - 1]
"""No partition has the least token."""


def read_outbox(session: Any) -> list[Waiting]:
    """All intents. Rows without a kind are late bookkeeping of acknowledged intents, which means nothing.

    By ranges of tokens: after many acknowledgements one select would meet more deleted rows than Cassandra reads at once.
    """
    rows = [row for start, end in itertools.pairwise(_TOKENS) for row in session.execute(_OUTBOX, (start, end))]
    return [Waiting((tuple(row[0]), row[1]), row[2], row[3], row[4] or 0, row[5]) for row in rows if row[2] is not None]


def read_embedded(folder: Path) -> State:
    """Reads the folder of an embedded store that nobody has open."""
    connection = sqlite3.connect(database_file(folder))
    try:
        rows = connection.execute(
            "SELECT namespace, key, version, head, body, refresh FROM items WHERE head IS NOT NULL"
        )
        state = State(rows=[StoredRow(tuple(json.loads(row[0])), *row[1:]) for row in rows])
        state.outbox = embedded_outbox(connection)
        state.letters = [str(row[0]) for row in connection.execute("SELECT id FROM dead_letters")]
    finally:
        connection.close()
    state.points = list(_edge_points(edge_folder(folder)))
    sizes = Counter(len(point.vector) for point in state.points if point.vector is not None)
    state.dimensions = next((size for size, _ in sizes.most_common(1)), None)
    return state


def database_file(folder: Path) -> Path:
    """The database of an embedded store."""
    return folder / "store.sqlite3"


def edge_folder(folder: Path) -> Path:
    """The index of an embedded store."""
    return folder / "index" / "collection" / "shard"


def embedded_outbox(connection: sqlite3.Connection) -> list[Waiting]:
    """All intents."""
    rows = connection.execute("SELECT namespace, key, kind, due, attempts, error FROM outbox")
    return [Waiting((tuple(json.loads(row[0])), row[1]), *row[2:]) for row in rows]


def _rest_points(url: str, collection: str) -> Iterator[StoredPoint]:
    """All points. Which have a vector is asked by a filter; where that is a surprise, the point itself is asked."""
    without_vector = {"must_not": [{"has_vector": "text"}]}
    bare = {point["id"] for point in _scroll(url, collection, {"filter": without_vector, "with_payload": False})}
    for point in _scroll(url, collection, {"with_payload": True}):
        payload, has_vector = point["payload"] or {}, point["id"] not in bare
        if has_vector is (payload.get("text_hash") == ""):
            has_vector = _has_vector(url, collection, point["id"])
        yield StoredPoint(point["id"], payload, has_vector)


def _with_vectors(url: str, collection: str, points: Sequence[StoredPoint]) -> list[StoredPoint]:
    """The points, a sample of them with their vectors."""
    bearing = [point.id for point in points if point.has_vector]
    sample = bearing[:: max(1, len(bearing) // _SAMPLE)]
    vectors: dict[str, tuple[Any, ...]] = {}
    for start in range(0, len(sample), _PAGE // 4):
        for point in _retrieve(url, collection, sample[start : start + _PAGE // 4]):
            if point.get("vector"):
                vectors[point["id"]] = _numbers(point["vector"])
    return [replace(point, vector=vectors.get(point.id)) for point in points]


def _dimensions(url: str, collection: str) -> int:
    """As the collection was made."""
    with urllib.request.urlopen(f"{url}/collections/{collection}", timeout=60) as response:
        return int(json.load(response)["result"]["config"]["params"]["vectors"]["text"]["size"])


def _numbers(vector: Any) -> tuple[Any, ...]:
    return tuple(vector["text"] if isinstance(vector, dict) else vector)


def _has_vector(url: str, collection: str, ident: str) -> bool:
    found = _retrieve(url, collection, [ident])
    return bool(found and found[0].get("vector"))


def _retrieve(url: str, collection: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    body = json.dumps({"ids": list(ids), "with_vector": True}).encode()
    request = urllib.request.Request(
        f"{url}/collections/{collection}/points", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return list(json.load(response)["result"])


def _scroll(url: str, collection: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    offset = None
    while True:
        body = json.dumps({**query, "limit": _PAGE, "offset": offset, "with_vector": False}).encode()
        request = urllib.request.Request(
            f"{url}/collections/{collection}/points/scroll", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            result = json.load(response)["result"]
        yield from result["points"]
        offset = result["next_page_offset"]
        if offset is None:
            return


def _edge_points(folder: Path) -> Iterator[StoredPoint]:
    import qdrant_edge

    shard = qdrant_edge.EdgeShard.load(str(folder))
    try:
        offset = None
        while True:
            records, offset = shard.scroll(
                qdrant_edge.ScrollRequest(offset=offset, limit=_PAGE, with_payload=True, with_vector=True)
            )
            for record in records:
                vector = _numbers(record.vector) if record.vector else None
                yield StoredPoint(str(record.id), record.payload or {}, bool(record.vector), vector)
            if offset is None:
                return
    finally:
        shard.close()
