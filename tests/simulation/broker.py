"""A broker that loses, repeats, merges and reorders messages, and forgets those that waited too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scylla_store.errors import BrokerUnavailable
from scylla_store.intents import Ref
from tests.simulation.faults import Faults
from tests.simulation.scheduler import Scheduler


@dataclass
class Message:
    """A task. `redelivered` as the broker says it; `expires_at` in microseconds."""

    refs: list[Ref]
    expires_at: int
    redelivered: bool = False

    @property
    def is_fresh(self) -> bool:
        """Whether none of it was dispatched before."""
        return not self.redelivered and not any(ref.again for ref in self.refs)


@dataclass
class Broker:
    """A Dispatcher, and the queue behind it."""

    scheduler: Scheduler
    faults: Faults
    lifetime: int
    messages: list[Message] = field(default_factory=list)

    def send(self, refs: Sequence[Ref], task_id: str) -> None:
        self.scheduler.step("broker.send")
        if not self.faults.calm and self.scheduler.chance(0.1):
            raise BrokerUnavailable
        if self.faults.calm or not self.scheduler.chance(0.1):
            self.messages.append(Message(list(refs), self.scheduler.now + self.lifetime))
        else:
            self.scheduler.happened("task lost")

    def receive(self) -> Message | None:
        """Takes one message, any; now and then two in one, or one that stays and comes again.

        Two in one are what publishers collect: what a drain sent stays as it is, it may have been sent alone for a reason.
        """
        self.scheduler.step("broker.receive")
        self.messages = [message for message in self.messages if message.expires_at > self.scheduler.now]
        if not self.messages:
            return None
        if not self.faults.calm and self.scheduler.chance(0.15):
            self.scheduler.happened("task delivered twice")
            found = self.scheduler.random.choice(self.messages)
            return Message(found.refs, found.expires_at, self.scheduler.chance(0.5))
        message = self._pop()
        others = [other for other in self.messages if other.is_fresh] if message.is_fresh else []
        if others and self.scheduler.chance(0.2):
            other = self.scheduler.random.choice(others)
            self.messages.remove(other)
            refs = list(dict.fromkeys(message.refs + other.refs))
            message = Message(refs, message.expires_at)
        return message

    def give_back(self, message: Message) -> None:
        """Its worker died."""
        self.scheduler.happened("task of a dead worker delivered again")
        self.messages.append(Message(message.refs, message.expires_at, redelivered=True))

    def backlog(self) -> int:
        return len(self.messages)

    def close(self) -> None: ...

    def _pop(self) -> Message:
        return self.messages.pop(self.scheduler.random.randrange(len(self.messages)))


class Publisher:
    """Publishes at once: the background thread of the real one has tests of its own."""

    def __init__(self, broker: Broker, unsent: float) -> None:
        self._broker = broker
        self._unsent = unsent

    def collect(self, refs: list[Ref]) -> list[str | None]:
        if not self._broker.faults.calm and self._broker.scheduler.chance(self._unsent):
            return [None for _ in refs]
        try:
            self._broker.send(refs, "task")
        except BrokerUnavailable:
            return [None for _ in refs]
        return ["task" for _ in refs]

    def close(self) -> None: ...
