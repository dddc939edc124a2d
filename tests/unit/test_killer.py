"""The killer kills everyone as often as it was told, and leaves everyone alive."""

from __future__ import annotations

from collections import Counter

from tests.acceptance.killer import Killer, Victim, shortfall
from tests.acceptance.waiting import poll


def test_every_victim_is_killed_and_started_equally_often() -> None:
    # Given victims that count
    kills: Counter[str] = Counter()
    starts: Counter[str] = Counter()

    def victim(name: str) -> Victim:
        return Victim(name, lambda dice: kills.update([name]), lambda dice: starts.update([name]))

    killer = Killer([victim(name) for name in "abc"], seed=1, times=4, pause=0.01, downtime=0.01)
    # When the killer has run
    killer.start()
    assert poll(lambda: killer.is_done, 30)
    # Then all of them were killed, and live
    assert killer.error is None
    assert kills == starts == killer.kills == Counter(a=4, b=4, c=4)
    assert shortfall(killer.kills, ["a", "b", "c"], 4) == {}
    assert shortfall(killer.kills, ["a", "d"], 4) == {"d": 0}


def test_a_victim_that_is_finished_is_left_in_peace() -> None:
    done = Victim("done", lambda dice: None, lambda dice: None, is_finished=lambda: True)
    killer = Killer([done], seed=1, times=2, pause=0.01, downtime=0.01)
    killer.start()
    assert poll(lambda: killer.is_done, 30)
    assert killer.kills == {}


def test_a_failure_to_start_a_victim_is_told() -> None:
    def fail(dice: object) -> None:
        raise RuntimeError("it does not start")

    killer = Killer([Victim("x", lambda dice: None, fail)], seed=1, times=1, pause=0.01, downtime=0.01)
    killer.start()
    assert poll(lambda: killer.is_done, 30)
    assert isinstance(killer.error, RuntimeError)
