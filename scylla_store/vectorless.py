"""Points that lost their vector: their payload says what it should, and no search finds them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from scylla_store.index.base import Index, SeenPoint

Points = dict[str, list[SeenPoint]]


def as_without_text(index: Index, found: Points, items: Collection[str] | None = None) -> Points:
    """The points by item, those of these items (None: all) that lack their vector as if they held no text: they are no chunk then.

    So a comparison finds them to be wrong, and a sync writes them anew.
    """
    asked = [item for item in found if items is None or item in items]
    bare = index.without_vector(asked) if asked else set()
    return {item: [_bare(point) if point.id in bare else point for point in points] for item, points in found.items()}


def _bare(point: SeenPoint) -> SeenPoint:
    return replace(point, payload={**point.payload, "text_hash": ""})
