"""Kills things at random, by seed, and starts them again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Action = Callable[[random.Random], None]


@dataclass(frozen=True)
class Victim:
    """Something that is killed and started again. `is_finished` says that it needs no more of either."""

    name: str
    kill: Action
    start: Action
    is_finished: Callable[[], bool] = lambda: False


class Killer:
    """A thread that kills each victim `times` times, one to three of them at once, and starts them again.

    Args:
        seed: decides order, pauses and downtimes; what the victims were doing then is not repeatable.
        pause, downtime: longest time (seconds) between two kills, and until a victim is started again.
    """

    def __init__(self, victims: Sequence[Victim], *, seed: int, times: int, pause: float, downtime: float) -> None:
        self.kills: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._victims = list(victims)
        self._dice = random.Random(seed)
        self._times = times
        self._pause = pause
        self._downtime = downtime
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Ends, with everything started again."""
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            order = [victim for victim in self._victims for _ in range(self._times)]
            self._dice.shuffle(order)
            while order and not self._stopped.wait(self._dice.uniform(0.1, self._pause)):
                count = self._dice.choice((1, 1, 2, 3))
                self._strike(order[:count])
                del order[:count]
        except BaseException as exc:  # noqa: BLE001  the test's thread raises it
            self.error = exc

    def _strike(self, victims: Sequence[Victim]) -> None:
        victims = [victim for victim in victims if not victim.is_finished()]
        for victim in victims:
            victim.kill(self._dice)
            self.kills[victim.name] += 1
        self._stopped.wait(self._dice.uniform(0.0, self._downtime))
        for victim in victims:
            victim.start(self._dice)


def shortfall(kills: Mapping[str, int], names: Sequence[str], times: int) -> dict[str, int]:
    """Who was killed less often than wanted."""
    return {name: kills[name] for name in names if kills[name] < times}
