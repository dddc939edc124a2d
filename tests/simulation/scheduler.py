"""A deterministic scheduler: actors are threads of which one runs at a time; at every I/O the seed says who goes on.

An actor that is told to crash gets `Crash` at its next I/O and never comes back. Times are simulated microseconds.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

SECOND = 1_000_000
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
        self._go = threading.Semaphore(0)
        self._scheduler = scheduler
        self._thread = threading.Thread(target=self._run, args=(body,), name=name, daemon=True)
        self._thread.start()

    def _run(self, body: Callable[[], None]) -> None:
        self._go.acquire()
        try:
            body()
        except Crash:
            pass
        except BaseException as exc:
            self.error = exc
        self.finished = True
        self._scheduler.yielded.release()

    def resume(self) -> None:
        """Runs the actor until its next I/O or its end."""
        self._go.release()
        self._scheduler.yielded.acquire()

    def pause(self) -> None:
        """Called by the actor at an I/O."""
        self._scheduler.yielded.release()
        self._go.acquire()
        if self.doomed:
            raise Crash


class Scheduler:
    """Chooses by seed who runs, how time passes, and what goes wrong."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.yielded = threading.Semaphore(0)
        self.now = START
        self.steps = 0
        self.trace: list[str] = []
        self.actors: list[Actor] = []
        self.before_resume: Callable[[Actor], None] = lambda actor: None
        self._current: Actor | None = None

    def spawn(self, name: str, body: Callable[[], None]) -> Actor:
        actor = Actor(name, body, self)
        self.actors.append(actor)
        return actor

    def step(self, what: str) -> None:
        """An I/O of the current actor: others may run before it. Outside of actors nothing is switched."""
        self.steps += 1
        actor = self._current
        if actor is not None and threading.current_thread().name == actor.name:
            self.trace.append(f"{actor.name}: {what}")
            actor.pause()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def run(self, most: int = 100_000) -> None:
        """Runs until every actor has ended; raises what an actor raised."""
        for _ in range(most):
            ready = [actor for actor in self.actors if not actor.finished]
            if not ready:
                break
            self._current = self.random.choice(ready)
            self.now += self.random.choice((0, 0, 1, 1, 50, 1000, SECOND // 10))
            self.before_resume(self._current)
            self._current.resume()
        else:
            raise AssertionError(f"Actors did not end within {most} steps: {[a.name for a in self.actors if not a.finished]}")
        self._current = None
        for actor in self.actors:
            if actor.error is not None:
                raise actor.error
        self.actors.clear()
