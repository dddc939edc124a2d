"""JSON merge patches: RFC 7396."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """What becomes of a JSON value by a merge patch; neither of the two is changed.

    An object is merged name by name, at any depth: null removes a name, every other value takes the place of what was
    there. Arrays and scalars are replaced as a whole.

    Source: https://www.rfc-editor.org/rfc/rfc7396#section-2
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
