"""Documents from four writers reach the index whatever dies: writers, workers, beat, Redis, Qdrant."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster
from tests.acceptance.judge import judged
from tests.acceptance.killer import Killer, shortfall
from tests.acceptance.planting import PLANTED, plant
from tests.acceptance.record import writes
from tests.acceptance.sources import read_cluster
from tests.acceptance.waiting import poll

DOCUMENTS = int(os.environ.get("SCYLLA_STORE_TEST_DOCUMENTS", "20000"))
SEED = int(os.environ.get("SCYLLA_STORE_TEST_SEED", "1"))
WRITERS = 4
KILLS = 5
PACE_SECONDS = 120.0
PATIENCE = 300.0

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def test_nothing_acknowledged_is_lost_and_the_index_equals_the_database(
    cassandra: str, redis_server: str, qdrant: str, tmp_path: Path
) -> None:
    # Given four writers, two workers, beat, and their servers
    cluster = Cluster(cassandra, tmp_path, f"acceptance_{uuid.uuid4().hex[:12]}")
    cluster.add_writers(WRITERS, DOCUMENTS, rate=DOCUMENTS / WRITERS / PACE_SECONDS)
    with cluster.running():
        # When each of them is killed at least five times while the writers write
        began = time.monotonic()
        for writer in cluster.writers:
            writer.start()
        victims = cluster.victims()
        killer = Killer(victims, seed=SEED, times=KILLS, pause=2.0, downtime=2.0)
        killer.start()
        assert poll(lambda: killer.is_done, PATIENCE, every=0.5), f"kills until now: {killer.kills}"
        assert killer.error is None
        cluster.stop_file.touch()
        exits = {writer.name: writer.wait(PATIENCE) for writer in cluster.writers}
        assert exits == dict.fromkeys(exits, 0), "\n".join(writer.tail() for writer in cluster.writers)
        assert shortfall(killer.kills, [victim.name for victim in victims], KILLS) == {}
        written = time.monotonic() - began
        # Then, when the outbox is empty, a judge from outside finds nothing wrong
        calm = cluster.wait_until_calm(PATIENCE)
        verdict = judged(*reading(cluster))
        print(json.dumps({"seconds": round(written), "until_calm": round(calm), **verdict}, indent=2))
        assert verdict["found"] == {}
        assert verdict["counts"]["acknowledged"] >= DOCUMENTS * 0.95
        # And that judge is not blind: it finds what is broken now
        state = read_cluster(cluster.cql, cluster.keyspace, cluster.qdrant.url, cluster.keyspace)
        record = writes(sorted(cluster.records.glob("*.log")))
        plant(record, state.rows, cluster.cql, cluster.keyspace, cluster.qdrant.url, cluster.keyspace)
        assert judged(*reading(cluster))["found"] == PLANTED


def reading(cluster: Cluster) -> list[object]:
    """What the judge is to read."""
    return [
        "--records", cluster.records, "--cql", cluster.cql, "--keyspace", cluster.keyspace,
        "--qdrant", cluster.qdrant.url, "--collection", cluster.keyspace,
    ]  # fmt: skip
