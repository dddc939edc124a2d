"""A process that asks for status and health every few seconds, as an operator's monitoring would, and writes down the answers.

python -m tests.campaign.watcher
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from scylla_store import ScyllaStore
from tests.campaign.control import folder, writing

_PAUSE = 1.5


def _asked(question: Callable[[], Any]) -> Any:
    """The answer, or the error in its place."""
    try:
        return question()
    except Exception as exc:  # noqa: BLE001  whatever it is, an operator would see it
        return {"error": type(exc).__name__, "message": str(exc)[:300]}


def main() -> None:
    campaign = folder()
    control = writing(campaign)
    with ScyllaStore.from_settings() as store, (campaign / "watched.jsonl").open("a") as answers:
        while not control.read().get("end"):
            sample = {
                "status": _asked(lambda: asdict(store.status())),
                "health": _asked(lambda: {name: asdict(line) for name, line in store.health().items()}),
                "monotonic": time.monotonic(),
            }
            answers.write(json.dumps(sample, default=str) + "\n")
            answers.flush()
            time.sleep(_PAUSE)


if __name__ == "__main__":
    main()
