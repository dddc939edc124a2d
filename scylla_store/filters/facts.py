"""What a point's payload says of its document, so that the index can answer filters: tokens and ranks.

`facts` names the way in which they were made, so that points of an older way are known. A document with too much to say has
one token only, which every filter lets through; then the exact evaluator decides. Its ranks are there in any case, because
`find` orders by them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from scylla_store.conditions import Condition, OneOf, no
from scylla_store.filters.evaluation import reached
from scylla_store.filters.ranks import PARTS, field_of, rank_of
from scylla_store.filters.tokens import tokens_of
from scylla_store.paths import parse

FACTS = "facts"
TOKENS = "tokens"
DIGEST = "facts_digest"

UNSAID = "unsaid"
"""The only token of a document that says too much, or cannot be read."""

_FORMAT = 2


@lru_cache(maxsize=64)
def facts_mark(ranges: tuple[str, ...]) -> str:
    """The name of the way in which facts are made with these range fields."""
    said = json.dumps([_FORMAT, ranges]).encode()
    return hashlib.blake2b(said, digest_size=8, person=b"facts").hexdigest()


def facts_of(value: dict[str, Any] | None, key: str, ranges: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a payload that filters ask for; None is a document that cannot be read."""
    tokens = None if value is None else tokens_of(value, key)
    facts: dict[str, Any] = {FACTS: facts_mark(ranges), TOKENS: [UNSAID] if tokens is None else tokens}
    if value is not None:
        for position, path in enumerate(ranges):
            for found in reached(value, parse(path)):
                rank = rank_of(found)
                facts.update({} if rank is None else {field_of(position, part): rank[part] for part in range(PARTS)})
    return {**facts, DIGEST: _digest(facts, len(ranges))}


def made_otherwise(ranges: tuple[str, ...]) -> Condition:
    """What holds of the points whose facts were made in another way."""
    return no(OneOf(FACTS, (facts_mark(ranges),)))


def are_of_this_way(payload: Mapping[str, Any], ranges: tuple[str, ...]) -> bool:
    """Whether the facts of a payload are said to be made as they are made now."""
    return bool(payload.get(FACTS) == facts_mark(ranges))


def are_sound(payload: Mapping[str, Any], ranges: Sequence[str]) -> bool:
    """Whether the facts of a payload are those that were written: without a look at the document, in microseconds."""
    try:
        return bool(payload.get(DIGEST) == _digest(payload, len(ranges)))
    except (KeyError, TypeError, ValueError):
        return False


def _digest(facts: Mapping[str, Any], ranges: int) -> str:
    tokens = facts[TOKENS]
    ranks = [str(facts.get(field_of(position, part))) for position in range(ranges) for part in range(PARTS)]
    said = "\n".join((facts[FACTS], str(len(tokens)), *tokens, *ranks))
    return hashlib.blake2b(said.encode(), digest_size=12, person=b"facts").hexdigest()
