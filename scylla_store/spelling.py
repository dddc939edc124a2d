"""Namespaces as they are written in one line of text: on a command line, in settings."""

from __future__ import annotations

import json


def parse_namespace(text: str) -> tuple[str, ...]:
    """The labels of 'a/b', of 'a\\/b' (one label) or of a JSON list; none for '' and '/'. Raises ValueError."""
    if text in ("", "/"):
        return ()
    if text.startswith("["):
        return _from_json(text)
    labels, label, escaped = [], "", False
    for character in text:
        if escaped:
            label, escaped = label + character, False
        elif character == "\\":
            escaped = True
        elif character == "/":
            labels.append(label)
            label = ""
        else:
            label += character
    if escaped:
        raise ValueError(f"{text!r} ends with a lone backslash; write two for one")
    labels.append(label)
    if "" in labels:
        raise ValueError(f"{text!r} has an empty label; slashes stand between labels only")
    return tuple(labels)


def format_namespace(namespace: tuple[str, ...]) -> str:
    """The way back: what `parse_namespace` reads as this namespace."""
    text = "/".join(label.replace("\\", "\\\\").replace("/", "\\/") for label in namespace)
    return "\\" + text if text.startswith("[") else text or "/"


def _from_json(text: str) -> tuple[str, ...]:
    try:
        labels = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{text!r} begins with a bracket but is no JSON list: {exc}") from None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{text!r} must be a JSON list of strings")
    return tuple(labels)
