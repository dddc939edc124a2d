"""Everything that is wrong with settings, at once. The one place, for settings from sources and for those made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scylla_store.errors import ConfigurationError
from scylla_store.settings.catalogue import Option, catalogue, sections, value_of
from scylla_store.settings.conversion import WrongValue, check, converted
from scylla_store.settings.layers import DEFAULT, Given
from scylla_store.settings.masking import shown
from scylla_store.settings.rules import broken_rules

if TYPE_CHECKING:
    from scylla_store.settings.options import Settings


def checked(given: Mapping[str, Given], known: Mapping[str, Option], problems: Sequence[str]) -> dict[str, Any]:
    """The values for a settings object.

    Args:
        given: a value of each option, as it was written.
        problems: what is wrong besides.

    Raises:
        ConfigurationError: all problems, these included.
    """
    found, values = list(problems), {}
    for name, option in known.items():
        try:
            values[name] = converted(option, given[name].value)
        except WrongValue:
            found.append(_wrong(option, given[name].value, given[name].origin))
    refuse([*found, *broken_rules(values)])
    return values


def validate(settings: Settings) -> None:
    """Raises ConfigurationError unless a settings object is what `load` could have made."""
    found, values = list(_wrong_sections(settings)), {}
    refuse(found)
    for name, option in catalogue(type(settings)).items():
        value = value_of(settings, name)
        try:
            check(option, value)
            values[name] = value
        except WrongValue:
            found.append(_wrong(option, value, DEFAULT))
    refuse([*found, *broken_rules(values)])


def refuse(problems: Sequence[str]) -> None:
    """Raises ConfigurationError with all problems, if there are any."""
    if len(problems) == 1:
        raise ConfigurationError(f"A setting is wrong: {problems[0]}")
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        raise ConfigurationError(f"{len(problems)} settings are wrong:\n{listed}")


def _wrong(option: Option, value: Any, origin: str) -> str:
    place = "" if origin == DEFAULT else f" ({origin})"
    return f"{option.name} = {shown(option, value)}{place} must be {option.rule}"


def _wrong_sections(settings: Settings) -> Iterator[str]:
    """Nothing is looked for inside of what is no section."""
    found: dict[str, Any] = {"": settings}
    for name, section in sections(type(settings)).items():
        outer, _, attribute = name.rpartition(".")
        if not name or outer not in found:
            continue
        value = getattr(found[outer], attribute)
        if isinstance(value, section):
            found[name] = value
        else:
            yield f"{name} must be {section.__name__}, not {type(value).__name__}"
