"""What `find` orders by: a time of the item, or a range field of the documents."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scylla_store.cursors import DAMAGED
from scylla_store.errors import ValidationError
from scylla_store.filters.names import declaring, unknown
from scylla_store.filters.ranks import PARTS, field_of
from scylla_store.identity import checked_text, plain
from scylla_store.paths import parse, render
from scylla_store.values import MAX_PATH_BYTES

_OF_ITEMS = {"$updated_at": "version", "$created_at": "created_at", "$version": "version"}

_FAR = 2**60
"""Beyond every time, version and part of a rank."""


@dataclass(frozen=True)
class Order:
    """An order of items, made total by the ids of their points, which ascend whatever the direction is.

    Attributes:
        name: two names are the same when their orders are.
        fields: whole numbers of the payload, compared one after the other.
        of_documents: whether they are made of the document. One that has no number and no text there comes last, in both directions.
    """

    name: str
    fields: tuple[str, ...]
    descending: bool
    of_documents: bool


class Place(NamedTuple):
    """Where an item stands in an order; `numbers` is None among those that come last."""

    numbers: tuple[int, ...] | None
    id: str


def parse_order(given: object, ranges: tuple[str, ...]) -> Order:
    """The order that `given` names: `$updated_at`, `$created_at`, `$version` or one of `ranges`, with "-" before it for descending.

    Raises:
        ValidationError: it is none of them; for a path that is not declared it says what to do.
    """
    checked_text(given, "order_by", MAX_PATH_BYTES)
    text = plain(given)
    descending = text.startswith("-")
    sign, name = ("-", text[1:]) if descending else ("", text)
    if name in _OF_ITEMS:
        return Order(sign + name, (_OF_ITEMS[name],), descending, of_documents=False)
    if name.startswith("$"):
        raise ValidationError(unknown("order_by", name, "field of an item to order by", _OF_ITEMS))
    try:
        steps = parse(name)
    except ValidationError as exc:
        raise ValidationError(f"order_by: {exc}") from None
    positions = {parse(path): position for position, path in enumerate(ranges)}
    if steps not in positions:
        raise ValidationError(
            f"order_by: find orders by times of the item and by the paths that index.range_fields names: {declaring(steps)}"
        )
    fields = tuple(field_of(positions[steps], part) for part in range(PARTS))
    return Order(sign + render(steps), fields, descending, of_documents=True)


def place_of(position: Sequence[Any] | None, order: Order) -> Place | None:
    """The place in the order that a cursor names; None for the beginning. Raises ValidationError: anybody can make a cursor."""
    if position is None:
        return None
    try:
        numbers, identifier = position
        place = Place(None if numbers is None else tuple(numbers), _checked_id(identifier))
    except (AttributeError, TypeError, ValueError):
        raise ValidationError(DAMAGED) from None
    is_sound = place.numbers is None or len(place.numbers) == len(order.fields)
    if not is_sound or not all(type(each) is int and abs(each) < _FAR for each in place.numbers or ()):
        raise ValidationError(DAMAGED)
    return place


def _checked_id(identifier: str) -> str:
    """The id of a point; other hands may have written points under numbers."""
    is_number = identifier.isdecimal() and int(identifier) < 2**64
    return identifier if is_number else str(uuid.UUID(identifier))
