"""What a store should hold: a dictionary, said a second time and without any code of the library but its types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Union

from scylla_store import ANY_LABEL, DEFAULT_TTL, Item
from scylla_store.filters import Subject
from tests.model.documents import texts
from tests.unit.filters.model import matches

Namespace = tuple[str, ...]
Id = tuple[Namespace, str]
SECOND = 1_000_000
DEFAULTS: dict[Namespace, float | None] = {(): 5000.0, ("a", "b"): 30.0, ("é",): None}
"""TTLs of writes that name none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LISTED_FOR = 3 * 3600 * SECOND


def micro(moment: datetime | None) -> int | None:
    """Microseconds since the epoch."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Document:
    """One document. `ends` is when it expires by its write, `expires_at` with what was granted since."""

    id: Id
    value: dict[str, Any]
    index: Any
    version: int
    created_at: int
    ends: int | None
    expires_at: int | None

    def seen(self, now: int) -> bool:
        """Whether a reader sees it."""
        return self.expires_at is None or now < self.expires_at

    def refreshed(self, now: int) -> Document:
        """With its whole TTL again, from now; never less than it had."""
        if self.ends is None or self.expires_at is None:
            return self
        return replace(self, expires_at=max(self.expires_at, now + self.ends - self.version))

    def fits(self, where: dict[str, Any] | None) -> bool:
        """Whether it matches the filter."""
        return where is None or matches(where, Subject(self.id[1], self.value, self.created_at, self.version))

    def texts(self) -> dict[str, str]:
        """What is embedded, by path."""
        return texts(self.value, self.index)


@dataclass(frozen=True)
class Write:
    """A write; `value` is None for a delete.

    `at`: the time of the call. `until`, `created_at`: what it takes from another document. A conditional write takes its times from
    the call, a plain one from its version. `is_loose`: an earlier write of the same call may have made the document.
    """

    id: Id
    value: dict[str, Any] | None
    at: int
    index: Any = None
    ttl: Any = None
    until: int | None = None
    created_at: int | None = None
    is_conditional: bool = False
    is_loose: bool = False

    @property
    def seconds(self) -> float | None:
        """The TTL, or the default of the longest prefix."""
        if self.ttl is not DEFAULT_TTL:
            return self.ttl  # type: ignore[no-any-return]
        labels = self.id[0]
        return next(DEFAULTS[labels[:size]] for size in range(len(labels), -1, -1) if labels[:size] in DEFAULTS)

    def existed(self, before: Document | None, version: int) -> bool:
        """Whether the write met a document."""
        return before is not None and before.seen(self.at if self.is_conditional else version)

    def document(self, before: Document | None, version: int) -> Document | None:
        """What it makes of the document that was there."""
        if self.value is None:
            return None
        base = self.at if self.is_conditional else version
        made = before.created_at if before is not None and self.existed(before, version) else base
        ends = self.until if self.seconds is None else base + max(1, round(self.seconds * SECOND))
        created_at = made if self.created_at is None else self.created_at
        return Document(self.id, self.value, self.index, version, created_at, ends, ends)

    def may_be(self, before: Document | None, item: Item | None, now: int) -> bool:
        """Whether a reader may see this item, if the write has happened."""
        if item is None:
            span = None if self.seconds is None else self.at + round(self.seconds * SECOND)
            ends = self.until if span is None else span
            return self.value is None or (ends is not None and ends <= now)
        made = self.document(before, item.version)
        if made is None or (before is not None and item.version <= before.version):
            return False
        if self.is_loose and self.at <= (micro(item.created_at) or 0) <= item.version:
            made = replace(made, created_at=micro(item.created_at))
        return shown(made) == of_item(item)


Possible = Union[Document, Write, None]


class Model:
    """Documents by namespace and key, and what is not known for certain after a cut.

    `listed`: namespaces that must be listed, since when; `perhaps`: those that may be. `dead`: version of the document that is a dead
    letter, and whether it was given up. `dirty`: written, or asked for, since everything was indexed; `lost`: hands took their points.
    """

    def __init__(self) -> None:
        self.documents: dict[Id, Document] = {}
        self.unsure: dict[Id, list[Possible]] = {}
        self.versions: dict[Id, list[int]] = {}
        self.listed: dict[Namespace, int] = {}
        self.perhaps: set[Namespace] = set()
        self.dead: dict[Id, tuple[int, bool]] = {}
        self.dirty: set[Id] = set()
        self.lost: set[Id] = set()

    def seen(self, item: Id, now: int) -> Document | None:
        """What a reader sees."""
        document = self.documents.get(item)
        return document if document is not None and document.seen(now) else None

    def under(self, prefix: Namespace, now: int, where: dict[str, Any] | None = None) -> list[Document]:
        """What a reader sees under a prefix, in order."""
        found = [one for one in self.documents.values() if one.seen(now) and one.id[0][: len(prefix)] == prefix]
        return sorted((one for one in found if one.fits(where)), key=lambda one: order(one.id))

    def write(self, write: Write, version: int) -> None:
        """A write has happened, for certain."""
        assert version > max(self.versions.get(write.id, [0])), "versions of an item grow"
        document = write.document(self.documents.get(write.id), version)
        self.put(write.id, document)
        self.versions.setdefault(write.id, []).append(version)
        if document is not None:
            self.listed.setdefault(write.id[0], write.at)

    def put(self, item: Id, document: Document | None) -> None:
        """This is what is there."""
        self.dirty.add(item)
        if document is None:
            self.documents.pop(item, None)
        else:
            self.documents[item] = document

    def doubt(self, item: Id, *after: Possible) -> None:
        """One of these is there, or what was there before."""
        self.unsure[item] = [self.documents.get(item), *after]
        self.dirty.add(item)

    def decide(self, item: Id, found: Item | None, now: int) -> None:
        """A reader saw this; raises AssertionError when nothing can have led to it."""
        before = self.documents.get(item)
        for possible in self.unsure.pop(item):
            if isinstance(possible, Write):
                if possible.may_be(before, found, now):
                    made = None if found is None else possible.document(before, found.version)
                    made = made and replace(made, created_at=micro(found.created_at) if found else 0)
                    break
            elif (None if found is None else of_item(found)) == shown(possible, now):
                made = possible
                break
        else:
            raise AssertionError(f"{item} cannot be {found}")
        self.put(item, made)
        if found is not None:
            self.versions.setdefault(item, []).append(found.version)
            self.listed.setdefault(item[0], now)

    def indexed(self, now: int, *, is_ill: bool, is_damaged: bool) -> None:
        """Everything that was due is done. What was lost is embedded again once a comparison has found that, unless it was dead."""
        repaired = set() if is_damaged else self.lost - self.dead.keys()
        for item in self.dirty | repaired:
            document = self.seen(item, now)
            version, is_given_up = self.dead.pop(item, (0, False))
            if document is not None and is_ill and any("poison" in text for text in document.texts().values()):
                self.dead[item] = document.version, is_given_up and version == document.version
        self.dirty.clear()
        if not is_damaged:
            self.lost.clear()

    def reconciled(self, now: int) -> None:
        """Empty namespaces may leave the list three hours after they were listed."""
        for namespace in [*self.listed]:
            if self.listed[namespace] <= now - _LISTED_FOR and not any(one.id[0] == namespace for one in self.under((), now)):
                del self.listed[namespace]


def order(item: Id) -> tuple[list[bytes], bytes]:
    """Items sort by labels, then by key, as bytes."""
    return [label.encode() for label in item[0]], item[1].encode()


def shown(document: Document | None, now: int | None = None) -> dict[str, Any] | None:
    """What a reader should see of a document, at that time."""
    if document is None or (now is not None and not document.seen(now)):
        return None
    return {
        "namespace": document.id[0],
        "key": document.id[1],
        "value": document.value,
        "version": document.version,
        "created_at": document.created_at,
        "updated_at": document.version,
        "expires_at": document.expires_at,
    }


def of_item(item: Item | None) -> dict[str, Any] | None:
    """What a reader saw."""
    if item is None:
        return None
    times = {name: micro(getattr(item, name)) for name in ("created_at", "updated_at", "expires_at")}
    return {"namespace": item.namespace, "key": item.key, "value": item.value, "version": item.version, **times}


def namespaces(
    among: Iterable[Namespace], prefix: Sequence[Any], suffix: Sequence[Any], max_depth: int | None
) -> list[Namespace]:
    """Those that begin and end so, cut, each once, in order."""
    cut = {
        one[:max_depth]
        for one in among
        if _is(one[: len(prefix)], prefix) and _is(one[len(one) - len(suffix) :] if len(one) >= len(suffix) else (), suffix)
    }
    return sorted(cut, key=lambda one: [label.encode() for label in one])


def _is(labels: Sequence[str], wanted: Sequence[Any]) -> bool:
    return len(labels) == len(wanted) and all(w is ANY_LABEL or w == label for label, w in zip(labels, wanted, strict=True))
