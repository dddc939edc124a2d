"""A deterministic scheduler: actors are threads of which one runs at a time; at every I/O the seed says who goes on.

An actor that is told to crash gets `Crash` at its next I/O and never comes back. Times are simulated microseconds.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

SECOND = 1_000_000
_DANGEROUS = ("database.commit", "index.upsert", "index.delete", "index.points_of", "outbox.remove")
"""Before these it matters most what others do: there an actor rests more often."""

START = 1_700_000_000 * SECOND


class Crash(BaseException):
    """The actor was killed."""


class Actor:
    """One thread under the scheduler's control."""

    def __init__(self, name: str, body: Callable[[], None], scheduler: Scheduler) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.finished = False
        self.doomed = False
        self.asleep_until = 0
        self.is_blocked: Callable[[], bool] = lambda: False
        self._go = threading.Lock()
        self._go.acquire()
        self._scheduler = scheduler
        self._thread = threading.Thread(target=self._run, args=(body,), name=name, daemon=True)
        self._thread.start()

    def _run(self, body: Callable[[], None]) -> None:
        self._go.acquire()
        try:
            body()
        except Crash:
            pass
        except BaseException as exc:  # noqa: BLE001 - raised again by the scheduler
            self.error = exc
        self.finished = True
        self._scheduler.back.release()

    def resume(self) -> None:
        """Runs the actor until its next I/O or its end."""
        self._go.release()
        self._scheduler.back.acquire()

    def pause(self) -> None:
        """Called by the actor at an I/O."""
        self._scheduler.back.release()
        self._go.acquire()
        if self.doomed:
            raise Crash


class Scheduler:
    """Chooses by seed who runs, how time passes, and what goes wrong.

    Attributes:
        ticks: what the clock may move by from one step to the next.
        sleepiness: how often an actor rests for many steps, while the others go on.
        before_resume: called with the actor that goes on next.
        steps: how many I/Os there were.
        trace: what happened, one line each, while `is_traced`.
    """

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        self.random = random.Random(seed)
        self.back = threading.Lock()
        self.back.acquire()
        self.now = START
        self.ticks: Sequence[int] = (0, 1)
        self.sleepiness = 0.0
        self.steps = 0
        self.is_traced = is_traced
        self.trace: list[str] = []
        self.actors: list[Actor] = []
        self.before_resume: Callable[[Actor], None] = lambda actor: None
        self.current: Actor | None = None

    def spawn(self, name: str, body: Callable[[], None]) -> Actor:
        actor = Actor(name, body, self)
        self.actors.append(actor)
        return actor

    def step(self, what: str) -> None:
        """An I/O of the current actor: others may run before it. Outside of actors nothing is switched."""
        self.steps += 1
        if self.current is not None:
            if what.startswith(_DANGEROUS) and self.chance(3 * self.sleepiness):
                self._rest(self.current)
            self.current.pause()
        self.note(what)

    def note(self, what: str) -> None:
        """Adds a line to the trace."""
        if self.is_traced:
            who = "calm" if self.current is None else self.current.name
            self.trace.append(f"{(self.now - START) / SECOND:11.6f} {who:8} {what}")

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def run(self, most: int = 20_000) -> None:
        """Runs until every actor has ended; raises what an actor raised."""
        for _ in range(most):
            ready = [actor for actor in self.actors if not actor.finished]
            if not ready:
                break
            self.current = self._choose(ready)
            self.now += self.random.choice(self.ticks)
            self.before_resume(self.current)
            self.current.resume()
        else:
            raise AssertionError(f"Actors do not end: {[actor.name for actor in self.actors if not actor.finished]}")
        self.current = None
        for actor in self.actors:
            if actor.error is not None:
                raise actor.error
        self.actors.clear()

    def _choose(self, ready: list[Actor]) -> Actor:
        ready = [actor for actor in ready if not actor.is_blocked()] or ready
        awake = [actor for actor in ready if actor.asleep_until <= self.steps] or ready
        actor = self.random.choice(awake)
        if self.chance(self.sleepiness):
            self._rest(actor)
        return actor

    def _rest(self, actor: Actor) -> None:
        actor.asleep_until = self.steps + self.random.choice((5, 10, 20, 40, 100))
