"""Imports go one way: see "Modules" in docs/architecture.md."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PURE = {
    f"scylla_store.{name}"
    for name in (
        "arguments",
        "belonging",
        "identity",
        "inspection",
        "rows",
        "intents",
        "letters",
        "items",
        "clock",
        "cursors",
        "conditions",
        "errors",
        "failures",
        "file_locks",
        "forks",
        "values",
        "merging",
        "orders",
        "paths",
        "texts",
        "chunking",
        "points",
        "planning",
        "retries",
        "dispatch",
        "spelling",
        "ttls",
    )
}
CONTRACTS = {f"scylla_store.{concept}.base" for concept in ("database", "index", "embedders")}
SHELLS = ("scylla_store.contrib", "scylla_store.cli", "scylla_store.testing")
HEAVY = (
    "cassandra",
    "celery",
    "dynaconf",
    "grpc",
    "httpx",
    "kombu",
    "numpy",
    "pydantic",
    "qdrant_client",
    "qdrant_edge",
    "redis",
    "rich",
    "sentry_sdk",
    "sqlite3",
    "statsd",
    "tokenizers",
    "wordllama",
)


MODULES = {"cassandra-driver": "cassandra", "qdrant-edge-py": "qdrant_edge", "python-json-logger": "pythonjsonlogger"}
BROUGHT = {"httpx", "kombu", "tomllib"}
"""By qdrant-client and by celery, whose errors and settings they are, and by Python 3.11; 3.10 has dynaconf's."""


@dataclass(frozen=True)
class Import:
    """One import of one of our own modules."""

    importer: str
    imported: str
    in_function: bool
    for_types: bool


def layer(module: str) -> str:
    """Which rule a module follows."""
    if module in CONTRACTS:
        return "contract"
    if module in PURE or module.startswith("scylla_store.filters"):
        return "pure"
    if module == "scylla_store.wiring":
        return "wiring"
    if module == "tasks" or module.startswith("tasks."):
        return "tasks"
    if module.startswith(SHELLS):
        return "shell"
    concept = module.split(".")[1] if "." in module else "core"
    return concept if concept in ("database", "index", "embedders", "settings") else "core"


LOWEST = {"contract", "pure", "settings"}
BELOW = {
    "contract": LOWEST,
    "pure": LOWEST,
    "settings": LOWEST,
    "database": LOWEST | {"database"},
    "index": LOWEST | {"index"},
    "embedders": LOWEST | {"embedders"},
    "core": LOWEST | {"core", "wiring"},
    "wiring": LOWEST | {"core"},
    "shell": LOWEST | {"database", "index", "embedders", "core", "wiring", "shell"},
    "tasks": LOWEST | {"core", "shell", "tasks"},
}
# The variants that it may choose, inside functions: each is loaded when it is chosen.
CHOOSES = {"scylla_store.wiring": {"database", "index", "embedders", "shell"}}


def is_allowed(one: Import) -> bool:
    """Whether the rules know this import."""
    target = layer(one.imported)
    if target in BELOW[layer(one.importer)]:
        return True
    return (one.in_function or one.for_types) and target in CHOOSES.get(one.importer, set())


def modules() -> dict[str, Path]:
    """All our modules by name."""
    paths = [path for package in ("scylla_store", "tasks") for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports() -> Iterator[Import]:
    """All imports of our own modules."""
    known = modules()
    for name, path in known.items():
        yield from _of(ast.parse(path.read_text()), name, known, False, False)


def foreign() -> set[str]:
    """Top-level names of what the library imports and neither is ours nor comes with Python (tomllib since 3.11) or pytest."""
    nodes = [node for path in modules().values() for node in ast.walk(ast.parse(path.read_text()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    at_hand = {*sys.stdlib_module_names, "tomllib", "scylla_store", "tasks", "pytest"}
    return {name.partition(".")[0] for name in names} - at_hand


def _of(node: ast.AST, importer: str, known: dict[str, Path], in_function: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for imported in _targets(child, known):
            yield Import(importer, imported, in_function, for_types)
        inside = in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        typing_only = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield from _of(child, importer, known, inside, typing_only)


def _targets(node: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute here"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            if whole in known or node.module in known:
                yield whole if whole in known else str(node.module)


def test_every_module_imports_only_what_stands_below_it() -> None:
    against = [f"{one.importer} imports {one.imported}" for one in imports() if not is_allowed(one)]

    assert against == []


def test_every_dependency_is_declared_and_used() -> None:
    # Given what setup.cfg asks for, by the name of the module
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = {re.split(r"[^\w-]", line)[0] for line in setup["options"]["install_requires"].split() if line}
    modules_of = {MODULES.get(name, name.replace("-", "_")) for name in declared}

    # Then it is what the library imports, apart from what comes with one of them
    assert foreign() - BROUGHT == modules_of


def test_nothing_imports_the_tasks_above_the_library() -> None:
    importers = {one.importer for one in imports() if layer(one.imported) == "tasks"}

    assert {name for name in importers if layer(name) != "tasks"} == set()


def test_no_import_goes_round_in_a_circle() -> None:
    # Given what is imported when a module is loaded
    graph: dict[str, set[str]] = {}
    for one in imports():
        if not one.in_function and not one.for_types:
            graph.setdefault(one.importer, set()).add(one.imported)

    # When they are put in order, then there is one: a CycleError would name the circle
    order = list(TopologicalSorter(graph).static_order())

    assert order.index("scylla_store.errors") < order.index("scylla_store.store")


@pytest.mark.parametrize(
    "one",
    [
        Import("scylla_store.rows", "scylla_store.writes", False, False),
        Import("scylla_store.writes", "scylla_store.database.cql", True, False),
        Import("scylla_store.wiring", "scylla_store.index.server", False, False),
        Import("scylla_store.database.sqlite", "scylla_store.index.edge", False, False),
        Import("scylla_store.store", "scylla_store.contrib.celery", True, False),
        Import("scylla_store.cli.main", "tasks", True, False),
    ],
    ids=lambda one: f"{one.importer} -> {one.imported}",
)
def test_an_import_upwards_is_seen(one: Import) -> None:
    assert not is_allowed(one)


@pytest.mark.parametrize("module", ["scylla_store", "scylla_store.cli", "scylla_store.testing.plugin"])
def test_an_import_loads_no_driver_no_model_and_no_celery(module: str) -> None:
    # When a fresh interpreter imports it (coverage would bring modules of its own)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    # Then nothing heavy came with it
    assert set(loaded.stdout.split()) & set(HEAVY) == set()
