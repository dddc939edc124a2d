"""What all settings classes share: they are compared by value, and show no secrets."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from scylla_store.settings.catalogue import catalogue
from scylla_store.settings.masking import shown


class Section:
    """Base of the settings classes, which are frozen dataclasses with `repr=False`."""

    def __post_init__(self) -> None:
        """Lists become tuples, so that settings stay hashable and equal to those from a file."""
        for option in catalogue(type(self)).values():
            value = getattr(self, option.name, None)
            if option.kind == "texts" and isinstance(value, list):
                object.__setattr__(self, option.name, tuple(value))

    def __repr__(self) -> str:
        """As a dataclass's, with secrets and passwords in URLs left out."""
        return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in self._shown())})"

    def _shown(self) -> list[tuple[str, str]]:
        known = catalogue(type(self))
        return [(field.name, _text(known.get(field.name), getattr(self, field.name))) for field in fields(self)]  # type: ignore[arg-type]


def _text(option: Any, value: Any) -> str:
    if option is None or is_dataclass(value):
        return repr(value)
    return "None" if value is None else shown(option, value)
