"""The judge's second half: the index equals the database exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.acceptance.cells import Document, Identity
from tests.acceptance.identities import expected_id, expected_payload
from tests.acceptance.passages import passage_fault, vector_fault
from tests.acceptance.record import SECOND

NEVER = 2**60
"""`expires_at` in the payload of a point that never expires."""

_AMBIGUOUS = 10 * SECOND


@dataclass(frozen=True)
class StoredPoint:
    """A point as a scroll returns it. `vector`: the numbers, where they were read."""

    id: str
    payload: dict[str, Any]
    has_vector: bool
    vector: tuple[Any, ...] | None = None


class Findings(Protocol):
    """Where findings go."""

    def add(self, kind: str, what: object, why: str) -> None: ...


def examine(
    documents: Mapping[Identity, Document],
    points: Iterable[StoredPoint],
    findings: Findings,
    now: int,
    *,
    dimensions: int | None = None,
) -> None:
    """Adds what is wrong.

    missing: a live item has no point; stale: a point of another write; incomplete: not exactly the chunks 0 to count - 1;
    unembedded: text without a vector, or a passage that is not in the row; orphan: a point of no live item; wrong: id, item,
    slice, tenant or prefixes are not those of namespace and key, the chunks are not all of the text, or a vector is none of
    `dimensions` finite numbers.
    An item that expired in the last seconds may be there or not.
    """
    groups: dict[Identity, list[StoredPoint]] = {}
    owners: dict[str, Identity] = {}
    for point in points:
        try:
            identity = tuple(point.payload["namespace"]), point.payload["key"]
            if owners.setdefault(point.payload["item"], identity) != identity:
                findings.add("orphan", identity, f"shares its item digest with {owners[point.payload['item']]}")
            groups.setdefault(identity, []).append(point)
        except (KeyError, TypeError):
            findings.add("orphan", point.id, "its payload names no item")
    live = {identity: document for identity, document in documents.items() if document.belongs_in_index(now)}
    for identity, group in groups.items():
        document = documents.get(identity)
        if identity not in live and not (document and _expired_just_now(document, now)):
            findings.add("orphan", identity, f"{len(group)} points: {_why_dead(document, now)}")
    for identity, document in live.items():
        for kind, why in _faults(document, groups.get(identity, []), identity, dimensions):
            findings.add(kind, identity, why)


def _expired_just_now(document: Document, now: int) -> bool:
    return document.indexed and not document.deleted and not document.is_expired(now - _AMBIGUOUS)


def _why_dead(document: Document | None, now: int) -> str:
    if document is None:
        return "there is no row"
    return (
        "the row is deleted"
        if document.deleted
        else "it is expired"
        if document.is_expired(now)
        else "it is not indexed"
    )


def _faults(
    document: Document, group: Sequence[StoredPoint], identity: Identity, dimensions: int | None
) -> list[tuple[str, str]]:
    """What is wrong with the points of one live item."""
    if not group:
        return [("missing", f"version {document.version} has no point")]
    expected = {
        "version": document.version,
        "write": document.write_id,
        "expires_at": NEVER if document.expires_at is None else document.expires_at,
    }
    for point in group:
        for name, value in expected.items():
            if point.payload.get(name) != value:
                return [("stale", f"{name} is {point.payload.get(name)!r} in the index and {value!r} in the database")]
    ordinals = sorted(point.payload["ordinal"] for point in group)
    counts = {point.payload["count"] for point in group}
    if ordinals != list(range(len(group))) or counts != {len(group)}:
        return [("incomplete", f"ordinals {ordinals} of {counts}")]
    if len({(point.payload["fingerprint"], point.payload["model"]) for point in group}) != 1:
        return [("stale", "its points differ in fingerprint or model")]
    return (
        _identity_faults(identity, group)
        or _text_faults(document, group)
        or _content_faults(document, group, dimensions)
    )


def _identity_faults(identity: Identity, group: Sequence[StoredPoint]) -> list[tuple[str, str]]:
    """Whether the points are found where their item is looked for: computed from namespace and key, not believed."""
    expected = expected_payload(*identity)
    for point in group:
        for name, value in expected.items():
            if point.payload.get(name) != value:
                return [("wrong", f"{name} is {point.payload.get(name)!r}, not {value!r}")]
        ident = expected_id(expected["item"], point.payload["ordinal"])
        if point.id != ident:
            return [("wrong", f"chunk {point.payload['ordinal']} has the id {point.id}, not {ident}")]
    return []


def _content_faults(document: Document, group: Sequence[StoredPoint], dimensions: int | None) -> list[tuple[str, str]]:
    chunks = [point.payload for point in group if point.has_vector]
    why = passage_fault(document, chunks) if chunks else None
    if why is not None:
        return [("wrong", why)]
    for point in group:
        if point.vector is not None and dimensions is not None:
            why = vector_fault(point.vector, dimensions)
            if why is not None:
                return [("wrong", f"chunk {point.payload['ordinal']}: {why}")]
    return []


def _text_faults(document: Document, group: Sequence[StoredPoint]) -> list[tuple[str, str]]:
    """Whether the text is there: every chunk has a vector, and its hash is that of the passage that it names."""
    assert document.value is not None
    has_text = _has_text(document.value)
    for point in group:
        payload = point.payload
        is_anchor = payload["text_hash"] == ""
        if is_anchor == has_text or point.has_vector == is_anchor:
            return [("unembedded", f"text: {has_text}, anchor: {is_anchor}, vector: {point.has_vector}")]
        source = document.value.get(payload["path"]) if payload["path"] else None
        if isinstance(source, str) and _hash(source[payload["start"] : payload["end"]]) != payload["text_hash"]:
            return [("unembedded", f"chunk {payload['ordinal']} is not the text at {payload['path']}")]
    return []


def _has_text(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_text(child) for child in children)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
