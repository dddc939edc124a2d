"""Status: how far the index is behind, how fast it catches up, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scylla_store.arguments import checked_flag
from scylla_store.breakers import Circuit
from scylla_store.clock import SECOND
from scylla_store.database.base import OutboxSummary
from scylla_store.outlook import LetterCount, Outlook, Trouble, count_letters, load_outlook
from scylla_store.reconcile import ReconcileReport, Reports
from scylla_store.summary import DrainSummary, load_summary
from scylla_store.wiring import Parts

_ROWS = 10_000


@dataclass(frozen=True)
class Status:
    """How far the index is behind.

    Attributes:
        pending: writes that wait for the index; retrying: those of them that failed before.
        dead, discarded: dead letters to look at, and given up.
        oldest_pending_seconds: age of the oldest pending write; None when nothing is pending.
        age_seconds: how old these figures are: 0 when counted now, else the time since the last drain; None when no drain ran yet.
        exact: whether all rows were counted.
        due: pending writes that the next drain may send to the workers; the others are on their way, or wait for their next attempt.
        dead_by_reason: dead letters by the class of their error.
        rate: writes that workers brought to an end, each second of the last two minutes; None while that is not known.
        seconds_until_empty: pending writes by how fast they get fewer; at least that long when `exact` is False; None when
            that is not known, or they do not get fewer.
        queue: tasks that wait in the broker; None when it did not say.
        workers: processes that gave a sign of life within 20 s; None where there are none (embedded mode).
        troubles: what keeps them from working: open circuits, refused clocks.
        breakers: the circuits of this process by name.
        last_reconcile: report of the last reconciliation; None before the first one.
    """

    pending: int
    retrying: int
    dead: int
    discarded: int
    oldest_pending_seconds: float | None
    age_seconds: float | None
    exact: bool
    due: int = 0
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)
    rate: float | None = None
    seconds_until_empty: float | None = None
    queue: int | None = None
    workers: int | None = None
    troubles: Sequence[Trouble] = ()
    breakers: Mapping[str, Circuit] = field(default_factory=dict)
    last_reconcile: ReconcileReport | None = None


def read_status(parts: Parts, *, exact: bool) -> Status:
    """The last drain's summary and outlook; or, `exact` and in embedded mode, counts of now."""
    checked_flag(exact, "exact")
    now = parts.clock.now()
    outlook = load_outlook(parts.database)
    summary = None if exact or parts.is_embedded else load_summary(parts.database)
    counts_all = exact or parts.is_embedded
    seen = parts.database.outbox.summary(None if counts_all else _ROWS) if summary is None else summary
    letters = outlook.letters if summary is not None else None
    if letters is None:
        letters = _count(parts, exact)
    return Status(
        pending=seen.pending,
        retrying=seen.retrying,
        dead=sum(letters.dead.values()),
        discarded=letters.discarded,
        oldest_pending_seconds=_age(seen.oldest_filed_at, now),
        age_seconds=0.0 if summary is None else (now - summary.at) / SECOND,
        exact=seen.exact and letters.after is None,
        due=seen.due,
        dead_by_reason=letters.dead,
        rate=outlook.rate,
        seconds_until_empty=until_empty(seen, outlook),
        queue=None if summary is None else summary.backlog,
        workers=outlook.workers if parts.has_workers else None,
        troubles=outlook.troubles,
        breakers={breaker.name: breaker.circuit for breaker in parts.breakers},
        last_reconcile=next(iter(Reports(parts.database, most=1).all()), None),
    )


def until_empty(seen: OutboxSummary | DrainSummary, outlook: Outlook) -> float | None:
    """Seconds until nothing is pending, if things go on as in the last minutes.

    By how much less is pending each second, so what is written meanwhile is in it. When more is pending than was read, now or
    a moment ago, by what workers bring to an end: it takes at least so long.
    """
    if not seen.pending:
        return 0.0
    speed = outlook.shrinking if seen.exact else None
    speed = outlook.rate if speed is None else speed
    return None if speed is None or speed <= 0 else seen.pending / speed


def _count(parts: Parts, exact: bool) -> LetterCount:
    letters = count_letters(parts.database, LetterCount())
    while exact and letters.after is not None:
        letters = count_letters(parts.database, letters)
    return letters


def _age(filed_at: int | None, now: int) -> float | None:
    return None if filed_at is None else max(0.0, (now - filed_at) / SECOND)
