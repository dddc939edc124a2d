"""The demo's victim: stores documents, says after each batch what it was told, and waits to be killed.

python -m scylla_store.cli.crashing FOLDER CORPUS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scylla_store.cli.invocation import wait_for_index
from scylla_store.items import Put
from scylla_store.settings.options import Settings
from scylla_store.store import ScyllaStore

BATCH = 25


def main(folder: str, corpus: str) -> None:
    """Prints a line for every batch: documents acknowledged, and writes that wait for the index."""
    lines = Path(corpus).read_text(encoding="utf-8").splitlines()
    puts = [Put(tuple(line["namespace"]), line["key"], line["value"]) for line in map(json.loads, lines)]
    with ScyllaStore(Settings(path=folder)) as store:
        for start in range(0, len(puts), BATCH):
            store.put_many(puts[start : start + BATCH])
            _tell(min(len(puts), start + BATCH), store.status().pending)
        wait_for_index(store, 60.0, lambda pending: _tell(len(puts), pending))


def _tell(acknowledged: int, pending: int) -> None:
    print(acknowledged, pending, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
