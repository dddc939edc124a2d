"""Breaks a right installation in known ways, to see that the judge complains: a judge that reads nothing finds nothing."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence

from tests.acceptance.cells import StoredRow
from tests.acceptance.record import SECOND, Write
from tests.acceptance.sources import cql_session

PLANTED = {"lost": 1, "stale": 1, "orphan": 2, "outbox": 1, "dead": 1}
"""What the judge has to find after `plant`: the points of the lost row are orphans too."""

_ORPHAN = "00000000-0000-0000-0000-00000000000a"


def plant(
    record: Sequence[Write], rows: Sequence[StoredRow], cql: str, keyspace: str, url: str, collection: str
) -> None:
    """Deletes a row, makes the points of another one stale, adds a point of nobody, an intent and a dead letter."""
    lost, stale = _plain(record, rows)[:2]
    with cql_session(cql, keyspace) as session:
        session.execute(
            "DELETE FROM items WHERE namespace = %s AND bucket = 0 AND key = %s", (list(lost.namespace), lost.key)
        )
        due = time.time_ns() // 1000 - SECOND
        session.execute(
            "INSERT INTO outbox (slot, shard, due, intent, namespace, key, kind) VALUES (1, 1, %s, 0x01, %s, 'k', 'write')",
            (due, ["planted"]),
        )
        session.execute("INSERT INTO dead_letters (shard, id, letter) VALUES ('0', 'planted', '{}')")
    points = f"{url}/collections/{collection}/points"
    _send(f"{points}?wait=true", "PUT", {"points": [{"id": _ORPHAN, "vector": {}, "payload": {"version": 1}}]})
    concerned = {
        "must": [{"key": "key", "match": {"value": stale.key}}, {"key": "version", "match": {"value": stale.version}}]
    }
    _send(f"{points}/payload?wait=true", "POST", {"payload": {"version": 5}, "filter": concerned})


def _plain(record: Sequence[Write], rows: Sequence[StoredRow]) -> list[StoredRow]:
    """Rows without expiry that are surely the acknowledged ones, and in the index."""
    stored = {(row.namespace, row.key, row.version): row for row in rows}
    unknown = Counter((write.namespace, write.key) for write in record if write.version is None)
    return [
        stored[write.namespace, write.key, write.version]
        for write in record
        if write.digest and write.indexed and write.ttl is None and write.version is not None
        and not unknown[write.namespace, write.key] and (write.namespace, write.key, write.version) in stored
    ]  # fmt: skip


def _send(url: str, method: str, body: object) -> None:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()
