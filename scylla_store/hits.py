"""What a search makes of a point that the index found and of the row that the database has for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from scylla_store.conditions import ALWAYS, Condition
from scylla_store.errors import DamagedRow, ValidationError
from scylla_store.filters import Filter, Subject
from scylla_store.identity import Namespace
from scylla_store.index.base import Match
from scylla_store.items import Hit, Item
from scylla_store.points import text_hash
from scylla_store.rows import Row
from scylla_store.texts import text_at

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What all questions of a search have in common.

    Attributes:
        wanted: how many items of each, those that are passed over included.
        condition: what the index is asked of the filter `where`.
        with_value: whether the hits have the documents in them.
    """

    namespace: Namespace
    wanted: int
    min_score: float | None = None
    where: Filter | None = None
    condition: Condition = ALWAYS
    with_value: bool = True

    @property
    def reads_body(self) -> bool:
        """Whether documents have to be read."""
        return self.with_value or (self.where is not None and self.where.looks_at_value)


def hit_of(row: Row, match: Match, asked: Asked) -> Hit | None:
    """The hit, when the item matches as it is now.

    A damaged document takes no other hit with it: `get` and `list` raise what is only logged here.
    """
    try:
        item = Item.of(row, with_value=asked.reads_body)
    except DamagedRow as exc:
        report(exc)
        return None
    if asked.where is not None:
        if not asked.where.matches(Subject(item.key, item.value, row.head.created_at, row.version)):
            return None
        if not asked.with_value:
            item = Item.of(row, with_value=False)
    fresh = match.payload.get("write") == row.head.write_id.hex()
    text = _text(item, match) if fresh and asked.with_value else None
    return Hit(item=item, score=match.score, path=match.payload.get("path"), text=text, fresh=fresh)


def report(exc: DamagedRow) -> None:
    """Logs that a document cannot be shown."""
    log.error("A damaged row is left out of a search: %s", exc)


def _text(item: Item, match: Match) -> str | None:
    """The chunk that was found, cut from the document; None when another text stands there."""
    path, start, end = (match.payload.get(name) for name in ("path", "start", "end"))
    try:
        whole = None if path is None else text_at(item.value, path)
        piece = None if whole is None else whole[start:end]
    except (TypeError, ValidationError):  # the point makes no sense, which a full reconciliation repairs
        return None
    return piece if piece is not None and text_hash(piece) == match.payload.get("text_hash") else None
