"""Whether the chunks of an item are together all of its text, and its vectors are vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.acceptance.cells import Document


def passage_fault(document: Document, payloads: Iterable[Mapping[str, Any]]) -> str | None:
    """What is wrong with where chunks begin and end, for a write that names fields of the document by their names.

    Each chunk lies inside the text that it names, and what no chunk has is white space.
    """
    texts = _texts(document)
    if texts is None:
        return None
    spans: dict[str, list[tuple[int, int]]] = {path: [] for path in texts}
    for payload in payloads:
        path, start, end = payload["path"], payload["start"], payload["end"]
        if path not in texts:
            return f"chunk {payload['ordinal']} is of {path!r}, which is no text of the document"
        if not 0 <= start < end <= len(texts[path]):
            return f"chunk {payload['ordinal']} is [{start}, {end}) of {len(texts[path])} characters"
        spans[path].append((start, end))
    for path, text in texts.items():
        gap = _gap(text, spans[path])
        if gap is not None:
            return f"no chunk has [{gap[0]}, {gap[1]}) of {path}"
    return None


def vector_fault(vector: Sequence[Any], size: int) -> str | None:
    """What is wrong with a vector that should have `size` numbers."""
    if len(vector) != size:
        return f"its vector has {len(vector)} numbers, not {size}"
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in vector):
        return "its vector is not finite"
    return None


def _texts(document: Document) -> dict[str, str] | None:
    """The texts by path; None where that is not as simple as a field of a name."""
    value = document.value or {}
    paths = document.paths
    if paths is None or not all(path.isidentifier() for path in paths):
        return None
    found = {path: value[path] for path in paths if path in value}
    if any(isinstance(one, (list, dict)) for one in found.values()):
        return None
    return {path: one for path, one in found.items() if isinstance(one, str) and one.strip()}


def _gap(text: str, spans: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    reached = 0
    for start, end in (*sorted(spans), (len(text), len(text))):
        if text[reached:start].strip():
            return reached, start
        reached = max(reached, end)
    return None
