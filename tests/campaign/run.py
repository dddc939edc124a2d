"""One fault from beginning to end: healthy writes, the fault, calm, the judge, reconcile, the judge again."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scylla_store import errors as library_errors
from tests.acceptance.judge import judged
from tests.acceptance.record import Attempt, attempts, begun
from tests.acceptance.sources import cql_session, read_outbox
from tests.acceptance.waiting import poll, wait_until_calm
from tests.bench.measure import percentile
from tests.campaign.faults import Fault
from tests.campaign.signs import first_of_each_channel
from tests.campaign.site import WRITERS, Site, now
from tests.campaign.writer import plan_of, record_of

KINDS = {
    "lost": ("lost", "wrong", "unexplained", "torn"),
    "unsynced": ("missing", "incomplete", "unembedded", "uncleaned", "outbox", "dead"),
    "stale": ("stale",),
    "orphans": ("orphan",),
}
"""What the judge finds, as the columns of the table."""

SEEN_WITHIN = 30.0
_HEALTHY, _DURING = 0.35, 0.4
_FOLDER = re.compile(re.escape(tempfile.gettempdir()) + r"/scylla-store-[\w.-]+(/[\w.-]+)*/")
_WARM = 1.0
_LONGEST = 120.0
_PATIENCE = 240.0
_SETTLING = 1.0


@dataclass
class Result:
    """The line of one fault."""

    fault: str
    commit: str
    operations: int
    acknowledged: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)
    held: float = 0.0
    calm: float | None = None
    dead: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    reconciled: bool = False
    embedded: dict[str, int] = field(default_factory=dict)
    put: dict[str, Any] = field(default_factory=dict)
    visible: dict[str, tuple[float, str]] = field(default_factory=dict)
    restarted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def as_line(self) -> str:
        """JSON, without the names of this machine's folders."""
        return _FOLDER.sub("", json.dumps(asdict(self), ensure_ascii=False))


class Run:
    """Runs one fault on a site.

    Args:
        operations: what the writers do in all: before, during and after the fault.
        rate: operations a second of each writer.
    """

    def __init__(self, site: Site, fault: Fault, root: str, *, operations: int, rate: float, commit: str) -> None:
        self._site = site
        self._fault = fault
        self._root = root
        self._rate = rate
        self._operations = operations
        self._keys = max(20, operations // 20)
        self._commit = commit
        self.texts: set[str] = set()
        self.result = Result(fault.name, commit, operations)

    def run(self) -> Result:
        """The result before reconcile; whatever is wrong with it stands in it."""
        try:
            began, broken, healed = self._write()
            self._replay()
            self.calm(healed)
            self.result.before = self.result.after = self.judge()
            self._weigh(began, broken, healed)
        except Exception as exc:  # noqa: BLE001  the other faults are still worth a run
            self.result.notes.append(f"the campaign itself failed: {type(exc).__name__}: {exc}"[:500])
            self._site.writing.tell(run=False)
        return self.result

    def _write(self) -> tuple[float, float, float]:
        """Writes before, during and after the fault; when these began."""
        seconds = self._operations / WRITERS / self._rate
        site, fault = self._site, self._fault
        site.writing.tell(root=self._root, keys=self._keys, rate=self._rate, run=True)
        began = now()
        _sleep(_WARM + seconds * _HEALTHY)
        known = {f"{sign.channel} {sign.key}" for sign in site.signs.between(began)}
        broken = now()
        fault.begin(site)
        try:
            _sleep(broken + max(fault.hold, seconds * _DURING) - now())
            if (until := fault.until) is not None:
                poll(lambda: until(site), _LONGEST, every=2.0)
            if not fault.unseen:
                poll(lambda: bool(self._seen(known, broken)), broken + SEEN_WITHIN - now(), every=0.5)
        finally:
            fault.end(site)
            self.result.restarted = site.supervise()
        healed = now()
        self.result.held = round(healed - broken, 1)
        poll(lambda: self._begun() >= self._operations, max(5.0, seconds), every=0.5)
        site.writing.tell(run=False)
        poll(lambda: all(one.seconds is not None for one in self._attempts()[-WRITERS:]), 10.0)
        self.result.visible = self._seen(known, broken)
        return began, broken, healed

    def _seen(self, known: set[str], broken: float) -> dict[str, tuple[float, str]]:
        return first_of_each_channel(self._site.signs.between(broken, broken + SEEN_WITHIN), known, broken)

    def _begun(self) -> int:
        """How many operations the writers have begun, without reading what they were."""
        return sum(begun(self._record(number)) for number in range(WRITERS))

    def _record(self, number: int) -> Path:
        return record_of(self._site.folder, self._root, number)

    def _attempts(self) -> list[Attempt]:
        records = [attempts(self._record(number)) for number in range(WRITERS)]
        return sorted((one for record in records for one in record), key=lambda one: one.began)

    def _replay(self) -> None:
        """Dead letters, as an operator would after the cause is gone. They may still be on their way there."""
        if self._fault.replays:
            _sleep(_SETTLING)
            self.result.dead = self._letters()
            code, output = self._site.command("replay", "dead-letters", "replay", "--all")
            if code:
                self.result.notes.append(f"replay: {output[-300:]}")

    def _letters(self) -> int:
        with cql_session(self._site.cql, self._site.keyspace) as session:
            return len(list(session.execute("SELECT id FROM dead_letters")))

    def calm(self, healed: float | None = None) -> None:
        """Until nothing of this root waits; expiries that lie ahead are waited for, but not counted."""
        with cql_session(self._site.cql, self._site.keyspace) as session:

            def waiting(*, expiries: bool) -> list[Any]:
                self.result.restarted += self._site.supervise()
                rows = [entry for entry in read_outbox(session) if entry.item[0][0] == self._root]
                return rows if expiries else [entry for entry in rows if entry.kind != "expiry"]

            try:
                wait_until_calm(lambda: waiting(expiries=False), _PATIENCE)
                if healed is not None:
                    self.result.calm = round(now() - healed, 1)
                wait_until_calm(lambda: waiting(expiries=True), _PATIENCE)
            except AssertionError as exc:
                self.result.notes.append(str(exc)[:500])

    def judge(self) -> dict[str, Any]:
        site = self._site
        verdict = judged(
            "--records", site.folder / "records" / self._root, "--cql", site.cql, "--keyspace", site.keyspace,
            "--qdrant", site.qdrant.url, "--collection", site.keyspace, "--root", self._root, "--texts", site.folder / "texts",
        )  # fmt: skip
        return columns_of(verdict)

    def _weigh(self, began: float, broken: float, healed: float) -> None:
        """Counts and latencies from the writers' records."""
        done = self._attempts()
        self.result.acknowledged = sum(one.acknowledged == one.writes for one in done)
        self.result.errors, self.result.foreign = errors_of(done)
        texts = Counter(text for at, text in embedded(self._site.folder) if at >= began)
        self.texts = set(texts)
        self.result.embedded |= {"texts": len(texts), "again": sum(texts.values()) - len(texts)}
        puts = self._puts()
        self.result.put = compared(
            [seconds for at, seconds in puts if began + _WARM <= at < broken],
            [seconds for at, seconds in puts if broken <= at < healed],
        )

    def _puts(self) -> list[tuple[float, float]]:
        """When each put of one document of usual size began, and the seconds that it took, failed ones included."""
        found = []
        for number in range(WRITERS):
            plan = plan_of(self._root, number, self._keys)
            for one in attempts(self._record(number)):
                operation = plan.operation(one.number)
                if operation.name == "put" and "table" not in operation.documents[0].value and one.seconds is not None:
                    found.append((one.began, one.seconds))
        return found


def reconcile(site: Site, runs: Sequence[Run]) -> None:
    """By the command, once for all these runs, and what the judge says then. What is embedded although the index holds it was so without need."""
    held, began = set((site.folder / "texts").read_text().split()), now()
    code, output = site.command("reconcile", "reconcile", "--full")
    for run in runs:
        run.result.reconciled = code == 0
        if code:
            run.result.notes.append(f"reconcile ended with {code}: {output[-500:]}")
        run.calm()
        run.result.after = run.judge()
        again = [text for at, text in embedded(site.folder) if at >= began and text in held and text in run.texts]
        run.result.embedded["without need"] = len(again)


def embedded(folder: Path) -> list[tuple[float, str]]:
    """When each text was embedded, by its hash."""
    lines = [line.split() for path in (folder / "embedded").iterdir() for line in path.read_text().splitlines()]
    return [(float(line[0]), line[1]) for line in lines if len(line) == 2]


def columns_of(verdict: dict[str, Any]) -> dict[str, Any]:
    """The judge's findings as columns of the table, and what was found first."""
    found = verdict["found"]
    columns = {column: sum(found.get(kind, 0) for kind in kinds) for column, kinds in KINDS.items()}
    return {**columns, "found": found, "first": {kind: lines[:3] for kind, lines in verdict["first"].items()}}


def errors_of(done: Sequence[Attempt]) -> tuple[dict[str, int], dict[str, int]]:
    """How often each class ended an operation: those of the library's own tree, and all others."""
    failed = Counter(one.error for one in done if one.error)
    clear = {name for name in vars(library_errors) if name[0].isupper()}
    ours, foreign = ({name: n for name, n in failed.items() if (name in clear) is own} for own in (True, False))
    return ours, foreign


def compared(healthy: list[float], faulty: list[float]) -> dict[str, Any]:
    """Median and p99 in milliseconds, and their ratios."""
    if len(healthy) < 2 or len(faulty) < 2:
        return {"puts": [len(healthy), len(faulty)]}
    well, ill = ([statistics.median(one), percentile(sorted(one), 99)] for one in (healthy, faulty))
    return {
        "puts": [len(healthy), len(faulty)],
        "healthy": [round(1000 * one, 2) for one in well],
        "during": [round(1000 * one, 2) for one in ill],
        "p50": round(ill[0] / well[0], 2),
        "p99": round(ill[1] / well[1], 2),
    }


def is_right(result: Result, fault: Fault) -> list[str]:
    """What is wrong with a result: nothing may be lost, left, foreign or unseen."""
    wrong = [f"foreign error {name}" for name in result.foreign] + list(result.notes)
    if not result.acknowledged:
        wrong.append("nothing was acknowledged, so nothing was shown")
    if not result.visible and not fault.unseen:
        wrong.append(f"nothing showed it within {SEEN_WITHIN:g} s")
    unexpected = {kind: count for kind, count in result.before.get("found", {}).items() if kind not in fault.allowed}
    wrong += [f"before reconcile: {count} {kind}" for kind, count in unexpected.items()]
    if result.reconciled:
        wrong += [f"after reconcile: {count} {kind}" for kind, count in result.after["found"].items()]
    return wrong


def warm_up(site: Site, seconds: float) -> None:
    """Writes that nobody counts: servers and processes that have just started are slow. All of it is indexed at the end."""
    site.writing.tell(root="warm", keys=20, rate=5.0, run=True)
    _sleep(seconds)
    site.writing.tell(run=False)
    with cql_session(site.cql, site.keyspace) as session:
        wait_until_calm(lambda: [entry for entry in read_outbox(session) if entry.kind != "expiry"], _PATIENCE)


def _sleep(seconds: float) -> None:
    time.sleep(max(0.0, seconds))


def forget(site: Site) -> None:
    """Frees what earlier faults wrote down about embedding."""
    shutil.rmtree(site.folder / "embedded")
    (site.folder / "embedded").mkdir()
