"""The judge reads a real store: nothing wrong in it is overlooked, nothing right is complained about."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scylla_store import ScyllaStore
from tests.acceptance.judge import judged
from tests.acceptance.operations import Plan
from tests.acceptance.sources import database_file, edge_folder, embedded_outbox
from tests.acceptance.waiting import wait_until_calm
from tests.acceptance.writer import Writer

OPERATIONS = 120
SETTINGS = {"sync__margin": 1.0, "clock__max_clock_skew": 2.0}
ORPHAN = "00000000-0000-0000-0000-00000000000a"

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record of a writer and its embedded store, indexed and closed."""
    folder = tmp_path_factory.mktemp("written")
    with ScyllaStore.from_settings(**SETTINGS, path=str(folder / "store"), embedder__name="hashing") as store:
        writer = Writer(store, Plan(seed=5, keys=10), folder / "writer.log")
        for _ in range(OPERATIONS):
            writer.step()
        connection = sqlite3.connect(database_file(folder / "store"))
        wait_until_calm(lambda: embedded_outbox(connection), 60)
        connection.close()
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_store_that_is_right_is_clean(copy: Path) -> None:
    verdict = found_in(copy)
    assert verdict["found"] == {}
    assert verdict["counts"]["live"] > 10
    assert verdict["counts"]["points"] > verdict["counts"]["live"]


def a_row_is_lost(folder: Path) -> None:
    with database(folder) as connection:
        connection.execute("DELETE FROM items WHERE rowid IN (SELECT min(rowid) FROM items WHERE body IS NOT NULL)")


def an_intent_is_left(folder: Path) -> None:
    with database(folder) as connection:
        connection.execute("UPDATE outbox SET kind = 'write' WHERE rowid IN (SELECT min(rowid) FROM outbox)")


def a_chunk_is_missing(folder: Path) -> None:
    with index(folder) as shard:
        point = next(point for point in points(shard) if point.payload["count"] > 1)
        apply(shard, "delete_points", [point.id])


def a_point_is_stale(folder: Path) -> None:
    with index(folder) as shard:
        point = points(shard)[0]
        apply(shard, "set_payload", [point.id], {"version": point.payload["version"] - 1})


def a_point_is_an_orphan(folder: Path) -> None:
    with index(folder) as shard:
        upsert(shard, ORPHAN, {**points(shard)[0].payload, "key": "nobody's", "item": "0" * 32})


def a_point_names_no_item(folder: Path) -> None:
    with index(folder) as shard:
        upsert(shard, ORPHAN, {"version": 1})


def a_point_is_under_another_prefix(folder: Path) -> None:
    with index(folder) as shard:
        point = points(shard)[0]
        apply(shard, "set_payload", [point.id], {"prefixes": [*point.payload["prefixes"][:1], "0" * 32]})


def a_chunk_ends_too_early(folder: Path) -> None:
    """What it holds is what it says, so that only the next one's start tells."""
    with index(folder) as shard:
        point = next(point for point in points(shard) if point.payload["path"] == "title")
        start, title = point.payload["start"], a_title(folder, point.payload)
        end = start + len(title[start:].split()[0])
        hashed = hashlib.blake2b(title[start:end].encode(), digest_size=16).hexdigest()
        apply(shard, "set_payload", [point.id], {"end": end, "text_hash": hashed})


def a_title(folder: Path, payload: dict[str, Any]) -> str:
    with database(folder) as connection:
        rows = connection.execute("SELECT namespace, body FROM items WHERE key = ?", (payload["key"],))
        body = next(body for namespace, body in rows if json.loads(namespace) == payload["namespace"])
    return str(json.loads(body[16:])["title"])


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        (a_row_is_lost, {"lost", "orphan"}),
        (an_intent_is_left, {"outbox"}),
        (a_chunk_is_missing, {"incomplete"}),
        (a_point_is_stale, {"stale"}),
        (a_point_is_an_orphan, {"orphan"}),
        (a_point_names_no_item, {"orphan"}),
        (a_point_is_under_another_prefix, {"wrong"}),
        (a_chunk_ends_too_early, {"wrong"}),
    ],
)
def test_a_defect_planted_in_a_real_store_is_found(copy: Path, plant: Callable[[Path], None], kinds: set[str]) -> None:
    plant(copy)
    assert set(found_in(copy)["found"]) == kinds


def found_in(folder: Path) -> dict[str, Any]:
    return judged("--records", folder, "--folder", folder / "store")


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(database_file(folder / "store"))
    with connection:
        yield connection
    connection.close()


@contextmanager
def index(folder: Path) -> Iterator[Any]:
    import qdrant_edge

    shard = qdrant_edge.EdgeShard.load(str(edge_folder(folder / "store")))
    yield shard
    shard.close()


def points(shard: Any) -> list[Any]:
    import qdrant_edge

    return list(shard.scroll(qdrant_edge.ScrollRequest(limit=10_000, with_payload=True, with_vector=True))[0])


def apply(shard: Any, operation: str, *arguments: Any) -> None:
    import qdrant_edge

    shard.update(getattr(qdrant_edge.UpdateOperation, operation)(*arguments))


def upsert(shard: Any, ident: Any, payload: dict[str, Any]) -> None:
    import qdrant_edge

    apply(shard, "upsert_points", [qdrant_edge.Point(id=ident, vector={}, payload=payload)])
