"""A process that writes while it is told to, and goes on whatever an operation raises: the record says what.

python -m tests.campaign.writer NUMBER
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from scylla_store import ScyllaStore
from scylla_store.errors import PartialFailure
from tests.acceptance.operations import Plan
from tests.acceptance.record import Record, progress
from tests.acceptance.writer import perform
from tests.campaign.control import folder, writing

LONGEST_TTL = 6.0
_IDLE = 0.05


def plan_of(root: str, number: int, keys: int) -> Plan:
    """What writer `number` writes under this root."""
    return Plan(number, keys, root=root, longest_ttl=LONGEST_TTL, largest=8)


def record_of(campaign: Path, root: str, number: int) -> Path:
    """Where it says what it did."""
    return campaign / "records" / root / f"writer{number}.log"


class Writing:
    """The operations of one writer under one root."""

    def __init__(self, store: ScyllaStore, path: Path, plan: Plan) -> None:
        self._store = store
        self._plan = plan
        path.parent.mkdir(parents=True, exist_ok=True)
        self._next = progress(path).next_operation
        self._record = Record(path)

    def step(self) -> None:
        """One operation."""
        number, self._next = self._next, self._next + 1
        operation = self._plan.operation(number)
        self._record.intend(number, operation.as_writes())
        try:
            receipts = perform(self._store, operation)
        except PartialFailure as exc:
            self._record.fail(number, exc)
            receipts = exc.receipts
        except Exception as exc:  # noqa: BLE001  what is outside the library's own errors is a finding of the campaign
            self._record.fail(number, exc)
            return
        self._record.acknowledge(number, [None if receipt is None else receipt.version for receipt in receipts])


def main() -> None:
    number, campaign = int(sys.argv[1]), folder()
    control, root = writing(campaign), None
    logging.basicConfig(format="[%(asctime)s: %(levelname)s/%(name)s] %(message)s", level=logging.WARNING)
    with ScyllaStore.from_settings() as store:
        while not (told := control.read()).get("end"):
            if told.get("root") != root:
                root = told["root"]
                work = Writing(store, record_of(campaign, root, number), plan_of(root, number, told["keys"]))
            if not told["run"]:
                time.sleep(_IDLE)
                continue
            began = time.monotonic()
            work.step()
            time.sleep(max(0.0, 1 / told["rate"] - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
