"""A deterministic scheduler: actors are threads of which one runs at a time; at every I/O the seed says who goes on.

An actor that is told to crash gets `Crash` at its next I/O and never comes back. Times are simulated microseconds.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from tests.simulation.choices import Choices

SECOND = 1_000_000
_DANGEROUS = ("database.commit", "database.compare_and_set", "index.upsert", "index.delete", "index.points_of", "outbox.remove")
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
        after_step: called when it has gone on until its next I/O.
        switches: how often another actor went on than before.
        steps: how many I/Os there were.
        events: what went wrong, and how often.
        trace: what happened, one line each, while `is_traced`.
    """

    def __init__(self, choices: Choices, *, is_traced: bool = False) -> None:
        self.random = choices
        self.back = threading.Lock()
        self.back.acquire()
        self.now = START
        self.ticks: Sequence[int] = (0, 1)
        self.sleepiness = 0.0
        self.steps = 0
        self.events: Counter[str] = Counter()
        self.switches = 0
        self.is_traced = is_traced
        self.trace: list[str] = []
        self.actors: list[Actor] = []
        self.before_resume: Callable[[Actor], None] = lambda actor: None
        self.after_step: Callable[[], None] = lambda: None
        self.current: Actor | None = None

    def spawn(self, name: str, body: Callable[[], None]) -> Actor:
        actor = Actor(name, body, self)
        self.actors.append(actor)
        return actor

    def step(self, what: str) -> None:
        """An I/O of the current actor: others may run before it. Outside of actors nothing is switched."""
        self.steps += 1
        if self.current is not None:
            if what.startswith(_DANGEROUS):
                self._may_rest(self.current, 3 * self.sleepiness)
            self.current.pause()
        self.note(what)

    def note(self, what: str) -> None:
        """Adds a line to the trace."""
        if self.is_traced:
            who = "calm" if self.current is None else self.current.name
            self.trace.append(f"{(self.now - START) / SECOND:11.6f} {who:8} {what}")

    def happened(self, what: str) -> None:
        """Counts what went wrong."""
        self.events[what] += 1

    def chance(self, probability: float) -> bool:
        return self.random.chance(probability)

    def run(self, most: int = 20_000) -> None:
        """Runs until every actor has ended; raises what an actor raised."""
        try:
            for _ in range(most):
                ready = [actor for actor in self.actors if not actor.finished]
                if not ready:
                    break
                self._go_on(ready)
            else:
                raise AssertionError(f"Actors do not end: {[one.name for one in self.actors if not one.finished]}")
            for actor in self.actors:
                if actor.error is not None:
                    raise actor.error
        finally:
            self._end_all()

    def _go_on(self, ready: list[Actor]) -> None:
        """One actor, until its next I/O."""
        self.random.begin_step()
        chosen = self._choose([actor for actor in ready if not actor.is_blocked()] or ready)
        self.switches += chosen is not self.current
        self.current = chosen
        self.now += self.random.choice(self.ticks)
        self.before_resume(chosen)
        chosen.resume()
        self.after_step()

    def _choose(self, able: list[Actor]) -> Actor:
        """Noted as 0 for whoever goes on by itself, else as the number of the actor, from 1."""
        usual = self.current if self.current in able else able[0]
        assert usual is not None
        number = self.random.noted(lambda: self._drawn(able, usual))
        chosen = self.actors[number - 1] if 0 < number <= len(self.actors) else usual
        return chosen if chosen in able else usual

    def _drawn(self, able: list[Actor], usual: Actor) -> int:
        awake = [actor for actor in able if actor.asleep_until <= self.steps] or able
        actor = self.random.free.choice(awake)
        self._may_rest(actor, self.sleepiness)
        return 0 if actor is usual else 1 + self.actors.index(actor)

    def _may_rest(self, actor: Actor, probability: float) -> None:
        """Decides who is drawn later; a script needs no rest."""
        free = self.random.free
        if not self.random.is_replay and free.random() < probability:
            actor.asleep_until = self.steps + free.choice((5, 10, 20, 40, 100))

    def _end_all(self) -> None:
        """No thread is left behind, also when a schedule fails in its middle."""
        for actor in self.actors:
            self.current, actor.doomed = actor, True
            while not actor.finished:
                actor.resume()
        self.current = None
        self.actors.clear()
