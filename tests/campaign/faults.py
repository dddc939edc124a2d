"""The faults, each an object, and the pairs of them that look most dangerous."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scylla_store import ScyllaStore
from tests.acceptance.operations import Document, Operation
from tests.acceptance.processes import Child
from tests.acceptance.record import Record
from tests.acceptance.writer import perform
from tests.campaign.embedder import POISON
from tests.campaign.site import Site
from tests.servers import Server

Action = Callable[[Site], object]
HOUR, LITTLE = 3600.0, 3.0
_OF_APPLICATION = (
    "it is a process of the application, whose supervisor sees its end; nothing of ours waits for it, and what it had not "
    "published is in the outbox"
)
_WITHIN = "the difference is allowed, and everything works"
_WRITES = "wait="
"""In the request line of every write to Qdrant."""


@dataclass(frozen=True)
class Fault:
    """Something that breaks and heals.

    Attributes:
        allowed: what the judge may find before reconcile (and never after it).
        hold: seconds that it lasts at least.
        until: it lasts until this is so, or two minutes.
        replays: what it sent to the dead letters is replayed when it is over, as an operator would.
        why: of a pair, why it is dangerous.
        unseen: why nobody needs to see it.
    """

    name: str
    begin: Action
    end: Action
    allowed: frozenset[str] = frozenset()
    hold: float = 10.0
    until: Callable[[Site], bool] | None = None
    replays: bool = False
    why: str = ""
    unseen: str = ""


def faults() -> list[Fault]:
    """All faults that come alone."""
    return [*_processes(), *_redis(), *_qdrant(), *_embedder(), *_clocks(), *_versions(), *_node()]


def _processes() -> list[Fault]:
    groups: list[tuple[str, Callable[[Site], Sequence[Child]]]] = [
        ("one writer", lambda site: site.writers[:1]),
        ("one worker", lambda site: site.workers[:1]),
        ("both workers", lambda site: site.workers),
        ("both beats", lambda site: site.beats),
    ]
    return [
        fault
        for name, which in groups
        for unseen in (_OF_APPLICATION if "writer" in name else "",)
        for fault in (
            Fault(f"{name}: SIGKILL", _each(which, Child.kill), _each(which, Child.start), unseen=unseen),
            Fault(f"{name}: SIGSTOP", _each(which, Child.pause), _each(which, Child.resume), unseen=unseen),
        )
    ]


def _each(which: Callable[[Site], Sequence[Child]], action: Callable[[Child], None]) -> Action:
    return lambda site: [action(child) for child in which(site)]


def _server(name: str, which: Callable[[Site], Server]) -> list[Fault]:
    return [
        Fault(f"{name}: SIGKILL", lambda site: which(site).kill(), lambda site: which(site).start()),
        Fault(f"{name}: SIGSTOP", lambda site: which(site).pause(), lambda site: which(site).resume()),
    ]


def _node() -> list[Fault]:
    return _server("one Cassandra node", lambda site: site.nodes[1])


def _redis() -> list[Fault]:
    return [
        *_server("Redis", lambda site: site.redis),
        Fault("Redis emptied", lambda site: site.redis_client().flushall(), lambda site: None),
        Fault("Redis full", lambda site: _limit(site, "1mb"), lambda site: _limit(site, "0")),
        Fault(
            "Redis restarted without its data",
            lambda site: site.redis.kill(),
            lambda site: site.redis.start(empty=True),
            hold=3.0,
        ),
    ]


def _limit(site: Site, size: str) -> None:
    client = site.redis_client()
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", size)


def _qdrant() -> list[Fault]:
    late = frozenset({"stale", "orphan", "incomplete"})
    heal: Action = lambda site: site.proxy.heal()  # noqa: E731
    return [
        *_server("Qdrant", lambda site: site.qdrant),
        Fault("Qdrant refuses", lambda site: site.proxy.refuse(), heal),
        Fault("Qdrant hangs", lambda site: site.proxy.hang(), heal),
        Fault("Qdrant answers 429", lambda site: site.proxy.answer(429), heal),
        Fault("Qdrant answers 500", lambda site: site.proxy.answer(500), heal),
        Fault("Qdrant works, its answers are lost", lambda site: site.proxy.drop_answers(), heal),
        Fault("Qdrant's writes come 4 s late", lambda site: site.proxy.late(4.0, only=_WRITES), heal, allowed=late),
        Fault(
            "Qdrant loses its collection",
            lambda site: site.drop_collection(),
            lambda site: site.command("setup", "setup"),
            allowed=frozenset({"missing", "incomplete"}),
        ),
    ]


def _embedder() -> list[Fault]:
    return [
        Fault("embedder takes 2 s", _embedding(seconds=2.0), _embedding(seconds=0.0)),
        Fault(
            "embedder fails for one text in 50", _embedding(fails_one_in=50), _embedding(fails_one_in=0), replays=True
        ),
        Fault("embedder returns NaN", _embedding(nan=True), _embedding(nan=False), replays=True),
        Fault("embedder is killed by one text", _poison, _embedding(kills=False), until=_has_letter, replays=True),
    ]


def _embedding(**told: object) -> Action:
    return lambda site: site.embedding.tell(**told)


def _poison(site: Site) -> None:
    """One document more, which nobody survives."""
    site.embedding.tell(kills=True)
    root = site.writing.read()["root"]
    document = Document((root, "poison"), "poison", {"title": "", "text": POISON})
    operation = Operation("put", (document,))
    record = Record(site.folder / "records" / root / "poison.log")
    record.intend(0, operation.as_writes())
    with ScyllaStore.from_settings(**site.settings) as store:
        record.acknowledge(0, [receipt.version for receipt in perform(store, operation)])


def _has_letter(site: Site) -> bool:
    with ScyllaStore.from_settings(**site.settings) as store:
        return bool(store.dead_letters.list(1).items)


def _clocks() -> list[Fault]:
    groups: list[tuple[str, Callable[[Site], Sequence[Child]], tuple[tuple[str, float], ...]]] = [
        ("a writer", lambda site: site.writers[:1], (("an hour fast", HOUR), ("3 s fast", LITTLE))),
        ("a worker", lambda site: site.workers[:1], (("an hour fast", HOUR), ("3 s slow", -LITTLE))),
        ("both beats", lambda site: site.beats, (("an hour slow", -HOUR), ("3 s fast", LITTLE))),
    ]
    return [
        Fault(
            f"the clock of {name} {how}",
            _restarted(which, seconds),
            _restarted(which, 0.0),
            hold=20.0,
            unseen=_WITHIN if abs(seconds) == LITTLE else "",
        )
        for name, which, offsets in groups
        for how, seconds in offsets
    ]


def _restarted(which: Callable[[Site], Sequence[Child]], seconds: float) -> Action:
    """A clock is set at the start of a process."""
    return _through(which, *(("tests.campaign.shifted", f"{seconds:+g}") if seconds else ()))


def _through(which: Callable[[Site], Sequence[Child]], *wrapper: str) -> Action:
    """Started again, run by another module."""

    def act(site: Site) -> None:
        for child in which(site):
            child.stop()
            child.run_through(*wrapper)
            child.start()

    return act


def _versions() -> list[Fault]:
    """One writer and one worker are a version ahead: the other worker meets messages that it does not understand."""

    def which(site: Site) -> Sequence[Child]:
        return (site.workers[0], site.writers[0])

    return [Fault("old and new workers together", _through(which, "tests.campaign.newer"), _through(which), hold=20.0)]


def pairs() -> list[Fault]:
    """Two at once: the second one begins a moment after the first and ends a moment after it."""
    known = {fault.name: fault for fault in faults()}
    return [dataclasses.replace(_both(known[first], known[second]), why=why) for first, second, why in _DANGEROUS]


def _both(first: Fault, second: Fault) -> Fault:
    def begin(site: Site) -> None:
        first.begin(site)
        time.sleep(1.0)
        second.begin(site)

    def end(site: Site) -> None:
        first.end(site)
        time.sleep(1.0)
        second.end(site)

    return Fault(
        f"{first.name} + {second.name}",
        begin,
        end,
        allowed=first.allowed | second.allowed,
        hold=max(first.hold, second.hold),
        until=first.until or second.until,
        replays=first.replays or second.replays,
        unseen=first.unseen and second.unseen,
    )


_DANGEROUS = (
    ("Redis restarted without its data", "both workers: SIGKILL",
     "the message and whoever held it are gone at once: only the outbox knows of the work"),
    ("Qdrant works, its answers are lost", "one worker: SIGKILL",
     "work was done, nobody was told, and the one who would try again is dead"),
    ("Qdrant's writes come 4 s late", "one worker: SIGSTOP",
     "a late request and a worker that wakes with an old row in its hands land on what another worker wrote meanwhile"),
    ("one Cassandra node: SIGKILL", "both workers: SIGKILL",
     "acknowledgements and bookkeeping are cut in the middle while one replica misses them"),
    ("one Cassandra node: SIGSTOP", "Redis: SIGSTOP",
     "both servers that a put talks to hang instead of failing: everything waits for deadlines"),
    ("Redis emptied", "both beats: SIGKILL",
     "the queue is gone and so is what would fill it again"),
    ("Redis full", "embedder fails for one text in 50",
     "retries cannot be published while there is much to retry"),
    ("one worker: SIGSTOP", "Redis restarted without its data",
     "the stopped worker goes on with tasks that the broker has forgotten and the outbox has given to another"),
    ("Qdrant loses its collection", "one worker: SIGKILL",
     "verification finds an empty index, in the middle of a batch that is delivered twice"),
    ("the clock of a writer 3 s fast", "the clock of a worker 3 s slow",
     "six seconds between them: young and expired mean different things to each"),
    ("Qdrant answers 429", "embedder is killed by one text",
     "delays must not count as attempts, and deaths must, for the same tasks"),
    ("Qdrant hangs", "one writer: SIGKILL",
     "writes whose messages died with their writer wait behind an index that answers nobody"),
)  # fmt: skip
