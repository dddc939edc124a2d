"""A real corpus that every Python has: the documentation in its own standard library.

Docstrings are read from the source files by `ast`; nothing is imported but `pydoc_data.topics`, which is plain data.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from scylla_store.items import Put

ROOT = "python"
TOPICS = "topics"
_SKIPPED = {
    "__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests",
    "turtledemo",
}  # fmt: skip
_SHORTEST = 40
_PACKAGES_BUILTIN = ("builtins", "math", "itertools", "functools", "time", "datetime", "re", "struct", "zlib")


def corpus() -> list[Put]:
    """Thousands of documents, always in the same order for one version of Python: topics first, then modules."""
    found: dict[tuple[str, str], Put] = {}
    for put in (*_topics(), *_builtins(), *_docstrings(Path(sysconfig.get_path("stdlib")))):
        found.setdefault((put.namespace[-1], put.key), put)
    return list(found.values())


def _put(module: str, name: str, kind: str, text: str) -> Put:
    return Put((ROOT, module), name, {"title": name, "kind": kind, "text": text})


def _topics() -> Iterator[Put]:
    """The language reference, as `help("while")` shows it."""
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except ImportError:  # some distributions leave it out
        return
    for name in sorted(topics):
        yield Put((ROOT, TOPICS), name, {"title": name, "kind": "topic", "text": topics[name]})


def _builtins() -> Iterator[Put]:
    """What is written in C and has no source file to read; these modules are loaded in every process or cost nothing."""
    for module_name in _PACKAGES_BUILTIN:
        module = importlib.import_module(module_name)
        for name, member in sorted(vars(module).items()):
            if (
                name.startswith("_")
                or not callable(member)
                or (isinstance(member, type) and member.__module__ != module_name)
            ):
                continue
            text = inspect.getdoc(member) or ""
            if len(text) >= _SHORTEST:
                yield _put(module_name, name, "class" if isinstance(member, type) else "function", text)
            if isinstance(member, type) and module_name == "builtins" and not issubclass(member, BaseException):
                yield from _methods(module_name, member)


def _methods(module: str, owner: type) -> Iterator[Put]:
    for name, method in sorted(vars(owner).items()):
        text = inspect.getdoc(method) or ""
        if not name.startswith("_") and len(text) >= _SHORTEST:
            yield _put(module, f"{owner.__name__}.{name}", "method", text)


def _docstrings(folder: Path) -> Iterator[Put]:
    for file in sorted(_sources(folder)):
        module = ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        yield from _documented(tree, module, "")


def _sources(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        private = entry.name.startswith("_") and entry.name != "__init__.py"
        if private or entry.name in _SKIPPED or entry.name.startswith("config-"):
            continue
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.suffix == ".py":
            yield entry


def _documented(node: ast.Module | ast.ClassDef, module: str, scope: str) -> Iterator[Put]:
    """The docstrings of a module or class, and of the public functions and classes in it."""
    kinds = {ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "function"}
    if isinstance(node, ast.Module):
        text = ast.get_docstring(node) or ""
        if len(text) >= _SHORTEST:
            yield _put(module, module, "module", text)
    for child in node.body:
        if not isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or child.name.startswith("_"):
            continue
        name = f"{scope}{child.name}"
        text = ast.get_docstring(child) or ""
        if len(text) >= _SHORTEST:
            yield _put(module, name, kinds[type(child)], text)
        if isinstance(child, ast.ClassDef):
            yield from _documented(child, module, f"{name}.")
