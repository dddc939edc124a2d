"""An option that does nothing does not exist."""

from __future__ import annotations

import ast
from pathlib import Path

import scylla_store
from scylla_store.settings.catalogue import catalogue
from scylla_store.settings.options import Settings

LIBRARY = Path(scylla_store.__file__).parent


def read_attributes() -> set[str]:
    """Names of all attributes that the library reads, the definition of the settings apart."""
    modules = [path for path in LIBRARY.rglob("*.py") if LIBRARY / "settings" not in path.parents]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_option_is_read_by_the_library() -> None:
    read = read_attributes()

    assert [name for name in catalogue(Settings) if name.rpartition(".")[2] not in read] == []
