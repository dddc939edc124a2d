"""The tables of the campaign, for the terminal and for docs/proof."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.campaign.faults import Fault
from tests.campaign.signs import CHANNELS

_PATH = re.compile(r"(/[\w.-]+){2,}/")
COLUMNS = ("lost", "unsynced", "stale", "orphans")


def line(result: dict[str, Any]) -> str:
    """One line for whoever watches."""
    put = result["put"]
    found = " ".join(f"{name} {_both(result, name)}" for name in COLUMNS)
    seen = ", ".join(f"{channel} {at} s" for channel, (at, _) in result["visible"].items()) or "NOTHING"
    return (
        f"{result['fault']}: {result['acknowledged']} acknowledged, {sum(result['errors'].values())} failed clearly, "
        f"calm after {result['calm']} s, {found}, put p50 x {put.get('p50')} p99 x {put.get('p99')}, seen: {seen}"
    )


def _both(result: dict[str, Any], column: str) -> str:
    before = result["before"].get(column, "?")
    return f"{before} → {result['after'].get(column, '?')}" if result["reconciled"] else f"{before} → -"


def write_pages(folder: Path, results: Sequence[dict[str, Any]], known: Sequence[Fault], note: str = "") -> None:
    """faults.md and visible.md; the note says what machine it was."""
    folder.mkdir(parents=True, exist_ok=True)
    order = [fault.name for fault in known]
    results = sorted((one for one in results if one["fault"] in order), key=lambda one: order.index(one["fault"]))
    (folder / "faults.md").write_text("\n".join(_faults(results, known, note)) + "\n")
    (folder / "visible.md").write_text("\n".join(_visible(results, known)) + "\n")


def _faults(results: Sequence[dict[str, Any]], known: Sequence[Fault], note: str) -> list[str]:
    alone = [_row(one) for one in results if " + " not in one["fault"]]
    both = [_row(one) for one in results if " + " in one["fault"]]
    return [
        "# Faults",
        "",
        "What breaks, and what is left of it. Made by `tox -e faults` (`python -m tests.campaign`): three Cassandra nodes (replication",
        "factor 3, LOCAL_QUORUM), Redis, Qdrant behind a proxy, three writers, two workers, two beats, one process that asks for",
        "status and health every few seconds. The judge is a program of its own (`tests/acceptance/judge.py`), which reads by plain CQL and",
        "plain REST and compares with the writers' own record of what was acknowledged.",
        "",
        *_provenance(results),
        *([note] if note else []),
        "",
        "- **before → after**: what the judge found when the outbox was empty, and after `scylla-store reconcile --full`.",
        "- **failed**: operations that ended with an error of the library; an error outside its tree would be a defect (there were "
        f"{sum(sum(one['foreign'].values()) for one in results)}).",
        "- What a supervisor has to start again, because it ended by itself: "
        + (
            "; ".join(f"{', '.join(one['restarted'])} ({one['fault']})" for one in results if one.get("restarted"))
            or "nothing"
        )
        + ".",
        "- **calm**: seconds from the end of the fault until no write waited in the outbox; writers went on during the first part of it.",
        "- **again**: texts embedded more than once while the fault lasted and after it, because the first result was lost or two workers had "
        "the item; **without need**: texts embedded by reconcile although the index held them.",
        "- **p50, p99**: of puts of one document during the fault, failed ones included, divided by those of the healthy seconds before it. "
        "Everything shares one machine: where it is busy, ratios far from 1 on either side are noise.",
        "",
        _header(),
        *alone,
        "",
        *_missing(results, known),
        "## Pairs",
        "The second fault begins a second after the first.",
        "",
        *[f"- {fault.name}: {fault.why}." for fault in known if fault.why],
        "",
        _header(),
        *both,
    ]


def _provenance(results: Sequence[dict[str, Any]]) -> list[str]:
    commits = sorted({one["commit"] for one in results})
    sizes = sorted({one["operations"] for one in results})
    return [
        f"Operations of each fault: {', '.join(f'{size:,}' for size in sizes)} (`--operations` says how many; 20,000 unless told). "
        f"Versions: {', '.join(commits)}."
    ]


def _missing(results: Sequence[dict[str, Any]], known: Sequence[Fault]) -> list[str]:
    names = {one["fault"] for one in results}
    left = [fault.name for fault in known if fault.name not in names]
    return [f"Not in this run: {'; '.join(left)}.", ""] if left else []


def _header() -> str:
    titles = [
        "fault", "operations", "held, s", "acknowledged", "failed", "calm, s", "dead", "lost", "unsynced", "stale", "orphans", "again",
        "without need", "put p50", "put p99",
    ]  # fmt: skip
    return f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}"


def _row(one: dict[str, Any]) -> str:
    failed = ", ".join(f"{count} {name}" for name, count in sorted(one["errors"].items())) or "0"
    cells = [
        one["fault"], f"{one['operations']:,}", one["held"], one["acknowledged"], failed, one["calm"], one["dead"],
        *(_both(one, column) for column in COLUMNS),
        one["embedded"].get("again"), one["embedded"].get("without need", "-"), one["put"].get("p50"), one["put"].get("p99"),
    ]  # fmt: skip
    return "| " + " | ".join("-" if cell is None else str(cell) for cell in cells) + " |"


def _visible(results: Sequence[dict[str, Any]], known: Sequence[Fault]) -> list[str]:
    unseen = {fault.name: fault.unseen for fault in known if fault.unseen}
    return [
        "# What is seen from outside",
        "",
        "For each fault of [the campaign](faults.md), what was first to be seen that had not been there in the healthy seconds before it,",
        "and how many seconds after its begin. Status and health were asked every two or three seconds, by the API that the commands print; logs are those",
        "of all our processes at WARNING; metrics were received by UDP. A fault that none of them shows within 30 s would be a defect.",
        "",
        "Nothing has to be seen of:",
        "",
        *[f"- {name}: {why}." for name, why in unseen.items()],
        "",
        *_provenance(results),
        "",
        f"| fault | {' | '.join(CHANNELS)} |",
        f"| --- |{' --- |' * len(CHANNELS)}",
        *[
            f"| {one['fault']} | {' | '.join(_cell(one['visible'].get(channel)) for channel in CHANNELS)} |"
            for one in results
        ],
    ]


def _cell(seen: Sequence[Any] | None) -> str:
    if seen is None:
        return ""
    at, text = seen
    return f"{at} s: {_escaped(_PATH.sub('', str(text))[:140])}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
