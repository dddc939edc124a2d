"""Where values come from, each source over the one before it; dynaconf keeps them apart from every other store's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scylla_store.settings.catalogue import Option
from scylla_store.settings.suggestions import did_you_mean, nearest

DEFAULT = "default"


@dataclass(frozen=True)
class Given:
    """A value as somebody wrote it, and where."""

    value: Any
    origin: str


@dataclass
class Layer:
    """What one source says: values by the option's name, and what is wrong with the source itself."""

    values: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def defaults(known: Mapping[str, Option]) -> Layer:
    """The lowest layer; every option is in it."""
    return Layer({name: Given(option.default, DEFAULT) for name, option in known.items()})


def from_tree(tree: Mapping[str, Any], known: Mapping[str, Option], origin: str) -> Layer:
    """The layer of sections and options as they stand in a file or in keyword arguments."""
    layer = Layer()
    sections = {name.rpartition(".")[0] for name in known} - {""}
    for name, value in _flat(tree, sections, ""):
        if name in known:
            layer.values[name] = Given(value, origin)
        elif name in sections:
            layer.problems.append(f"{name} ({origin}) is a section of options, so it cannot have a value of its own")
        else:
            layer.problems.append(f"{name} ({origin}) is no option{did_you_mean(nearest(name, [*known, *sections]))}")
    return layer


def layered(layers: Iterable[Layer]) -> dict[str, Given]:
    """The winning value of every option.

    A dynaconf of our own with nothing to load by itself: neither the variables and files of an application's dynaconf nor
    hooks beside a file have a say. The values are wrapped, so it takes them as they are: a password may begin with "@".
    """
    from dynaconf import Dynaconf

    store = Dynaconf(dynaconf_skip_loaders=True, load_dotenv=False)
    for layer in layers:
        store.update(_tree(layer.values), merge=True)
    return dict(_leaves(store.as_dict(), ""))


def _flat(tree: Mapping[str, Any], sections: set[str], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted names. An empty table is a leaf unless it is a section: its name may be wrong."""
    for key, value in tree.items():
        name = prefix + str(key)
        if isinstance(value, Mapping) and (value or name in sections):
            yield from _flat(value, sections, name + ".")
        else:
            yield name, value


def _tree(values: Mapping[str, Given]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, given in values.items():
        *outer, last = name.split(".")
        section = tree
        for part in outer:
            section = section.setdefault(part, {})
        section[last] = given
    return tree


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Given]]:
    for key, value in tree.items():
        name = prefix + key.lower()
        if isinstance(value, Given):
            yield name, value
        elif isinstance(value, Mapping):
            yield from _leaves(value, name + ".")
