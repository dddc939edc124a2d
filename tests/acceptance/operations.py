"""What a writer does: operation number n of a seed, always the same, so that a writer that was killed goes on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.acceptance.record import Write, digest_of

_SHARED_KEYS = 200
_WORDS = [
    "river",
    "mountain",
    "signal",
    "harvest",
    "copper",
    "window",
    "letter",
    "engine",
    "garden",
    "winter",
    "market",
    "silver",
    "bridge",
    "forest",
    "captain",
    "paper",
    "island",
    "thunder",
    "village",
    "candle",
    "history",
    "machine",
    "ocean",
    "planet",
    "question",
    "reason",
    "season",
    "teacher",
    "universe",
    "valley",
    "weather",
    "alphabet",
    "balance",
    "century",
    "distance",
    "element",
    "freedom",
    "gravity",
    "horizon",
    "journey",
    "kingdom",
    "lantern",
    "memory",
    "number",
    "orbit",
]


@dataclass(frozen=True)
class Document:
    """One document to put."""

    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    ttl: float | None = None
    indexed: bool = True

    def as_write(self) -> Write:
        return Write(self.namespace, self.key, digest_of(self.value), self.ttl, self.indexed)


@dataclass(frozen=True)
class Operation:
    """One call of the store: put (one document), put_many, delete (one identity) or delete_many."""

    name: str
    documents: tuple[Document, ...] = ()
    doomed: tuple[tuple[tuple[str, ...], str], ...] = ()

    def as_writes(self) -> list[Write]:
        deletes = [Write(namespace, key, None) for namespace, key in self.doomed]
        return [document.as_write() for document in self.documents] + deletes


class Plan:
    """Operations of one writer, by number.

    Args:
        seed: which writer; its keys are its own, but for one namespace that all writers share.
        keys: how many keys it uses in each of its namespaces; fewer keys mean more overwrites.
        root: first label of its namespaces.
        longest_ttl: seconds that the shorter of its TTLs last at most.
        largest: documents in one call at most.
    """

    def __init__(
        self, seed: int, keys: int, *, root: str = "acceptance", longest_ttl: float = 15.0, largest: int = 40
    ) -> None:
        self._seed = seed
        self._keys = keys
        self._longest_ttl = longest_ttl
        self._largest = largest
        owner = f"writer {seed}"
        self._shared = (root, "shared")
        self._namespaces = ((root, owner), (root, owner, "news"), (root, f"{owner}\0. ü/\U0001d54f"))

    def operation(self, number: int) -> Operation:
        """Operation `number`."""
        dice = random.Random(f"{self._seed}/{number}")
        kind = dice.choices(("put", "put_many", "delete", "delete_many"), (76, 10, 10, 4))[0]
        if kind == "put":
            return Operation(kind, (self._document(dice, number, *self._identity(dice)),))
        if kind == "put_many":
            chosen = {self._identity(dice): None for _ in range(dice.randint(2, self._largest))}
            return Operation(kind, tuple(self._document(dice, number, *identity) for identity in chosen))
        count = 1 if kind == "delete" else dice.randint(2, 8)
        return Operation(kind, doomed=tuple({self._identity(dice): None for _ in range(count)}))

    def _identity(self, dice: random.Random) -> tuple[tuple[str, ...], str]:
        if dice.random() < 0.08:
            return self._shared, f"shared-{dice.randrange(_SHARED_KEYS)}"
        return dice.choice(self._namespaces), f"key-{dice.randrange(self._keys)}"

    def _document(self, dice: random.Random, number: int, namespace: tuple[str, ...], key: str) -> Document:
        value: dict[str, Any] = {"n": number, "by": self._seed, "big": 2**70 + number}
        kind = dice.choices(("short", "long", "huge", "without text"), (80, 14, 1, 5))[0]
        if kind != "without text":
            value["title"] = _text(dice, dice.randint(2, 8))
        if kind in ("short", "long"):
            value["text"] = _text(dice, dice.randint(5, 60) if kind == "short" else dice.randint(300, 900))
        elif kind == "huge":
            value["table"] = [dice.randrange(10**9) for _ in range(8_000)]
        ttl = dice.choices((None, dice.uniform(1.0, self._longest_ttl), 7200.0), (80, 15, 5))[0]
        return Document(namespace, key, _without_strings(value, kind), ttl, indexed=dice.random() > 0.04)


def _without_strings(value: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"n": value["n"], "by": value["by"]} if kind == "without text" else value


def _text(dice: random.Random, words: int) -> str:
    chosen: Sequence[str] = dice.choices(_WORDS, k=words)
    return " ".join(word + "." if position % 12 == 11 else word for position, word in enumerate(chosen))
