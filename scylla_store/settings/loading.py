"""Settings from defaults, file, environment and arguments."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from scylla_store.settings.catalogue import Option, catalogue
from scylla_store.settings.environment import FILE_VARIABLE, from_environment
from scylla_store.settings.files import from_file
from scylla_store.settings.layers import Layer, defaults, from_tree, layered
from scylla_store.settings.options import Settings
from scylla_store.settings.validation import checked

ARGUMENT = "argument"


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each value comes from: "default", a file's path, an environment variable, or "argument"."""

    settings: Settings
    origins: Mapping[str, str]


def load(*, settings_file: str | os.PathLike[str] | None = None, **overrides: Any) -> Settings:
    """The settings, each from the last of these that names it: defaults, settings file, environment, arguments.

        load(path="/var/lib/shop", database__keyspace="shop")

    Args:
        settings_file: a TOML file; None: the one that SCYLLA_STORE_SETTINGS_FILE names, if it is set; "": no file.
        overrides: options by name, with `__` between section and name, or a dictionary for a section.

    Raises:
        ConfigurationError: everything that is wrong, at once.
    """
    return load_with_origins(settings_file=settings_file, **overrides).settings


def load_with_origins(*, settings_file: str | os.PathLike[str] | None = None, **overrides: Any) -> Loaded:
    """As `load`; tells too where each value comes from."""
    known = catalogue(Settings)
    layers = list(_layers(settings_file, overrides, known))
    given = layered(layers)
    values = checked(given, known, [problem for layer in layers for problem in layer.problems])
    return Loaded(_build(Settings, values, ""), {name: given[name].origin for name in known})


def _layers(
    settings_file: str | os.PathLike[str] | None, overrides: Mapping[str, Any], known: Mapping[str, Option]
) -> Iterator[Layer]:
    yield defaults(known)
    file = os.environ.get(FILE_VARIABLE) if settings_file is None else os.fspath(settings_file)
    if file:
        yield from_file(Path(file), known)
    yield from_environment(os.environ, known)
    yield from_tree({name.replace("__", "."): value for name, value in overrides.items()}, known, ARGUMENT)


def _build(section: type, values: Mapping[str, Any], prefix: str) -> Any:
    hints = get_type_hints(section)
    return section(
        **{
            field.name: _build(hints[field.name], values, f"{prefix}{field.name}.")
            if is_dataclass(hints[field.name])
            else values[prefix + field.name]
            for field in fields(section)
        }
    )
