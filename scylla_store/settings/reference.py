"""Makes config/settings.toml and docs/reference/settings.md from the options themselves.

python -m scylla_store.settings.reference toml > config/settings.toml
python -m scylla_store.settings.reference markdown > docs/reference/settings.md
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

from scylla_store.settings.catalogue import Option, catalogue, number, sections
from scylla_store.settings.environment import FILE_VARIABLE
from scylla_store.settings.options import Settings
from scylla_store.settings.rules import RULES

_FILE_HEAD = f"""# Settings of scylla_store: every option with its default. Made by `python -m scylla_store.settings.reference toml`.
#
# To use a file like this one, name it in {FILE_VARIABLE} (or settings_file="..."). Keep only what you change.
# Environment variables win over the file: SCYLLA_STORE_DATABASE__PORT is `port` of [database].
# An empty text means none. Values are taken as they are: nothing in them is replaced.
"""

_PAGE_HEAD = f"""# Settings

This page is made by `python -m scylla_store.settings.reference markdown`; `config/settings.toml` has the same options as a file.

Without any settings everything is embedded, in the folder `path`. A value is taken from the last of these that names the option:

1. the default;
2. the settings file (TOML): `settings_file="..."`, or the one that `{FILE_VARIABLE}` names;
3. the environment variable;
4. the keyword argument of `ScyllaStore.from_settings` and `scylla_store.settings.load`: `database__port=9142` (or `database={{"port": 9142}}`),
   on the command line `-o database.port=9142`.

`scylla-store settings` shows the effective values and where each comes from. Everything that is wrong is reported at once.

- In environment variables lists are written with commas or as JSON, and an empty text means none (in files too).
- Values are taken as they are; nothing in them is replaced.
- A name that is unknown is refused in files and arguments, and in the environment when it has `__` in it or is near to one of ours. Kubernetes' variables
  (`SCYLLA_STORE_PORT`, `SCYLLA_STORE_SERVICE_HOST`) are left alone, and so is `SCYLLA_STORE_TEST_*`.
- Passwords (also those inside of URLs), keys and DSNs are never shown.
"""


def settings_file() -> str:
    """config/settings.toml: loads as it is, and says what holds without it."""
    return "\n".join(_file()) + "\n"


def settings_page() -> str:
    """docs/reference/settings.md."""
    return "\n".join(_page()) + "\n"


def _file() -> Iterator[str]:
    yield _FILE_HEAD.rstrip()
    for name, section in sections(Settings).items():
        if name:
            yield f"\n# {_meaning(section)}\n[{name}]"
        for option in _options(name):
            yield f"\n# {_sentence(option)}\n{option.name.rpartition('.')[2]} = {_toml(option.default)}"


def _page() -> Iterator[str]:
    yield _PAGE_HEAD.rstrip()
    for name, section in sections(Settings).items():
        yield f"\n## {name or 'General'}\n{_meaning(section)}\n"
        yield "| Option | Meaning | Default | Must be | Environment variable |\n|---|---|---|---|---|"
        yield from map(_row, _options(name))
    yield "\n## Between options"
    yield from (f"- {_general(rule.message, rule.names)}." for rule in RULES)
    yield "- The paths of `index.range_fields` lead to one value each: none is `$` or has `[*]`, there are 16 at most, and none comes twice."
    yield "- The entries of `ttl.defaults` are written as prefix=seconds (a number above 0, a hundred years at most) or prefix=never; a prefix as on the command line (`chat/alice`, or a JSON list of labels), and none comes twice."
    yield "- The files of a `tls` section must exist; `cert_file` and `key_file` need each other, and all of them need `enabled`."


def _options(section: str) -> list[Option]:
    return [option for option in catalogue(Settings).values() if option.name.rpartition(".")[0] == section]


def _meaning(section: type) -> str:
    return inspect.cleandoc(section.__doc__ or "").splitlines()[0]


def _sentence(option: Option) -> str:
    """Meaning, unit and range, in one line."""
    parts = [option.meaning]
    if option.unit:
        parts.append(f"Unit: {option.unit}.")
    if option.choices:
        parts.append("One of " + ", ".join(map(json.dumps, option.choices)) + ".")
    if option.least is not None:
        parts.append(f"From {number(option.least)} to {number(option.most)}.")
    return " ".join(parts)


def _toml(value: Any) -> str:
    """TOML has no none; an empty text is read as such."""
    return json.dumps("" if value is None else list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _row(option: Option) -> str:
    default = "none" if option.default is None else f"`{_toml(option.default)}`"
    unit = f" ({option.unit})" if option.unit else ""
    cells = (f"`{option.name}`", option.meaning, default, option.rule + unit, f"`{option.variable}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _general(message: str, names: tuple[str, ...]) -> str:
    """A rule without values: "a = {} must be less than b = {}" becomes "a must be less than b"."""
    text = message.replace(" = {!r}", "").replace(" = {}", "")
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(f"{name} ", f"`{name}` ") if f"{name} " in text else text.replace(name, f"`{name}`")
    return text


if __name__ == "__main__":
    kinds = {"toml": settings_file, "markdown": settings_page}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit("One argument: toml or markdown.")
    sys.stdout.write(kinds[sys.argv[1]]())
