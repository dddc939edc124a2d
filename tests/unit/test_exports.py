"""`__init__.py` re-exports, nothing else, and says so in `__all__`."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    str(path.parent.relative_to(ROOT)).replace("/", ".")
    for package in ("scylla_store", "tasks")
    for path in (ROOT / package).rglob("__init__.py")
)


def statements(package: str) -> list[ast.stmt]:
    """What stands in the package's `__init__.py`, its docstring apart."""
    body = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text()).body
    return [statement for statement in body if not isinstance(statement, ast.Expr)]


def imported(package: str) -> list[str]:
    """The names that it imports."""
    return [
        alias.asname or alias.name
        for statement in statements(package)
        if isinstance(statement, ast.ImportFrom) and statement.module != "__future__"
        for alias in statement.names
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_what_the_package_imports(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a broker, without which there is no ready-made app
    monkeypatch.setenv("SCYLLA_STORE_CELERY__BROKER_URL", "memory://")

    module = importlib.import_module(package)

    assert sorted(getattr(module, "__all__", [])) == sorted(imported(package))
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_re_exports_and_does_nothing_else(package: str) -> None:
    others = [
        ast.unparse(statement)
        for statement in statements(package)
        if not isinstance(statement, ast.ImportFrom)
        and not (isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__")
    ]

    assert others == []
