"""How namespaces, documents and lists of settings are written on a command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from scylla_store.spelling import parse_namespace

NAMESPACE_SYNTAX = (
    "A NAMESPACE is written as labels with slashes between them (docs/alice); a backslash takes the next character as it "
    'is (docs/either\\/or), and a JSON list works too (["docs", "either/or"]). A PREFIX is the same, and "/" stands for '
    "everything."
)


class TtlType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    """Seconds, or None for 'never'."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises click's BadParameter, which ends with exit code 2."""
        if not isinstance(value, str):
            return value
        try:
            return None if value == "never" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of seconds nor never", param, ctx)


class NumberRange(click.FloatRange):
    """A number within bounds. NaN, which no comparison refuses, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises click's BadParameter, which ends with exit code 2."""
        found = super().convert(value, param, ctx)
        if found != found:
            self.fail(f"{value!r} is not a number", param, ctx)
        return found


class NamespaceType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    """A tuple of labels; `prefix` allows the empty one."""

    name = "namespace"

    def __init__(self, *, prefix: bool = False) -> None:
        self._prefix = prefix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Raises click's BadParameter, which ends with exit code 2."""
        if isinstance(value, tuple):
            return value
        try:
            labels = parse_namespace(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if not labels and not self._prefix:
            self.fail("at least one label is needed, such as docs or docs/alice", param, ctx)
        return labels


def parse_document(text: str, name_of: str = "VALUE") -> Any:
    """The document of a command line: JSON, '@file', or '-' for standard input; click's BadParameter when it is no JSON.

    `name_of` is what the command line calls it, for the message.
    """
    name = "standard input" if text == "-" else text[1:]
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise click.BadParameter(f"{name} cannot be read: {exc}", param_hint=name_of) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise click.BadParameter(f"is not JSON: {exc}", param_hint=name_of) from None


def parse_assignment(text: str) -> tuple[str, str]:
    """Name (with '__' between section and name) and value of 'section.name=value'."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"{text!r} must be written as section.name=value", param_hint="-o")
    return name.strip().replace(".", "__"), value.strip()
