"""Runs a module as the next version of the library would be: it writes a newer format of messages and reads both.

python -m tests.campaign.newer MODULE [ARGUMENTS]
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

from scylla_store import intents
from scylla_store.contrib.celery import tasks

OLD, NEW = intents.WIRE_FORMAT, intents.WIRE_FORMAT + 1


def from_wire(message: dict[str, Any]) -> list[intents.Ref] | None:
    """Reads the old format as if it were the new one."""
    return _from_wire({**message, "format": NEW} if message.get("format") == OLD else message)


if __name__ == "__main__":
    _from_wire = intents.from_wire
    intents.WIRE_FORMAT = NEW
    intents.from_wire = tasks.from_wire = from_wire
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
