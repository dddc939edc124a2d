"""The layer of a settings file."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scylla_store.settings.catalogue import Option
from scylla_store.settings.layers import Layer, from_tree

_PLACE = re.compile(r"\(at [^)]*\)$")


def from_file(path: Path, known: Mapping[str, Option]) -> Layer:
    """What the TOML file says. A file that was asked for and cannot be read is a problem."""
    try:
        tree = _parse(path.expanduser().read_text(encoding="utf-8-sig"))
    except OSError as exc:
        return Layer(problems=[f"the settings file {path} cannot be read: {exc.strerror or type(exc).__name__}"])
    except UnicodeDecodeError:
        return Layer(problems=[f"the settings file {path} is not UTF-8"])
    except ValueError as exc:
        return Layer(problems=[f"the settings file {path} is not TOML{_place(exc)}"])
    return from_tree(tree, known, str(path))


def _parse(text: str) -> dict[str, Any]:
    """Raises ValueError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        from dynaconf.vendor import tomllib
    tree: dict[str, Any] = tomllib.loads(text)
    return tree


def _place(exc: ValueError) -> str:
    """Line and column only: the rest of the message may quote the file, and with it a secret."""
    place = _PLACE.search(str(exc))
    return f" {place.group()}" if place else ""
