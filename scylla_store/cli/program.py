"""The program around the commands: one line for an error, an exit code that says which kind it was."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from scylla_store.cli.output import to_json
from scylla_store.errors import ConfigurationError, StoreError, TransientError, ValidationError

USAGE, NOT_FOUND, UNAVAILABLE, FAILED, INTERRUPTED = 2, 3, 4, 5, 130

EXIT_CODES = {
    0: "It worked.",
    USAGE: "The command line, an argument or a setting is wrong.",
    NOT_FOUND: "There is no such document or dead letter.",
    UNAVAILABLE: "Something that is needed is not available now; trying again may help.",
    FAILED: "Another error of the store.",
    INTERRUPTED: "Interrupted (SIGINT); 143 after SIGTERM.",
}


class NotFound(StoreError):
    """There is no such thing."""


class Program(click.Group):
    """A group whose errors are one line on stderr."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Runs a command and exits with its code."""
        args = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        _never_fail_to_print()
        logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
        # The driver logs, with a traceback, what it raises too, and that becomes the one line.
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)
        try:
            code = super().main(args, prog_name or "scylla-store", **extra)
        except Exception as exc:  # noqa: BLE001 - _report raises what is not ours again
            code = _report(exc, "--json" in args)
        sys.exit(code if isinstance(code, int) else 0)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def _never_fail_to_print() -> None:
    """Where the terminal's encoding lacks a character, a question mark is better than a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def exit_code(exc: BaseException) -> int:
    """Which exit code an error has."""
    if isinstance(exc, (ValidationError, ConfigurationError, click.UsageError)):
        return USAGE
    if isinstance(exc, NotFound):
        return NOT_FOUND
    if isinstance(exc, TransientError):
        return UNAVAILABLE
    return INTERRUPTED if isinstance(exc, click.Abort) else FAILED


def _report(exc: Exception, as_json: bool) -> int:
    """One line on stderr. Errors that are nobody's but ours keep their traceback."""
    if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
        # Whoever read our output has gone; the interpreter must not complain about it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if not isinstance(exc, (StoreError, click.ClickException, click.Abort, OSError)):
        raise exc
    if type(exc).__name__ == "NoArgsIsHelpError":
        exc.show()  # type: ignore[union-attr]
    else:
        code, message = exit_code(exc), _message(exc)
        document = {"error": type(exc).__name__, "message": message, "exit_code": code}
        click.echo(to_json(document) if as_json else f"Error: {message}", err=True)
    return exit_code(exc)


def _message(exc: Exception) -> str:
    if isinstance(exc, click.Abort):
        return "Interrupted"
    text = exc.format_message() if isinstance(exc, click.ClickException) else str(exc)
    line = " ".join(text.split())
    if isinstance(exc, click.UsageError) and exc.ctx is not None:
        line += f" ({exc.ctx.command_path} --help shows the usage)"
    return line
