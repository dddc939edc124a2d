"""Makes docs/reference/cli.md from the commands themselves.

python -m scylla_store.cli.reference > docs/reference/cli.md
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from scylla_store.cli.arguments import NAMESPACE_SYNTAX
from scylla_store.cli.main import main
from scylla_store.cli.program import EXIT_CODES

_HEAD = """# Command line

This page is made by `python -m scylla_store.cli.reference`.

`scylla-store [OPTIONS] COMMAND [ARGUMENTS]`

{help}

{namespaces}

Answers go to stdout, everything else to stderr. With `--json` an answer is one JSON document on one line, and an error is one on stderr:
`{{"error": "...", "message": "...", "exit_code": 4}}`.

## Options of every command
They stand before or after the command; `--version` stands without one.
"""


def reference() -> str:
    """The page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield _HEAD.format(help=_prose(main), namespaces=NAMESPACE_SYNTAX)
    yield from _options(main)
    yield "\n## Exit codes"
    yield from (f"- {code}: {meaning}" for code, meaning in EXIT_CODES.items())
    for name, command in main.commands.items():
        yield from _command(f"scylla-store {name}", command)


def _command(path: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield f"\n## `{' '.join([path, *pieces])}`"
    yield _prose(command)
    options = list(_options(command))
    if options:
        yield ""
        yield from options
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _command(f"{path} {name}", child)


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if (isinstance(option, click.Option) and not option.hidden and option.name != "as_json") or command is main:
            assert isinstance(option, click.Option)
            yield f"- {_names(option)}: {option.help}{_default(option)}"


def _names(option: click.Option) -> str:
    names = [*option.opts, *option.secondary_opts]
    value = "" if option.is_flag else f" {option.metavar or _type(option)}"
    return ", ".join(f"`{name}{value}`" for name in names)


def _type(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    return "NUMBER" if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)) else "TEXT"


def _default(option: click.Option) -> str:
    return f" Default: {option.default}." if option.show_default and option.default is not None else ""


def _prose(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("\b\n", "")


if __name__ == "__main__":
    print(reference(), end="")
